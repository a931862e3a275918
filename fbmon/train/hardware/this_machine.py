"""The machine on which a training is about to run, as far as the last bits of its numbers depend on it."""

import os
import socket

import torch

from fbmon.events import Machine
from fbmon.host.processor import processor_name
from fbmon.text import clean

# With these set, oneDNN, which multiplies for torch, uses fewer instructions than the processor has.
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


def this_machine(device: torch.device) -> Machine:
    """Describe the hardware and software with which this process computes on a device."""
    limit = next((f" (oneDNN up to {clean(os.environ[name], 40)})" for name in _LIMITS if os.environ.get(name)), "")
    return Machine(
        host=clean(socket.gethostname()),
        processor=processor_name(),
        instructions=f"{torch.backends.cpu.get_cpu_capability()}{limit}",
        threads=torch.get_num_threads(),
        torch=str(torch.__version__),
        gpus=[torch.cuda.get_device_name(device)] if device.type == "cuda" else [],
    )
