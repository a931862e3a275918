"""fbmon trains a network without stochasticity and shows the training live in a terminal."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fbmon.api.run import read
    from fbmon.api.track import track
    from fbmon.api.training import start

__all__ = ["read", "start", "track"]

__version__ = "0.1.0"


_HOMES = {"read": "run", "start": "training", "track": "track"}


def __getattr__(name: str) -> object:
    """Import what Python programs use when they first use it, since every command imports this package."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"fbmon.api.{_HOMES[name]}"), name)
