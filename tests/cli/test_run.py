"""`fbmon run` without a screen: what it says, what it leaves on disk, and that how it is shown changes no number."""

import json
import re
import stat
from pathlib import Path

import numpy as np

from fbmon import metrics
from fbmon.events import Event, StepTaken, TrainingStarted, Validated
from fbmon.run import RunFolder
from fbmon.store.store import Store
from fbmon.text import duration
from tests.conftest import TINY, Ended
from tests.runs import story, write_run
from tests.shell import Fbmon, told


def fold(folder: RunFolder) -> Store:
    store = Store()
    for event in told(folder):
        store.apply(event)
    return store


def numbers(folder: RunFolder) -> list[tuple[str, int, dict[str, float | None]]]:
    """Every measure of a run but those of time."""
    return [
        (type(event).__name__, event.step, without_times(event.values))
        for event in told(folder)
        if isinstance(event, StepTaken | Validated)
    ]


def without_times(values: dict[str, float | None]) -> dict[str, float | None]:
    return {
        name: value for name, value in values.items() if not name.endswith(("_seconds", "_per_second", "flop_share"))
    }


def training_seconds(events: list[Event]) -> float:
    steps = [event for event in events if isinstance(event, StepTaken)]
    return steps[-1].elapsed - steps[0].elapsed


def test_plain_mode_tells_the_plan_some_steps_and_the_end(finished: dict[str, Ended]) -> None:
    folder, said = finished["plain"].folder, finished["plain"].said
    store = fold(folder)
    lines = said.stdout.splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    final, best = store.latest["val_accuracy"], store.best

    assert (said.returncode, said.stderr) == (0, "")
    assert lines[:6] == [
        f"run {folder.name}: recipe tiny, folder {folder.path}",
        "loading torch",
        "loading data",
        "building the model",
        "40 steps of 64 images in 2 blocks, clipped at norm 1; 5,142 parameters on 1 CPU thread",
        "training",
    ]
    assert lines[6:-1] == steps
    assert steps[0].startswith("step  1/40  loss ")
    assert steps[-1].startswith("step 40/40  loss ")
    assert f"  val {metrics.show('val_accuracy', final)}@40  " in steps[-1], "its own validation, not the one before"
    assert best is not None
    assert lines[-1] == (
        f"finished after step 40 of 40 in {duration(store.elapsed)}: validation accuracy "
        f"{metrics.show('val_accuracy', final)} (best {metrics.show('val_accuracy', best.value)} at step {best.step}); "
        f"{np.median(store.series['flop_share'].values):.0%} of the attainable FLOP/s"
    )


def test_plain_mode_prints_at_most_one_step_a_second(finished: dict[str, Ended]) -> None:
    steps = [line for line in finished["plain"].said.stdout.splitlines() if line.startswith("step ")]

    assert len(steps) <= 2 + training_seconds(told(finished["plain"].folder))


def test_a_pipe_gets_no_carriage_return_and_no_escape_code(finished: dict[str, Ended]) -> None:
    for mode in ("plain", "json", "none"):
        said = finished[mode].said.stdout.replace(str(finished[mode].folder.path), "")
        assert not re.search(r"[^\n -~–]", said)


def test_json_mode_prints_the_journal(finished: dict[str, Ended]) -> None:
    folder, said = finished["json"].folder, finished["json"].said
    told_steps = [line for line in map(json.loads, said.stdout.splitlines()) if line["kind"] == "StepTaken"]

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == folder.journal.read_text()
    assert [line["step"] for line in told_steps] == list(range(1, 41))
    of_other_methods = {"passes", "penalty_share", "penalty_seconds", "decay_share", "clipped_blocks"}
    told = {metric.name for metric in metrics.STEP} - of_other_methods
    assert all(set(line["values"]) == told for line in told_steps)


def test_none_mode_prints_nothing(finished: dict[str, Ended]) -> None:
    said = finished["none"].said

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_how_a_run_is_shown_changes_no_bit_of_its_numbers(finished: dict[str, Ended]) -> None:
    plain = numbers(finished["plain"].folder)

    assert len(plain) == 40 + 9
    assert numbers(finished["json"].folder) == plain
    assert numbers(finished["none"].folder) == plain


def test_a_run_leaves_these_files_and_no_other(finished: dict[str, Ended]) -> None:
    folder = finished["plain"].folder
    best = fold(folder).best

    assert best is not None
    assert sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*")) == [
        "checkpoints",
        *(
            f"checkpoints/{step}{file}"
            for step in (f"step-{best.step:08d}", "step-00000040")
            for file in ("", "/state.json", "/tensors.safetensors")
        ),
        "inbox",
        "journal.jsonl",
        "lock",
        "meta.json",
        "progress.json",
        "recipe.toml",
        "resolved.toml",
        "summary.json",
        "telemetry.jsonl",
        "trainer.log",
    ]
    assert folder.recipe.read_text() == TINY
    assert folder.log.read_text() == ""
    assert sorted(path.name for path in folder.path.parent.iterdir()) == [folder.name]


def test_a_run_is_nobody_elses_to_read(finished: dict[str, Ended]) -> None:
    folder = finished["plain"].folder.path

    open_to_others = [path.name for path in [folder, *folder.rglob("*")] if stat.S_IMODE(path.stat().st_mode) & 0o077]

    assert open_to_others == []


def test_every_line_of_the_journal_is_json_with_its_checksum_last(finished: dict[str, Ended]) -> None:
    lines = [json.loads(line) for line in finished["plain"].folder.journal.read_text().splitlines()]

    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert {list(line)[-1] for line in lines} == {"crc"}
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["RunStarted", "RunEnded"]


def test_watching_a_finished_run_tells_its_beginning_and_its_end(finished: dict[str, Ended], fbmon: Fbmon) -> None:
    run, said = finished["plain"].folder.path, finished["plain"].said.stdout.splitlines()

    watched = fbmon("watch", run)  # into a pipe: the same as --no-ui

    lines = watched.stdout.splitlines()
    assert (watched.returncode, watched.stderr) == (0, "")
    assert lines[1:7] == said[1:7]
    assert lines[-1] == said[-1]


def test_watching_a_stopped_run_tells_its_last_step_though_the_second_is_not_over(fbmon: Fbmon) -> None:
    plan = TrainingStarted(9, 2, 64, 32, 1000, "cpu", "float32", 0.25)
    write_run(fbmon.runs_dir, "stopped", story(accuracies=(0.5, 0.7, 0.8), state="stopped", plan=plan))

    watched = fbmon("watch", "stopped")

    steps = [line for line in watched.stdout.splitlines() if line.startswith("step ")]
    assert [line[:10] for line in steps] == ["step 1/9  ", "step 3/9  "]
    assert "  val 0.8000@3  " in steps[-1]


def test_a_full_screen_into_a_pipe_is_refused(tiny: Path, fbmon: Fbmon) -> None:
    refused = fbmon("run", tiny, "--ui", "full")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "fbmon: --ui full: this is not a terminal that can show a screen\n       try --ui plain\n"
    )
    assert not fbmon.runs_dir.exists()
