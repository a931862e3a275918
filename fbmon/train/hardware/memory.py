"""Errors for a device out of memory, in one sentence that names the settings to blame."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from fbmon.errors import FbmonError

# Cases without OutOfMemoryError: memory of the CPU, and what CUDA and its libraries allocate on a GPU themselves.
_WORDS = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")


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
