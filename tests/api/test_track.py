"""A loop of anybody's own that tells of itself: seen like fbmon's runs, ended truly, and never hurt."""

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import fbmon as package
from fbmon import compare
from fbmon.api.track import Tracked
from fbmon.events import Event, GradientClipped, Noted, RunEnded, RunResumed, StateRestored, StepTaken, Validated
from fbmon.run import RunFolder
from fbmon.store.store import Store
from tests.shell import DEADLINE, Fbmon, told, until

LOOP = """
import os, sys, time
import fbmon

with fbmon.track("mine", steps=500, config={"lr": 0.1}, resume="again" in sys.argv) as run:
    for step in range(run.step + 1, 501):
        run.log(step, loss=1 / step)
        time.sleep(0.01)
        if "fail" in sys.argv and step == 5:
            raise ValueError("of its own")
        if "fork" in sys.argv and step == 5 and os.fork() == 0:
            run.log(1000, loss=0.0)
            time.sleep(20)
        if run.asked_to_stop:
            break
"""


@pytest.fixture
def one(runs_dir: Path) -> Iterator[Tracked]:
    config = {"lr": 0.1, "model": {"depth": 3, "sizes": (1, 2)}, "nothing": None, "path": Path("x"), "7": "a number"}
    run = package.track(
        "My Run!", steps=4, config=config, target={"val_accuracy": 0.9}, clip_norm=1.0, runs_dir=runs_dir
    )
    yield run
    run.end()


def folder_of(run: Tracked) -> RunFolder:
    assert run.path is not None
    return RunFolder(run.path)


def events(run: Tracked, kind: type[Event]) -> list[Event]:
    return [event for event in told(folder_of(run)) if isinstance(event, kind)]


