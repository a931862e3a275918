"""Folders of files that belong to the user and to no run: what was measured, data sets, how the screens were left."""

import os
from collections.abc import Callable
from pathlib import Path

_NOWHERE = Path(os.devnull) / "fbmon"  # nothing can be read there, nothing written


def cache_folder() -> Path:
    """Return fbmon's cache folder; of a user without a home one in which nothing can be read or written."""
    import platformdirs  # not for those who only want the other's name

    return _of_user(platformdirs.user_cache_dir)


def config_folder() -> Path:
    """Return the folder of fbmon's settings, likewise."""
    import platformdirs

    return _of_user(platformdirs.user_config_dir)


def is_writable(folder: Path) -> bool:
    """Say whether files can be put into a folder, which may have to be made."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError:  # a folder on the way that may not be entered
        return False
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _of_user(find: Callable[[str], str]) -> Path:
    try:
        return Path(find("fbmon")).absolute()
    except (RuntimeError, KeyError):  # as platformdirs and Python say that there is neither HOME nor an entry in passwd
        return _NOWHERE
