"""Tables as people and scripts get them, written out; and what becomes of runs that are damaged."""

import csv
import io
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from fbmon import recipe as recipes
from fbmon.compare import fields, read, select
from fbmon.compare.columns import columns_for
from fbmon.compare.cut import told_apart
from fbmon.compare.render import latex
from fbmon.compare.table import Cell, Column, Table, lay_out
from fbmon.compare.text_table import stacked, text
from fbmon.events import CommandTaken, RunEnded, RunResumed, StepTaken, TrainingStarted
from fbmon.run import RunFolder
from fbmon.store import summary
from tests.runs import lines, story, write_run
from tests.shell import Fbmon

TARGET = ["target.val_accuracy=0.8", "target.source=somewhere"]


@pytest.fixture
def three(runs_dir: Path) -> Path:
    """Two seeds of one recipe and a killed run of another, the newest last."""
    write_run(runs_dir, "a-1", story("a", (0.5, 0.75, 0.75), clipped=(1,)), ["seed=1", "optimizer.lr=0.4", *TARGET])
    write_run(runs_dir, "a-2", story("a", (0.5, 0.875, 0.85)), ["seed=2", "optimizer.lr=0.4", *TARGET])
    write_run(runs_dir, "b-1", story("b", (0.25, 0.5), state=None), ["seed=1", "optimizer.lr=0.8"])
    for age, name in enumerate(["b-1", "a-2", "a-1"]):
        os.utime(runs_dir / name / "meta.json", (1_700_000_000 - age, 1_700_000_000 - age))
    return runs_dir


def test_a_table_in_text(three: Path, fbmon: Fbmon) -> None:
    assert fbmon("compare").stdout == (
        "run  state     step  val acc  best val acc  at step  reported  difference    loss  val loss"
        "  clipped  time  seed  optimizer.lr\n"
        "b-1  killed     2/2   0.5000        0.5000        2         –           –  0.5000    1.0000"
        "       0%  0:20     1           0.8\n"
        "a-2  finished   3/3   0.8500        0.8750        2    0.8000     +0.0500  0.3333    0.6667"
        "       0%  0:30     2           0.4\n"
        "a-1  finished   3/3   0.7500        0.7500        2    0.8000     -0.0500  0.3333    0.6667"
        "      33%  0:30     1           0.4\n"
    )