def test_what_a_loop_tells_is_seen_as_a_run_of_fbmons_is(one: Tracked, fbmon: Fbmon) -> None:
    assert compare.read(folder_of(one)).state == "running"
    refused = fbmon("stop", folder_of(one).name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "does not listen: its program never asks whether it is to stop" in refused.stderr
    for step in (1, 2, 3):
        one.log(step, {"train/perplexity": 2.0 * step}, loss=1 / step, grad_norm=step - 0.5, odd=float("nan"))
    one.validated(3, val_accuracy=0.75, val_bleu=30)
    one.note("data reshuffled\x1b[2J")
    one.end()
    read = package.read(folder_of(one).path)
    assert (read.state, read.step, read.steps, read.name[:7]) == ("finished", 3, 4, "my-run-")
    assert read["train/perplexity"].values.tolist() == [2.0, 4.0, 6.0]
    assert read["val_bleu"].steps.tolist() == [3]
    expected = {"lr": 0.1, "model.depth": 3, "model.sizes": [1, 2], "path": "x", "7": "a number", "steps": 4}
    assert expected.items() <= read.settings.items()
    assert [(event.step, event.threshold) for event in events(one, GradientClipped)] == [(2, 1.0), (3, 1.0)]  # type: ignore[union-attr]
    assert "data reshuffled" in " ".join(note.text for note in read.notes)
    watched = fbmon("watch", read.name).stdout
    assert "\x1b" not in watched
    assert watched.splitlines()[-1].startswith("finished after step 3 of 4 in ")
    row = fbmon("compare", "my-run", "--columns", "run,state,lr,val_bleu,reported", "--csv").stdout.splitlines()[1]
    assert row == f"{read.name},finished,0.1,30.0,0.9"


def test_steps_that_go_back_are_a_seam_and_the_new_ones_count(one: Tracked) -> None:
    for step in (1, 2, 3, 2, 3, 4):
        one.log(step, loss=float(step))
    (seam,) = events(one, StateRestored)
    assert isinstance(seam, StateRestored)
    assert seam.step == 1
    store = Store()
    for event in told(folder_of(one)):
        store.apply(event)
    assert store.series["loss"].steps.tolist() == [1, 2, 3, 4]


def start(tmp_path: Path, runs_dir: Path, *words: str) -> "subprocess.Popen[bytes]":
    script = tmp_path / "loop.py"
    script.write_text(LOOP)
    environment = os.environ | {"FBMON_RUNS": str(runs_dir)}
    return subprocess.Popen([sys.executable, script, *words], env=environment, stderr=subprocess.PIPE)


def the_run(runs_dir: Path, step: int) -> RunFolder:
    def has_come(folder: RunFolder) -> bool:
        return any(isinstance(event, StepTaken) and event.step >= step for event in told(folder))

    def look() -> RunFolder | None:
        folders = [RunFolder(path) for path in runs_dir.glob("mine-*")] if runs_dir.exists() else []
        return next(filter(has_come, folders), None)

    return until(look)


def test_killed_it_is_told_as_killed_and_goes_on_in_its_folder_until_it_is_stopped(
    tmp_path: Path, runs_dir: Path, fbmon: Fbmon
) -> None:
    process = start(tmp_path, runs_dir, "fork")
    folder = the_run(runs_dir, 10)
    process.send_signal(signal.SIGKILL)
    process.wait(DEADLINE)
    assert compare.read(folder).state == "killed", "though a process that it forked is alive, which told nothing"
    last = max(event.step for event in told(folder) if isinstance(event, StepTaken))
    assert last < 1000
    refused = fbmon("resume", folder.name)
    assert refused.returncode == 2
    assert "was trained by another program, " in refused.stderr
    again = start(tmp_path, runs_dir, "again")
    until(lambda: any(isinstance(event, RunResumed) for event in told(folder)) or None)
    stopped = fbmon("stop", folder.name)
    assert stopped.stdout.splitlines()[-1] == "stopped"
    assert again.wait(DEADLINE) == 0
    steps = [event.step for event in told(folder) if isinstance(event, StepTaken)]
    assert steps == list(range(1, len(steps) + 1))
    assert len(list(runs_dir.iterdir())) == 1


def test_an_exception_of_the_loop_is_the_end_and_its_reason(tmp_path: Path, runs_dir: Path) -> None:
    process = start(tmp_path, runs_dir, "fail")
    assert process.wait(DEADLINE) == 1
    last = told(the_run(runs_dir, 5))[-1]
    assert isinstance(last, RunEnded)
    assert (last.state, last.reason, last.step) == ("failed", "ValueError: of its own", 5)


class Hostile:
    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("not even that")


def test_nothing_that_goes_wrong_reaches_the_loop(
    one: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell_nonsense() -> None:
        one.log(1, loss="low")  # type: ignore[arg-type]
        one.log(2, loss=Hostile())
        one.log("three", loss=1.0)  # type: ignore[arg-type]
        one.validated(None, 5)  # type: ignore[arg-type]

    with pytest.warns(UserWarning, match=r"fbmon\.track: .*; the training goes on") as warned:
        tell_nonsense()
    assert len(warned) == 1
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="nothing of mine will be recorded: "):
        lost = package.track("mine", runs_dir=tmp_path / "file")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lost as run:
            run.log(1, loss=0.5)
            run.note("unheard")
            assert (run.asked_to_stop, run.path, run.step) == (False, None, 0)
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert package.track("mine", runs_dir=tmp_path / "other").path is None
    assert not (tmp_path / "other").exists()


def test_what_tells_loads_none_of_the_heavy_packages(tmp_path: Path) -> None:
    heavy = "{'torch', 'textual', 'typer', 'numpy', 'pydantic'} & {*sys.modules}"
    begin = f"with fbmon.track('mine', runs_dir={str(tmp_path)!r}) as run: run.log(1, loss=0.5)"
    command = [sys.executable, "-c", f"import sys, fbmon\n{begin}\nprint({heavy})"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"


def test_validations_and_notes_are_told_at_their_steps(one: Tracked) -> None:
    one.log(1, loss=1.0)
    one.note("first")
    one.validated(1, {"val/bleu": 1})
    assert [(event.step, event.values) for event in events(one, Validated)] == [(1, {"val/bleu": 1.0})]  # type: ignore[union-attr]
    assert [(event.step, event.text) for event in events(one, Noted)] == [(1, "first")]  # type: ignore[union-attr]
