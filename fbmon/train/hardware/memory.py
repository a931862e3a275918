"""The memory of the host and of a device: what data may take of it, and errors if there is no more."""

import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import torch

from fbmon.errors import FbmonError
from fbmon.host import limits

# Cases without OutOfMemoryError: memory of the CPU, and what CUDA and its libraries allocate on a GPU themselves.
_WORDS = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")


class Room(NamedTuple):
    """The bytes that inputs may take: of the host's memory, and of the device's."""

    host: float
    device: float


def room(device: torch.device, sharers: int) -> Room:
    """Return half of what is free, as the rest is the network's; that of the host is for so many processes."""
    bounds = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    free = min([limits.memory().free, *(bound for bound in bounds if bound != resource.RLIM_INFINITY)])
    host = free / 2 / sharers
    return Room(host, torch.cuda.mem_get_info(device)[0] / 2 if device.type == "cuda" else host)


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Say whether an error means that a device has run out of memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in _WORDS)


def naming_the_block(images: int) -> AbstractContextManager[None]:
    """Raise FbmonError if a device runs out of memory, naming the number of images in a block as the cause."""
    return naming_memory(
        f"with blocks of {images} images",
        "a smaller gradient.block needs less, and narrows what batch norm and the penalty see at once; "
        "`fbmon plan` says how much each size takes",
    )


@contextmanager
def naming_memory(when: str, hint: str) -> Iterator[None]:
    """Raise FbmonError if a device runs out of memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split("\n")[0].split())[:200]
        raise FbmonError(f"out of memory {when}: {reason}", hint) from None
