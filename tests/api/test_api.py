"""fbmon from Python: the numbers of a run as they were told, and runs that are started, waited for and stopped."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fbmon as package
from fbmon.errors import RecipeError, UsageError
from tests.conftest import Ended
from tests.runs import story, write_run
from tests.shell import Fbmon

DOCS = Path(__file__).parents[2] / "docs"


def test_a_run_is_read_as_it_is_exported(finished: dict[str, Ended], fbmon: Fbmon, tmp_path: Path) -> None:
    folder = finished["plain"].folder
    run = package.read(folder.path)
    assert fbmon("export", folder.path, "--to", "jsonl", "--out", tmp_path).returncode == 0
    exported = [json.loads(line) for line in next(tmp_path.glob("*.jsonl")).read_text().splitlines()]
    assert (run.state, run.step, run.steps, run.name) == ("finished", len(exported), len(exported), folder.name)
    for name in ("loss", "grad_norm", "val_accuracy"):
        told = [(row["step"], row[name]) for row in exported if name in row]
        assert run[name].steps.tolist() == [step for step, _ in told]
        assert run[name].values.tolist() == [value for _, value in told]
    assert 1 < len(run["val_accuracy"].steps) < len(run["loss"].steps)
    assert (run.settings["optimizer.lr"], run.settings["data.dataset"]) == (0.1, "digits")
    assert [type(event).__name__ for event in run.events[:1] + run.events[-1:]] == ["RunStarted", "RunEnded"]
    assert any("best validation accuracy" in note.text for note in run.notes)
    with pytest.raises(KeyError, match=r"perplexity: not a metric of .*, which has loss"):
        run["perplexity"]


def test_a_table_for_pandas_has_a_row_a_step_and_nothing_where_nothing_was_told(finished: dict[str, Ended]) -> None:
    run = package.read(finished["plain"].folder.path)
    table = run.to_pandas()
    assert table.index.tolist() == run["loss"].steps.tolist()
    assert table["loss"].tolist() == run["loss"].values.tolist()
    assert table["val_accuracy"].dropna().tolist() == run["val_accuracy"].values.tolist()


def test_a_run_that_grows_that_is_torn_and_that_is_none(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "torn", story(accuracies=(0.5, 0.7), state=None))
    before = package.read("torn", tmp_path)
    with folder.journal.open("ab") as journal:
        journal.write(b'{"kind": "StepTa')
    again = package.read(folder.path)
    assert (before.state, again.state) == ("killed", "killed")
    assert np.array_equal(before["val_accuracy"].values, again["val_accuracy"].values)
    with pytest.raises(UsageError, match="tron: no such run") as raised:
        package.read("tron", tmp_path)
    assert raised.value.__notes__ == ["did you mean torn?"]


def test_a_run_is_started_waited_for_and_stopped(tiny: Path, runs_dir: Path) -> None:
    training = package.start(
        tiny, {"optimizer.lr": 0.2, "model.name": "mlp"}, steps=5, devices="cpu", runs_dir=runs_dir
    )
    assert training.wait(120) == "finished"
    run = training.read()
    assert (run.step, run.settings["optimizer.lr"], run.settings["model.name"]) == (5, 0.2, "mlp")
    endless = package.start(tiny, steps=1_000_000, devices="cpu", name="endless", runs_dir=runs_dir)
    with pytest.raises(TimeoutError, match=r"endless-.* has not ended in 0\.01 s"):
        endless.wait(0.01)
    endless.stop()
    assert endless.wait(120) == "stopped"
    assert endless.path == runs_dir / endless.name


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"optimizer.lrr": 1.0}, "--set optimizer.lrr=1.0: unknown key optimizer.lrr; did you mean optimizer.lr?"),
        ({"optimizer.lr": "high"}, '--set optimizer.lr="high": optimizer.lr = "high": must be a number'),
        ({"optimizer.lr": object}, "optimizer.lr = <class 'object'>: is no setting: "),
        ({"model.args": {"depth": 1}}, "each of its settings is given by its own key, such as model.args.depth"),
    ],
)
def test_a_faulty_setting_is_refused_and_nothing_is_started(
    settings: dict[str, object], told: str, tiny: Path, runs_dir: Path
) -> None:
    with pytest.raises((RecipeError, UsageError), match=re.escape(told)):
        package.start(tiny, settings, runs_dir=runs_dir)
    assert not runs_dir.exists()


def test_the_package_is_imported_without_what_it_does_not_need(finished: dict[str, Ended]) -> None:
    heavy = "{'torch', 'textual', 'typer', 'numpy', 'pandas', 'msgspec', 'pydantic'} & {*sys.modules}"
    script = f"import sys, fbmon; print({heavy}); fbmon.read(sys.argv[1])['loss']; print('torch' in sys.modules)"
    command = [sys.executable, "-c", script, str(finished["plain"].folder.path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["set()", "False"]


@pytest.mark.parametrize(("guide", "least"), [("python.md", 5), ("track.md", 1)])
def test_the_guides_do_what_they_say(guide: str, least: int, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / guide).read_text(), re.DOTALL)
    script = tmp_path / "guide.py"
    script.write_text("\n".join(blocks))
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert len(blocks) >= least
    assert package.read(None, tmp_path / "runs").state == "finished"