def test_groups_in_markdown_and_latex_are_means_and_deviations_of_the_finished_runs(three: Path, fbmon: Fbmon) -> None:
    columns = ["--group", "recipe", "--columns", "state,val_accuracy,difference,optimizer.lr,seed,step,clipped"]

    assert fbmon("compare", *columns, "--markdown").stdout == (
        "| recipe | n | state | val acc | difference | optimizer.lr | step | clipped |\n"
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| b | 0 | 1 killed | – | – | 0.8 | – | – |\n"
        "| a | 2 | 2 finished | 0.8000 ± 0.0707 | +0.0000 ± 0.0707 | 0.4 | 3 | 17% ± 24% |\n"
    )
    assert fbmon("compare", *columns, "--latex").stdout == (
        "\\begin{tabular}{lrlrrrrr}\n\\toprule\n"
        "recipe & n & state & val acc & difference & optimizer.lr & step & clipped \\\\\n\\midrule\n"
        "b & 0 & 1 killed & -- & -- & 0.8 & -- & -- \\\\\n"
        "a & 2 & 2 finished & 0.8000 $\\pm$ 0.0707 & +0.0000 $\\pm$ 0.0707 & 0.4 & 3 & 17\\% $\\pm$ 24\\% \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )


def test_a_mean_of_fewer_runs_than_the_group_has_says_of_how_many(three: Path, fbmon: Fbmon) -> None:
    write_run(three, "a-3", story("a", (0.5, 0.75, 0.95)), ["seed=3", "optimizer.lr=0.4"])  # no accuracy is reported
    assert fbmon(
        "compare", "recipe:a", "--group", "recipe", "--columns", "val_accuracy,difference", "--markdown"
    ).stdout == (
        "| recipe | n | val acc | difference |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a | 3 | 0.8500 ± 0.1000 | +0.0000 ± 0.0707 (n = 2) |\n"
    )


def test_a_group_says_in_which_settings_the_runs_differ_that_it_averages(tmp_path: Path, fbmon: Fbmon) -> None:
    for seed, rate, steps in ((0, 0.4, 2), (1, 0.4, 2), (0, 0.8, 3)):
        plan = TrainingStarted(steps, 2, 64, 32, 1000, "cpu", "float32", flop_per_step=5e11)
        told = story("a", (0.5, 0.75, 0.75)[:steps], plan=plan)
        write_run(fbmon.runs_dir, f"a-{seed}-{rate}", told, [f"seed={seed}", f"optimizer.lr={rate}", f"steps={steps}"])
    columns = ["--columns", "step,flop", "--markdown"]

    assert fbmon("compare", "--group", "recipe", *columns).stdout == (
        "| recipe | n | differ in | step | FLOP |\n"
        "| --- | ---: | --- | ---: | ---: |\n"
        "| a | 3 | steps, optimizer.lr | 2.3 ± 0.6 | (1.17 ± 0.29)e+12 |\n"
    )
    assert fbmon("compare", "--group", "variant", "--sort", "steps", *columns).stdout == (
        "| variant | n | step | FLOP |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a steps=2 lr=0.4 | 2 | 2 | 1e+12 |\n"
        "| a steps=3 lr=0.8 | 1 | 3 | 1.5e+12 |\n"
    )


def test_a_run_that_does_not_clip_has_no_share_of_clipped_steps(tmp_path: Path) -> None:
    write_run(tmp_path, "without", story(plan=TrainingStarted(2, 2, 64, 32, 1000, "cpu", "float32", None)))
    write_run(tmp_path, "with", story())
    clipped = {run.name: fields.find("clipped").show(fields.find("clipped").value(run)) for run in select(tmp_path, [])}

    assert clipped == {"without": "–", "with": "0%"}


def test_a_recipe_is_found_by_the_name_that_it_is_shipped_by_and_by_that_of_its_runs(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", story("digits-fb_baseline"), recipe="digits/fb_baseline")

    assert [run.name for run in select(tmp_path, ["recipe:digits/fb_baseline"])] == ["mine"]
    assert [run.name for run in select(tmp_path, ["recipe=digits-fb_baseline"])] == ["mine"]
    assert recipes.find("digits-fb_baseline") == recipes.find("digits/fb_baseline")


def test_csv_and_json_have_every_number_in_full(three: Path, fbmon: Fbmon) -> None:
    said = fbmon("compare", "recipe=a", "--csv", "--columns", "run,last.val_accuracy,difference", "--sort", "seed:desc")
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    data = json.loads(fbmon("compare", "recipe=a", "--json").stdout)

    assert [row["run"] for row in rows] == ["a-2", "a-1"]
    assert [float(row["last.val_accuracy"]) for row in rows] == [(0.5 + 0.875 + 0.85) / 3, (0.5 + 0.75 + 0.75) / 3]
    assert [float(row["difference"]) for row in rows] == [run["difference"] for run in data["runs"]]
    assert data["differing"] == ["seed"]
    assert data["runs"][0]["metrics"]["val_accuracy"] == {
        "final": 0.85, "best": 0.875, "best_step": 2, "min": 0.5, "max": 0.875, "last": (0.5 + 0.875 + 0.85) / 3,
    }  # fmt: skip
    groups = json.loads(fbmon("compare", "recipe=a", "--group", "recipe", "--json").stdout)["groups"]
    assert groups[0]["final.val_accuracy"]["n"] == 2
    assert groups[0]["runs"] == ["a-2", "a-1"]


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (["a-1", "b-1"], ["a-1", "b-1"]),
        (["a"], ["a-2", "a-1"]),
        (["a-*", "-name:1"], ["a-2"]),
        (["-name:1"], ["a-2"]),
        (["state:killed", "|", "seed=2"], ["b-1", "a-2"]),
        (["--sort", "val_accuracy:max"], ["a-2", "a-1", "b-1"]),
        (["--sort", "val_accuracy"], ["a-2", "a-1", "b-1"]),
        (["--sort", "val_loss"], ["a-2", "a-1", "b-1"]),
        (["--sort", "reported:asc"], ["a-2", "a-1", "b-1"]),
        (["--sort", "optimizer.lr:desc"], ["b-1", "a-2", "a-1"]),
    ],
)
def test_runs_are_chosen_and_sorted(three: Path, fbmon: Fbmon, arguments: list[str], runs: list[str]) -> None:
    for command in ("compare", "runs"):
        said = fbmon(command, *arguments, "--csv", "--columns", "run")
        assert said.stdout.split() == ["run", *runs], said.stderr


