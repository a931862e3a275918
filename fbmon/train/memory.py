"""Out of memory: said in one sentence that names what it depends on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fbmon.errors import FbmonError

_OF_THE_CPU = "can't allocate memory"  # torch has no class of its own for its CPU's


@contextmanager
def naming_the_block(images: int) -> Iterator[None]:
    """Within it a device that runs out of memory raises FbmonError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and _OF_THE_CPU not in str(error):
            raise
        reason = " ".join(str(error).split("\n")[0].split())[:200]
        raise FbmonError(
            f"out of memory with blocks of {images} images: {reason}",
            "a smaller gradient.block needs less, and narrows what batch norm and the penalty see at once; "
            "`fbmon plan` says how much each size takes",
        ) from None
