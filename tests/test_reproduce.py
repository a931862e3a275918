"""The paper's tables as lists of runs: what is run, what is found to be done, and the table in the end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fbmon import recipe as recipes
from fbmon import reproduce
from fbmon.errors import UsageError
from fbmon.ranks.devices import deal
from fbmon.run import RunFolder
from tests.gate import Gate
from tests.runs import story, write_run
from tests.shell import DEADLINE, Fbmon, last_word, until, wait_for_steps
from tests.terminal import Terminal

# The two rows of the table `lr`, as small as they can be.
SMALL = [
    f"--set={setting}"
    for setting in (
        "data.dataset=digits", "data.augment=none", "data.limit=32", "data.val_limit=16", "model.name=resnet8",
        "model.width=4", "gradient.block=16", "gradient.drop_last=false", "steps=2",
    )
]  # fmt: skip


def test_every_shipped_recipe_but_the_quickstart_is_a_row_of_one_table_in_the_order_of_the_paper() -> None:
    tables = reproduce.tables()

    assert sorted(name for names in tables.values() for name in names) == sorted(
        recipes.shipped().keys() - {"quickstart", "digits/edge"}
    )
    assert tables["main"] == [
        "sgd", "fb_baseline", "fb_longer", "fb_clipped", "fb_regularized", "fb_strong_reg", "fb_practice",
    ]  # fmt: skip
    assert tables["digits"] == [f"digits/{name}" for name in tables["main"]]


def test_seeds_are_lists_and_ranges_and_each_is_run_for_all_rows_before_the_next() -> None:
    assert reproduce.parse_seeds("3,0-2,1") == [3, 0, 1, 2]
    tasks = reproduce.tasks("lr", [0, 7], ["steps=5"])
    assert [(task.recipe.name, task.recipe.seed, task.recipe.steps) for task in tasks] == [
        ("lr-fb_regularized_lr0.4", 0, 5), ("lr-fb_regularized_lr1.6", 0, 5),
        ("lr-fb_regularized_lr0.4", 7, 5), ("lr-fb_regularized_lr1.6", 7, 5),
    ]  # fmt: skip


@pytest.mark.parametrize("seeds", ["", "a", "2-1", "0-99999", "-1", "1,,2"])
def test_seeds_that_are_none_are_refused(seeds: str) -> None:
    with pytest.raises(UsageError, match="must be whole numbers"):
        reproduce.parse_seeds(seeds)


def test_a_run_counts_as_done_by_its_settings_and_its_state_and_not_by_its_name(tmp_path: Path) -> None:
    (task,) = (task for task in reproduce.tasks("digits", [1], ["steps=2"]) if task.recipe.name == "digits-sgd")

    def write(name: str, state: str | None, *settings: str, recipe: str = "digits/sgd") -> None:
        write_run(tmp_path, name, story(state=state), ["steps=2", *settings], recipe)  # type: ignore[arg-type]

    write("other-seed", "finished", "seed=2")
    write("other-recipe", "finished", "seed=1", recipe="digits/fb_baseline")
    write("killed", None, "seed=1")
    write("stopped", "stopped", "seed=1")
    write("failed", "failed", "seed=1")
    assert reproduce.done(task, tmp_path) is None
    write("diverged", "diverged", "seed=1", "target.val_accuracy=0.5", "target.source=elsewhere")
    found = reproduce.done(task, tmp_path)
    assert found is not None
    assert found.name == "diverged"
    written = RunFolder(found.path).resolved
    written.write_text(written.read_text().replace('running_statistics = "momentum"\n', ""))
    assert reproduce.done(task, tmp_path), "of an older fbmon, which had fewer settings"
    written.write_text(written.read_text().replace("width = ", "width = 1"))
    assert reproduce.done(task, tmp_path) is None


def test_a_table_is_run_once_and_then_only_read(fbmon: Fbmon, runs_dir: Path) -> None:
    command = ["reproduce", "lr", *SMALL]

    first = fbmon(*command, "--no-ui")
    started = sorted(path.name for path in runs_dir.iterdir())
    again = fbmon(*command, "--no-ui")
    groups = json.loads(fbmon(*command, "--json").stdout)["groups"]
    costs = json.loads(fbmon(*command, "--seeds", "0-1", "--dry-run", "--json").stdout)

    assert (first.returncode, first.stderr) == (0, "")
    assert [name.rpartition("-seed0-")[0] for name in started] == ["lr-fb_regularized_lr0.4", "lr-fb_regularized_lr1.6"]
    assert sorted(path.name for path in runs_dir.iterdir()) == started
    table = first.stdout.splitlines()[-3:]
    assert " ".join(table[0].split()) == "recipe n reported val acc difference best val acc clipped time state"
    assert [row.split()[:2] for row in table[1:]] == [
        ["lr-fb_regularized_lr0.4", "1"],
        ["lr-fb_regularized_lr1.6", "1"],
    ]
    assert again.stdout.splitlines()[-3:] == table
    assert again.stdout.splitlines()[0].endswith(": already finished")
    assert [group["n"] for group in groups] == [1, 1]
    assert [(cost["done"], cost["to_do"]) for cost in costs] == [(1, 1), (1, 1)]
    assert all(cost["flop"] > 0 and cost["seconds"] > 0 for cost in costs)


def test_stopped_in_the_middle_it_goes_on_with_the_runs_that_are_missing(fbmon: Fbmon, runs_dir: Path) -> None:
    command = ["reproduce", "lr", *SMALL, "--no-ui", "--set=steps=100000"]
    screen = fbmon.start(*command)
    until(lambda: any(path.name.startswith("lr-") for path in runs_dir.glob("*")) and fbmon.run_folder().lock.exists())

    screen.send_signal(2)
    stdout, _ = screen.communicate(timeout=DEADLINE)

    assert screen.returncode == 130
    assert stdout.splitlines()[-1] == "run the same command to continue"
    assert len(list(runs_dir.iterdir())) == 1


def test_devices_are_dealt_out_in_equal_shares() -> None:
    gpus = ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
    assert deal(gpus, 4) == gpus
    assert deal(gpus, 2) == ["cuda:0,cuda:1", "cuda:2,cuda:3"]
    assert deal(["cpu"] * 4, 2) == ["cpu:2", "cpu:2"]
    assert deal(["auto"], 1) == ["auto"]
    with pytest.raises(UsageError, match="--jobs 3: 4 devices cannot be divided evenly among so many"):
        deal(gpus, 3)


def test_each_device_has_a_run_at_a_time_and_a_stop_stops_all_and_the_same_command_goes_on(
    fbmon: Fbmon, runs_dir: Path
) -> None:
    command = ["reproduce", "lr", *SMALL, "--no-ui", "--devices", "cpu:2"]
    long = fbmon.start(*command, "--set=steps=4000", "--set=checkpoint.every=1")
    folders = until(lambda: found if len(found := sorted(runs_dir.glob("lr-*"))) == 2 else None)
    for folder in folders:
        wait_for_steps(RunFolder(folder))
    assert all(RunFolder(folder).is_alive() for folder in folders)

    long.send_signal(2)
    stdout, stderr = long.communicate(timeout=DEADLINE)

    assert long.returncode == 130
    hint = "press Ctrl-C again to stop at once without saving"
    assert stderr == f"stopping all runs at their next block and saving; {hint}\n"
    assert [line.partition(": ")[2] for line in stdout.splitlines()[:2]] == ["started on cpu", "started on cpu"]
    assert stdout.splitlines()[-1] == "run the same command to continue"
    ended = [last_word(RunFolder(folder)) for folder in folders]
    assert [word.state for word in ended if word] == ["stopped", "stopped"]

    again = fbmon.start(*command, "--set=steps=4000", "--set=checkpoint.every=1")
    until(lambda: all(RunFolder(folder).is_alive() for folder in folders))
    again.send_signal(2)
    stdout, _ = again.communicate(timeout=DEADLINE)
    assert [line.partition(": ")[2] for line in stdout.splitlines()[:2]] == ["resumed on cpu", "resumed on cpu"]
    assert sorted(runs_dir.glob("lr-*")) == folders

    done = fbmon(*command, "--seeds", "0-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert [row.split()[:2] for row in done.stdout.splitlines()[-2:]] == [
        ["lr-fb_regularized_lr0.4", "2"],
        ["lr-fb_regularized_lr1.6", "2"],
    ]


def test_a_full_screen_says_which_run_of_how_many_it_shows(terminal: Callable[..., Terminal], gate: Gate) -> None:
    terminal("reproduce", "lr", *SMALL, "--seeds", "0,1", **gate.variables).until(r"run 1 of 4: lr-fb_reg")
