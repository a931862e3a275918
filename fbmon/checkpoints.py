"""What checkpoints are called, and of which steps a folder has one; what is in them only `train` knows."""

import re
from pathlib import Path

_NAME = re.compile(r"step-(\d{8,})", re.ASCII)


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies in a folder of checkpoints."""
    return folder / f"step-{step:08d}"


def steps(folder: Path) -> list[int]:
    """The steps of which there is a checkpoint, ascending."""
    found = (_NAME.fullmatch(path.name) for path in folder.glob("step-*"))
    return sorted(int(name[1]) for name in found if name)
