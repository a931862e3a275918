"""`fbmon runs`, `stop` and `compare`: the truth about runs in the background."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fbmon.events import RunEnded
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from tests.conftest import Ended
from tests.runs import story, write_run
from tests.shell import DEADLINE, ENDLESS, Fbmon, environment, last_word, processes, wait_for_steps


def copy(ended: Ended, runs_dir: Path, name: str, last: RunEnded | None) -> None:
    """A run as it would lie there had it ended with another last word, or with none."""
    folder = RunFolder(runs_dir / name)
    shutil.copytree(ended.folder.path, folder.path)
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(lines[:-1]))
    if last:
        journal = Journal(folder.journal)
        journal.append(last)
        journal.close()


def test_a_detached_run_goes_on_until_it_is_stopped_and_saves_its_state(tiny: Path, fbmon: Fbmon) -> None:
    started = fbmon("run", tiny, "--steps", ENDLESS, "--detach")
    folder = fbmon.run_folder()
    assert (started.returncode, started.stderr) == (0, "")
    assert started.stdout == f"{folder.path}\nwatch it with: fbmon watch {folder.name}\n"
    wait_for_steps(folder)
    (listed,) = json.loads(fbmon("runs", "--json").stdout)
    assert (listed["run"], listed["state"], listed["recipe"], listed["steps"]) == (
        folder.name,
        "running",
        "tiny",
        100000,
    )

    stopped = fbmon("stop")

    ended = last_word(folder)
    assert ended is not None
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert (
        stopped.stdout.splitlines()[0]
        == f"asked {folder.name} to stop at its next block; waiting until its state is saved"
    )
    assert (ended.state, ended.exit_code) == ("stopped", 130)
    assert max(path.name for path in folder.checkpoints.iterdir()) == f"step-{ended.step:08d}"
    assert list(folder.inbox.iterdir()) == []
    assert processes(folder.path) == []
    (listed,) = json.loads(fbmon("runs", "--json").stdout)
    assert (listed["state"], listed["step"]) == ("stopped", ended.step)


def test_stopping_what_has_ended_says_how_it_ended(finished: dict[str, Ended], fbmon: Fbmon) -> None:
    nothing = fbmon("stop")
    ended = fbmon("stop", finished["plain"].folder.path)

    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr == f"fbmon: no run is running in {fbmon.runs_dir}\n       `fbmon runs` lists them all\n"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{finished['plain'].folder.name} has already ended: finished\n"


def test_the_list_of_runs_tells_finished_stopped_failed_and_killed_apart(
    finished: dict[str, Ended], fbmon: Fbmon
) -> None:
    copy(finished["plain"], fbmon.runs_dir, "a-finished", RunEnded("finished", 0, 40))
    copy(finished["plain"], fbmon.runs_dir, "b-stopped", RunEnded("stopped", 130, 40, "on request"))
    copy(finished["plain"], fbmon.runs_dir, "c-failed", RunEnded("failed", 1, 40, "no disk"))
    copy(finished["plain"], fbmon.runs_dir, "d-killed", None)

    table = fbmon("runs").stdout
    listed = json.loads(fbmon("runs", "--json").stdout)

    assert re.search(r"  step  val acc  best val acc +time +last seen$", table.split("\n")[0])
    states = {"a-finished": "finished", "b-stopped": "stopped", "c-failed": "failed", "d-killed": "killed"}
    assert {run["run"]: run["state"] for run in listed} == states
    for name, state in states.items():
        assert re.search(rf"^{name} +tiny +{state} +40/40 +0\.\d{{4}} ", table, re.MULTILINE), table


def test_a_gpu_that_no_machine_has_is_wrong_usage_and_nothing_is_started(
    tiny: Path, fbmon: Fbmon, finished: dict[str, Ended]
) -> None:
    copy(finished["plain"], fbmon.runs_dir, "stopped", RunEnded("stopped", 130, 20, "on request"))
    before = (fbmon.runs_dir / "stopped" / "journal.jsonl").read_bytes()

    for command in (["run", tiny], ["resume", "stopped"]):
        said = fbmon(*command, "--devices", "cuda:999", "--no-ui")
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr.startswith("fbmon: --devices cuda:999: this machine has ")
    assert [path.name for path in fbmon.runs_dir.iterdir()] == ["stopped"]
    assert (fbmon.runs_dir / "stopped" / "journal.jsonl").read_bytes() == before


def test_what_no_option_takes_is_said_in_a_sentence(fbmon: Fbmon) -> None:
    wrong = {
        ("run", "quickstart", "--seed", "abc"): "--seed abc: must be a whole number",
        ("run", "quickstart", "--steps=0"): "--steps 0: must be at least 1",
        ("run", "quickstart", "--stall-limit", "long"): "--stall-limit long: must be a number",
        ("export", "x", "--to", "htm"): "--to htm: must be one of tensorboard, csv, jsonl, svg, html\n"
        "       did you mean html?",
    }
    for command, error in wrong.items():
        said = fbmon(*command)
        assert (said.returncode, said.stdout, said.stderr) == (2, "", f"fbmon: {error}\n")


def test_the_nearest_run_is_named_where_there_is_none_of_a_name(finished: dict[str, Ended], fbmon: Fbmon) -> None:
    copy(finished["plain"], fbmon.runs_dir, "lr08-20261121-050222", RunEnded("finished", 0, 40))

    for command in ("watch", "export", "compare", "resume"):
        said = fbmon(command, "lr09")
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr == f"fbmon: lr09: no such run in {fbmon.runs_dir}\n       did you mean lr08?\n"
    for command in ("runs", "compare"):
        said = fbmon(command, "state:runing")
        assert said.returncode == 2
        assert said.stderr == "fbmon: state:runing: no such state\n       did you mean running?\n"
    none = fbmon("runs", "state:running")
    assert (none.returncode, none.stderr) == (0, "")
    assert none.stdout == f"no run in {fbmon.runs_dir} matches state:running; `fbmon runs` lists all\n"


def test_no_runs_are_said_to_be_none(fbmon: Fbmon) -> None:
    listed = fbmon("runs")

    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout == f"no run in {fbmon.runs_dir}; start one with: fbmon run quickstart\n"
    assert fbmon("runs", "--json").stdout == "[]\n"


def test_comparing_two_runs_names_the_settings_in_which_they_differ(finished: dict[str, Ended], fbmon: Fbmon) -> None:
    copy(finished["plain"], fbmon.runs_dir, "one", RunEnded("finished", 0, 40))
    copy(finished["plain"], fbmon.runs_dir, "two", RunEnded("finished", 0, 40))
    two = RunFolder(fbmon.runs_dir / "two")
    two.resolved.write_text(two.resolved.read_text().replace("seed = 0", "seed = 1").replace("lr = 0.1", "lr = 0.05"))

    table = json.loads(fbmon("compare", "one", "two", "--json").stdout)

    assert table["differing"] == ["seed", "optimizer.lr"]
    assert [row["run"] for row in table["runs"]] == ["one", "two"]
    assert [row["settings"]["seed"] for row in table["runs"]] == [0, 1]
    assert [row["settings"]["optimizer.lr"] for row in table["runs"]] == [0.1, 0.05]
    assert [(row["state"], row["step"], row["steps"]) for row in table["runs"]] == [("finished", 40, 40)] * 2


def test_a_failed_run_names_its_log_however_long_its_reason(finished: dict[str, Ended], fbmon: Fbmon) -> None:
    copy(finished["plain"], fbmon.runs_dir, "failed", RunEnded("failed", 1, 40, "x" * 5000, "free some memory"))

    watched = fbmon("watch", "failed")

    assert watched.returncode == 1
    assert re.fullmatch(
        r"failed after step 40 of 40 in \S+( s)?: x{399}… \(free some memory\); "
        rf"log: {fbmon.runs_dir}/failed/trainer.log",
        watched.stdout.splitlines()[-1],
    )


def test_a_run_with_damaged_files_is_listed_and_compared_all_the_same(finished: dict[str, Ended], fbmon: Fbmon) -> None:
    copy(finished["plain"], fbmon.runs_dir, "damaged", None)
    folder = RunFolder(fbmon.runs_dir / "damaged")
    folder.journal.write_bytes(b"\0\xff{}\n" * 9)
    folder.resolved.write_bytes(b"\xff")
    folder.progress.write_bytes(b"{")
    folder.meta.write_bytes(b"[")

    for command in (["runs"], ["runs", "--json"], ["compare"], ["compare", "--json"]):
        said = fbmon(*command)
        assert (said.returncode, said.stderr) == (0, "")
        assert "damaged" in said.stdout
    watched = fbmon("watch", "damaged")
    assert (watched.returncode, watched.stderr) == (4, "")
    assert watched.stdout == f"the run died without saying why; its log: {folder.log}\n"


def test_meta_json_says_how_a_run_was_started(finished: dict[str, Ended]) -> None:
    folder = finished["json"].folder
    meta = json.loads(folder.meta.read_text())

    assert meta["name"] == folder.name
    assert meta["command"][-4:] == ["--name", "json", "--ui", "json"]
    assert meta["devices"] == "auto"
    assert meta["recipe_file"] == str(folder.path.parents[2] / "tiny.toml")


@pytest.mark.parametrize("command", ["runs", "compare --json", "watch", "recipe list", "--help", "resume"])
def test_where_nothing_can_be_printed_it_is_said_in_a_sentence(
    command: str, finished: dict[str, Ended], fbmon: Fbmon
) -> None:
    folder = finished["plain"].folder
    with Path("/dev/full").open("wb") as full:
        said = subprocess.run(
            [sys.executable, "-m", "fbmon", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(folder.path.parent),
            timeout=DEADLINE,
            check=False,
        )
    watched_to_its_end = command == "watch"
    assert said.stderr == b"fbmon: standard output: No space left on device\n       make room on the disk\n"
    assert said.returncode == (0 if watched_to_its_end else 1)


def test_what_the_locale_has_no_signs_for_is_printed_all_the_same(runs_dir: Path, fbmon: Fbmon) -> None:
    for seed in (1, 2):
        write_run(runs_dir, f"a-{seed}", story("a", (0.5, 0.25 * seed)), [f"seed={seed}"])
    said = fbmon("compare", "--group", "recipe", "--columns", "val_accuracy,reported", PYTHONIOENCODING="ascii")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines()[1].split() == ["a", "2", "0.3750", "?", "0.1768", "?"]
