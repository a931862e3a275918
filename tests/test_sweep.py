"""Sweeps: which runs they are, that none is repeated, and the table in the end."""

import json
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from fbmon import reproduce, sweep
from tests.runs import lines, story
from tests.shell import Fbmon

VALUES = st.one_of(
    st.integers(0, 99).map(str),
    st.sampled_from(["0.5", "sgd", '"a,b"', r'"\",\\"', "'it, is'", "[1, 2]", '{ a = [1, 2], b = "]" }', "true"]),
)


@hypothesis.given(st.lists(VALUES, min_size=1, max_size=5, unique=True))
def test_commas_part_values_unless_they_stand_within_one(values: list[str]) -> None:
    assert sweep.values_of(f"optimizer.lr={','.join(values)}") == ("optimizer.lr", values)


def test_every_combination_is_run_for_all_before_the_next_seed_and_is_named_after_its_values(tiny: Path) -> None:
    tasks = sweep.tasks(tiny, ["optimizer.lr=0.1,0.2", "schedule.name=cosine,constant", "steps=3"], [0, 7])
    assert [(task.recipe.name, task.recipe.seed, task.recipe.optimizer.lr) for task in tasks[:5]] == [
        ("tiny-lr0.1-cosine", 0, 0.1), ("tiny-lr0.1-constant", 0, 0.1),
        ("tiny-lr0.2-cosine", 0, 0.2), ("tiny-lr0.2-constant", 0, 0.2),
        ("tiny-lr0.1-cosine", 7, 0.1),
    ]  # fmt: skip
    assert {task.recipe.steps for task in tasks} == {3}
    assert len(tasks) == 8
    same = sweep.tasks(tiny, ["optimizer.lr=0.1,1e-1,0.2", "seed=5"], [])
    assert [(task.recipe.name, task.recipe.seed) for task in same] == [("tiny-lr0.1", 5), ("tiny-lr0.2", 5)]
    odd = sweep.tasks(tiny, ["model.name=torchvision:resnet18,torchvision:ResNet"], [])
    assert [task.recipe.name for task in odd] == ["tiny-torchvision_resnet18", "tiny-torchvision_resnet"]
    many = [f"{key}=1,2" for key in ("checkpoint.every", "data.val_limit", "data.limit", "validation.every")]
    many += ["gradient.accumulation=exact,fp32", "divergence.steps=20000000,30000000"]
    assert [task.recipe.name for task in sweep.tasks(tiny, many, [])][-1] == "tiny-64"


def test_a_run_of_other_code_is_another_run(tiny: Path, tmp_path: Path) -> None:
    net = tiny.parent / "net.py"
    net.write_text("from torch import nn\n\nclass Net(nn.Module):\n    pass\n")
    (task,) = sweep.tasks(tiny, ["model.name=net.py:Net"], [])
    folder = reproduce.start_folder(task, tmp_path / "runs", "cpu", tmp_path)
    folder.journal.write_bytes(lines(story(state="finished")))
    assert reproduce.done(task, tmp_path / "runs")
    net.write_text("from torch import nn\n\nclass Net(nn.Linear):\n    pass\n")
    (task,) = sweep.tasks(tiny, ["model.name=net.py:Net"], [])
    assert reproduce.done(task, tmp_path / "runs") is None


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimizer.lr=0.1,,0.2", "a value is missing between two commas"),
        ("optimizer.lr", "must read section.key=value"),
        ("optimizer.lrr=1,2", "unknown key optimizer.lrr; did you mean optimizer.lr?"),
        (f"seed={','.join(map(str, range(1001)))}", "the sweep has 1,001 runs, but at most 1,000 can be asked for"),
    ],
)
def test_what_is_no_sweep_is_refused_before_anything_starts(override: str, told: str, tiny: Path, fbmon: Fbmon) -> None:
    refused = fbmon("sweep", tiny, "--set", override)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in refused.stderr
    assert not fbmon.runs_dir.exists()


def test_a_sweep_over_numbers_is_judged_by_loss_and_repeats_nothing(tiny: Path, fbmon: Fbmon) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savez(tiny.parent / "mine.npz", x=x, y=x.sum(1))
    settings = ["data.dataset=mine.npz", "data.val_share=0.2", "model.name=mlp", "loss.name=mse", "steps=2"]
    command = ["sweep", str(tiny), *(f"--set={setting}" for setting in settings), "--set=optimizer.lr=0.01,0.1"]
    first = fbmon(*command, "--devices", "cpu:2", "--no-ui")
    assert first.returncode == 0, first.stderr
    assert sum("on cpu" in line for line in first.stdout.splitlines()) == 2, "one on each of the two at a time"
    again = fbmon(*command, "--json", "--no-ui", "--devices", "cpu")
    groups = json.loads(again.stdout[again.stdout.index("{") :])["groups"]
    assert again.stdout.count("already finished") == 2
    assert [group["recipe"] for group in groups] == ["tiny-lr0.01", "tiny-lr0.1"]
    assert all(group["val_loss"]["n"] == 1 for group in groups)
    assert len(list(fbmon.runs_dir.iterdir())) == 2
