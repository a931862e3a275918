"""A trained run for what looks at one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fbmon.analysis.record import FOLDER
from fbmon.run import RunFolder
from tests.conftest import Ended


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For tiny networks: threads that wait for each other on a busy machine take seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def trained(finished: dict[str, Ended], runs_dir: Path) -> RunFolder:
    """The tiny run of 40 steps, in a folder of the test's own: with its checkpoints and no analysis."""
    import shutil

    folder = RunFolder(runs_dir / finished["plain"].folder.name)
    shutil.copytree(finished["plain"].folder.path, folder.path, ignore=shutil.ignore_patterns(FOLDER))
    return folder
