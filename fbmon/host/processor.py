"""The kind of this machine's processor."""

import platform
import re
import socket
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fbmon.events import Machine
from fbmon.host.limits import ROOT
from fbmon.text import clean


def processor_name(root: Path = ROOT) -> str:
    """Return the name of the processor's model, or its architecture where the system does not say."""
    with suppress(OSError):
        model = re.search(r"^model name\s*:\s*(.+)$", (root / "proc/cpuinfo").read_text(errors="replace"), re.MULTILINE)
        if model:
            return clean(" ".join(model[1].split()))
    return platform.processor() or platform.machine()


def machine_without_torch(torch: str) -> Machine:
    """Return what is known of this machine without loading torch, whose version is `torch` if it looks like that.

    What a package is called does not say for which devices it was built, as `+cu130` does behind the version.
    """
    installed = ""
    with suppress(PackageNotFoundError):
        installed = version("torch")
    is_alike = installed.partition("+")[0] == torch.partition("+")[0]
    return Machine(host=clean(socket.gethostname()), processor=processor_name(), torch=torch if is_alike else installed)
