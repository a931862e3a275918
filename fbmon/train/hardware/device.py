"""The device that a rank computes on."""

import torch

from fbmon.errors import FbmonError


def choose_device(devices: str) -> torch.device:
    """Return the device meant by "auto", "cpu" or "cuda:N". Raises FbmonError if the machine has no such device."""
    if devices == "cpu" or (devices == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    device = torch.device("cuda:0" if devices == "auto" else devices)
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        raise FbmonError(
            f"--devices {devices}: this machine has {torch.cuda.device_count()} CUDA devices",
            "try --devices cpu",
        )
    torch.cuda.set_device(device)  # events, captures and Triton's kernels go to the current device
    return device
