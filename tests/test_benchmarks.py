"""Benchmarks do their whole work on tiny sizes, those that wait for a GPU on the CPU."""

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks.folders import copy, of_every_kind
from benchmarks.passes import Result, read
from benchmarks.rows import row_of
from benchmarks.variants import Variant
from fbmon import recipe as recipes
from fbmon.analysis.worker.probe import random_data
from fbmon.compare.many import read_all
from fbmon.events import StepTaken, Validated
from fbmon.recipe import DATA_SETS
from fbmon.run import RunFolder
from fbmon.run.journal import seal
from tests.conftest import Ended
from tests.shell import DEADLINE, environment

EMULATED = "bfloat16 is emulated by this processor: not measured"


@pytest.mark.slow
def test_the_benchmark_for_gpus_checks_times_and_profiles_every_engine(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--quick", "--recipe", "fb_regularized"]
    said = subprocess.run(
        [*command, "--minutes", "1000", "--seconds", "0.1"],  # time enough, however slow the machine is
        env=environment(tmp_path), capture_output=True, text=True, timeout=DEADLINE, check=True,
    ).stdout  # fmt: skip
    rows = {cells[0]: cells[1:] for line in said.splitlines() if (cells := line.strip("| ").split(" | "))}
    assert rows["lanes:4 tf32"] == rows["eager float32"], "on a CPU lanes have the bits of the plain engine"
    assert rows["float64"] == ["1.0000", "1.0000"]
    for name in ("textbook: TF32, torchvision in a DataLoader", "bfloat16, 4 lanes", "bfloat16, 4 lanes, contiguous"):
        assert rows[name] == [EMULATED] or float(rows[name][0]) > 0, name
    assert re.search(r"A step of 96 images by 1 CPU thread, 4 lanes, (bfloat16|float32): \d", said)


def test_a_variant_that_fails_is_a_row_and_the_table_goes_on() -> None:
    recipe = recipes.load(recipes.find("fb_clipped"), ["model.width=4", "gradient.block=4", "data.limit=8"])
    images = random_data(DATA_SETS["cifar10"], 8, 1, torch.device("cpu"))
    row = row_of(Variant("warped", "warp", "float32"), recipe, images, 0.1, 1.0)
    assert row[0] == "warped"
    assert row[1].startswith("failed: UsageError: FBMON_ENGINE = warp: must be eager")
    assert float(row_of(Variant("plain", "eager", "float32"), recipe, images, 0.1, 1.0)[1]) > 0


@pytest.mark.slow
def test_a_recipe_is_trained_in_slices_that_stop_in_time(tmp_path: Path, tiny: Path) -> None:
    """Each slice has twice the time of the one before, and goes on from there; half a minute is kept for the save."""
    packed, ends, events = tmp_path / "out" / "journal.jsonl.gz", [], []
    for slice_ in range(7):
        command = [sys.executable, "-m", "tools.slices", "--recipe", str(tiny), "--set=steps=1000"]
        command += [f"--runs={tmp_path / 'runs'}", f"--out={packed.parent}", f"--minutes={0.5 + 0.06 * 2**slice_}"]
        subprocess.run(command, env=environment(tmp_path / "runs"), capture_output=True, timeout=DEADLINE, check=True)
        if packed.exists():
            events = [json.loads(line) for line in gzip.decompress(packed.read_bytes()).splitlines()]
            ends.append(events[-1]["state"])
        if ends[-1:] == ["finished"]:
            break
    assert {*ends[:-1]} == {"preempted"}
    assert (ends[-1], events[-1]["step"]) == ("finished", 1000)
    assert any(event["kind"] == "RunResumed" for event in events)


def test_of_ten_copies_of_a_run_one_each_is_unread_killed_alive_and_broken(
    finished: dict[str, Ended], tmp_path: Path
) -> None:
    made = copy(finished["plain"].folder, tmp_path / "many", 10, of_every_kind)
    assert [folder.summary.exists() for folder in made] == [True] * 6 + [False, True, False, False]
    assert Counter(run.state for run in read_all(made)) == {"finished": 7, "killed": 1, "running": 1, "damaged": 1}


def test_a_loss_counts_the_passes_after_which_it_was_seen(tmp_path: Path) -> None:
    """A search has looked at where its step begins before that step's own passes; without one a step is a pass."""

    def run(name: str, *values: dict[str, float | None]) -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        lines = [seal(StepTaken(step, told, seq=step)) for step, told in enumerate(values, 1)]
        folder.journal.write_bytes(b"".join([*lines, seal(Validated(4, {"val_accuracy": 0.9}, seq=9))]))
        return folder

    losses = (0.5, 0.01, None, 0.0)
    plain = run("plain", *({"loss": loss} for loss in losses))
    assert read(plain, is_search=False) == Result({1e-2: 2, 1e-3: 4}, 4, 0.9)
    search = run(
        "search", *({"loss": loss, "passes": passes} for loss, passes in zip(losses, (3, 5, 9, 9), strict=True))
    )
    assert read(search, is_search=True) == Result({1e-2: 3, 1e-3: 9}, 9, 0.9)