def test_a_path_outside_the_runs_folder_is_compared_too_and_only_what_changes_is_shown(
    three: Path, fbmon: Fbmon
) -> None:
    elsewhere = three.parent / "else where"
    write_run(elsewhere, "c", story("c", (0.5, 0.75, 0.75)), ["seed=1", "optimizer.lr=0.4"])

    said = fbmon("compare", elsewhere, "a-1", "--only-changed", "--csv")

    assert said.stdout.splitlines()[0] == "run,reported,difference,clipped"
    assert [line.split(",")[0] for line in said.stdout.splitlines()[1:]] == ["c", "a-1"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["-state=never"],
            "fbmon: -state=never: no such state\n"
            "       the states are running, paused, stalled, finished, stopped, preempted, diverged, failed, killed, "
            "unknown, damaged\n",
        ),
        (["nothing"], "fbmon: nothing: no such run in {runs}\n       `fbmon runs` lists them\n"),
        (
            ["seed=7"],
            "fbmon: no run in {runs} matches seed=7\n"
            "       `fbmon runs` lists all, `fbmon run quickstart` starts one\n",
        ),
        (["--csv", "--json"], "fbmon: --csv --json: choose one of them\n"),
        (
            ["--sort", "loss:up"],
            "fbmon: --sort loss:up: what follows the colon must be one of "
            "final, best, best_step, min, max, last, asc, desc\n",
        ),
        (
            ["--columns", ","],
            "fbmon: --columns: names no column\n       for example --columns run,val_accuracy,time\n",
        ),
        (["--columns", "run,los"], "fbmon: unknown field 'los'\n       did you mean loss?\n"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(three: Path, fbmon: Fbmon, arguments: list[str], error: str) -> None:
    said = fbmon("compare", *arguments)
    assert (said.returncode, said.stdout, said.stderr) == (2, "", error.format(runs=three))


def test_a_damaged_run_is_listed_as_what_it_is_and_stops_no_other(three: Path, fbmon: Fbmon) -> None:
    good = (three / "a-1" / "journal.jsonl").read_bytes()
    for name, journal in {"torn": good[:-40], "holed": good[:600] + b"\0" * 90 + good[690:], "empty": b""}.items():
        write_run(three, name, [])
        (three / name / "journal.jsonl").write_bytes(journal)
    (three / "empty" / "resolved.toml").write_text("=")
    (three / "lost").mkdir()
    (three / "lost" / "meta.json").write_text("{")

    said = fbmon("runs", "--csv", "--columns", "run,state,step,damaged")

    assert (said.returncode, said.stderr) == (0, "")
    assert set(said.stdout.splitlines()[1:]) == {
        "a-1,finished,3,0", "a-2,finished,3,0", "b-1,killed,2,0",
        "torn,killed,3,0", "holed,finished,3,1", "empty,damaged,0,0", "lost,damaged,0,0",
    }  # fmt: skip
    assert "damaged lines" in fbmon("compare").stdout


def test_a_living_run_is_running_paused_or_stalled_by_its_last_sign_of_life(tmp_path: Path) -> None:
    import fcntl

    def state(name: str, *, paused: bool = False, progress: float | None = None) -> str:
        events = story(accuracies=(0.5, 0.5), state=None)
        if paused:
            events += [CommandTaken("pause", "a shell", elapsed=21.0), CommandTaken("checkpoint", "b", elapsed=22.0)]
        folder = write_run(tmp_path, name, events)
        if progress is not None:
            folder.progress.write_text("{}")
            os.utime(folder.progress, (progress, progress))
        with folder.lock.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return read(folder).state

    assert state("silent") == "stalled"  # its last event is months old
    assert state("paused", paused=True) == "paused"
    assert state("working", progress=time.time() - 20) == "running"
    assert state("stuck", progress=time.time() - 200) == "stalled"


def test_a_run_that_ends_while_runs_are_read_was_not_killed(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", story(state=None))
    before = summary.read(folder)
    folder.journal.write_bytes(lines(story()))

    assert read(folder, before).state == "finished"


def test_a_resumed_run_has_not_ended(tmp_path: Path) -> None:
    events = [*story(state="preempted"), *story(state=None)]
    ended = [event for event in events if isinstance(event, RunEnded)]

    run = read(RunFolder(write_run(tmp_path, "again", events).path))

    assert len(ended) == 1
    assert run.state == "killed"


def test_a_table_too_wide_for_its_terminal_is_stacked_and_loses_nothing_but_the_middle_of_names(three: Path) -> None:
    runs = select(three, [])
    runs = [replace(run, name=f"a-run-with-a-long-name-{run.name}") for run in runs]
    table = lay_out(runs, columns_for(runs, "run,state,val_accuracy,loss,seed,optimizer.lr", (), with_settings=False))

    assert ["".join(text(part)) for part in stacked(table, 44)] == [
        "run               state     val acc    loss\n"
        "a-run-wi…ame-b-1  killed     0.5000  0.5000\n"
        "a-run-wi…ame-a-2  finished   0.8500  0.3333\n"
        "a-run-wi…ame-a-1  finished   0.7500  0.3333\n",
        "run               seed  optimizer.lr\n"
        "a-run-wi…ame-b-1     1           0.8\n"
        "a-run-wi…ame-a-2     2           0.4\n"
        "a-run-wi…ame-a-1     1           0.4\n",
    ]
    for width in range(20, 200):
        parts = stacked(table, width)
        assert [column.name for part in parts for column in part.columns[1:]] == [
            column.name for column in table.columns[1:]
        ]
        for part in parts:
            assert max(map(len, text(part).splitlines())) <= max(width, 16 + 2 + len("optimizer.lr"))
    assert stacked(table, 200) == [table]


def test_hours_count_every_device_and_flop_every_step_and_a_variant_leaves_out_the_seed(tmp_path: Path) -> None:
    plan = TrainingStarted(3, 2, 64, 32, 1000, "2 ranks", "float32", flop_per_step=2e9, ranks=2)
    for seed, rate in ((0, 0.4), (1, 0.4), (0, 0.8)):
        told = story("a", (0.5, 0.75, 0.75), plan=plan)
        write_run(tmp_path, f"a-{seed}-{rate}", told, [f"seed={seed}", f"optimizer.lr={rate}"])
    runs = select(tmp_path, [])

    table = lay_out(runs, columns_for(runs, "flop,device_hours", (), with_settings=False))
    variants = {fields.find("variant", runs).value(run) for run in runs}

    assert [[cell.value for cell in row] for row in table.rows] == [[6e9, 2 * 30 / 3600]] * 3
    assert variants == {"a optimizer.lr=0.4", "a optimizer.lr=0.8"}
    assert fields.find("variant", runs).show("a optimizer.lr=0.4") == "a lr=0.4"


def test_a_run_that_goes_on_with_other_devices_took_hours_of_each_as_long_as_it_had_them(tmp_path: Path) -> None:
    wide = TrainingStarted(3, 2, 64, 32, 1000, "8 ranks", "float32", ranks=8, elapsed=3600.0)
    told = story(state=None, plan=msgspec.structs.replace(wide, ranks=1, elapsed=1.0))
    last = StepTaken(3, {"loss": 0.1}, elapsed=2 * 3600.0)
    write_run(tmp_path, "a", [*told, RunResumed("1", 8, elapsed=3599.0), wide, last])

    assert [fields.find("device_hours").value(run) for run in select(tmp_path, [])] == [1 + 8]


def test_signs_that_latex_reads_as_others_are_written_by_their_names() -> None:
    table = Table((Column("a", "a_b|c", is_right=False),), ((Cell("50% < 1 > 0 {x}\n", None),),))

    assert latex(table).splitlines()[2::2] == [
        r"a\_b\textbar{}c \\",
        r"50\% \textless{} 1 \textgreater{} 0 \{x\}� \\",
        r"\end{tabular}",
    ]


def test_names_that_are_cut_still_differ() -> None:
    variants = [f"quickstart steps={steps} lr={lr} momentum=0.9" for steps, lr in ((200, 0.4), (200, 0.8), (100, 0.8))]

    assert told_apart(variants, 20) == [
        f"…steps={steps} lr={lr} mo" for steps, lr in ((200, 0.4), (200, 0.8), (100, 0.8))
    ]
    assert told_apart(["quickstart-20260101", "quickstart-20270102"], 12) == ["quicks…60101", "quicks…70102"]
    assert told_apart(["short", "short"], 12) == ["short", "short"]
    for width in range(8, 40):
        hard = [f"{'x' * 30}{number:02}{'y' * 30}" for number in range(30)]
        cut = told_apart([*variants, *hard], width)
        assert len(set(cut)) == 33, cut
        assert max(map(len, cut)) <= width
