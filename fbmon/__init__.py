"""fbmon trains a network without stochasticity and shows the training live in a terminal."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fbmon.api import read, start

__all__ = ["read", "start"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import what Python programs use when they first use it, since every command imports this package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("fbmon.api"), name)
