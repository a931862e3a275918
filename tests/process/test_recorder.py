"""What is written down beside a training, and what comes of it where the disk does not answer."""

import os
import threading
from pathlib import Path

import pytest

from fbmon.events import DeviceSampled
from fbmon.process.recorder import recorded
from fbmon.run import RunFolder
from fbmon.run.journal import Tail
from fbmon.store import summary
from tests.runs import story, write_run
from tests.shell import until

MANY = 400  # steps: a journal long enough to be worth keeping the summary of


@pytest.fixture(autouse=True)
def every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fbmon.process.recorder._SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr("fbmon.process.recorder._KEEP_EVERY", 3)


def test_the_host_is_sampled_and_the_summary_of_a_run_that_goes_on_is_kept_in_case_it_is_killed(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", story(accuracies=[0.5] * MANY, state=None))
    with recorded(folder, ["cpu"], {}):
        kept = until(lambda: summary.unchanged(folder))

    samples = Tail(folder.telemetry).read()
    assert kept.step == MANY
    assert len(samples) >= 3
    assert all(isinstance(sample, DeviceSampled) and sample.is_host for sample in samples)


def test_a_disk_that_does_not_answer_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fbmon.process.recorder._PATIENCE", 0.1)
    folder = RunFolder(tmp_path)
    os.mkfifo(folder.telemetry)  # whoever opens it waits for another one
    before = threading.active_count()

    with recorded(folder, ["cpu"], {}):
        pass

    assert threading.active_count() == before + 1, "it still waits"
    os.close(os.open(folder.telemetry, os.O_RDWR | os.O_NONBLOCK))
    folder.telemetry.unlink()
