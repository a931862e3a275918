"""What is exported reads back equal: CSV and JSON lines, TensorBoard's own reader; pictures and reports are whole."""

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fbmon.compare import Run, read
from fbmon.events import DeviceSampled, StepTaken, Validated
from fbmon.export import export
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from tests.runs import BEGAN, story, write_run
from tests.shell import Fbmon

ACCURACIES = (0.1, 1 / 3, 0.7)
TARGET = ["target.val_accuracy=0.8", "target.source=somewhere", "clip.norm=0.25"]


@pytest.fixture
def folder(runs_dir: Path) -> RunFolder:
    """Three steps, the second clipped; a gradient norm that is never known."""
    return write_run(runs_dir, "one", story(accuracies=ACCURACIES, clipped=(2,)), TARGET)


@pytest.fixture
def run(folder: RunFolder) -> Run:
    return read(folder)


def test_csv_has_units_and_every_number_reads_back_equal(run: Run, tmp_path: Path) -> None:
    (written,) = export([run], "csv", tmp_path, force=False)
    rows = list(csv.DictReader(written.read_text().splitlines()))

    assert written == tmp_path / "one.csv"
    assert list(rows[0]) == [
        "step", "time [s since 1970]", "elapsed [s]", "clipped [0/1]", "loss", "grad_norm", "step_seconds [s]",
        "val_loss", "val_accuracy",
    ]  # fmt: skip
    assert [float(row["val_accuracy"]) for row in rows] == list(ACCURACIES)
    assert [float(row["loss"]) for row in rows] == [1, 1 / 2, 1 / 3]
    assert [row["grad_norm"] for row in rows] == ["", "", ""]
    assert [row["clipped [0/1]"] for row in rows] == ["0", "1", "0"]
    assert [float(row["time [s since 1970]"]) for row in rows] == [BEGAN + 10, BEGAN + 20, BEGAN + 30]


def test_json_lines_are_one_flat_object_a_step(run: Run, tmp_path: Path) -> None:
    (written,) = export([run], "jsonl", tmp_path, force=False)

    assert [json.loads(line) for line in written.read_text().splitlines()][1] == {
        "step": 2, "time": BEGAN + 20, "elapsed": 20.0, "clipped": True,
        "loss": 0.5, "grad_norm": None, "step_seconds": 10.0, "val_accuracy": 1 / 3, "val_loss": 1.0,
    }  # fmt: skip


def test_a_step_that_was_taken_again_is_exported_as_it_was_the_last_time(runs_dir: Path, tmp_path: Path) -> None:
    events = [*story(accuracies=(0.1, 0.2, 0.3), clipped=(3,)), *story(accuracies=(0.1, 0.9))[2:]]
    run = read(write_run(runs_dir, "again", events))

    (written,) = export([run], "jsonl", tmp_path, force=False)

    told = [json.loads(line) for line in written.read_text().splitlines()]
    assert [(row["step"], row["val_accuracy"], row["clipped"]) for row in told] == [
        (1, 0.1, False), (2, 0.9, False), (3, 0.3, True),
    ]  # fmt: skip


def test_tensorboards_own_reader_finds_every_value_at_its_step_and_time(
    run: Run, folder: RunFolder, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboardX")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    telemetry = Journal(folder.telemetry)
    telemetry.append(DeviceSampled("cpu", 50.0, 1.0, 2.0))
    telemetry.close()

    (written,) = export([run], "tensorboard", tmp_path, force=False)
    export([run], "tensorboard", tmp_path, force=True)  # takes the place of the first one

    found = accumulator.EventAccumulator(str(written), size_guidance={"scalars": 0}).Reload()
    scalars = {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    assert scalars.keys() == {
        "loss/loss", "loss/val_loss", "accuracy/val_accuracy", "step_time/step_seconds", "gradient/clipped",
        "device cpu/utilization", "device cpu/memory_mib",
    }  # fmt: skip
    assert [step for step, _ in scalars["accuracy/val_accuracy"]] == [1, 2, 3]
    assert [value for _, value in scalars["accuracy/val_accuracy"]] == pytest.approx(ACCURACIES, rel=1e-7)
    assert scalars["gradient/clipped"] == [(1, 0.0), (2, 1.0), (3, 0.0)]
    assert [one.wall_time for one in found.Scalars("loss/loss")] == [BEGAN + 10, BEGAN + 20, BEGAN + 30]
    (recipe,) = found.Tensors("recipe/text_summary")
    assert b"val_accuracy = 0.8" in recipe.tensor_proto.string_val[0]


def points(svg: str, colour: str) -> list[tuple[float, float]]:
    """Where the strokes of this colour go, in pixels."""
    paths = re.findall(rf'<path d="([^"]+)" fill="none" stroke="{colour}"', svg)
    return [(float(x), float(y)) for path in paths for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)]


def test_a_picture_has_its_curves_marks_and_levels_and_no_spike_is_lost(runs_dir: Path, tmp_path: Path) -> None:
    events = story(accuracies=[0.5] * 5000, clipped=(4000,))
    spike = [
        StepTaken(event.step, {"loss": 100.0 if event.step == 2345 else 1.0, "grad_norm": 1.0}, elapsed=event.elapsed)
        if isinstance(event, StepTaken)
        else event
        for event in events
        if not isinstance(event, Validated)
    ]
    run = read(write_run(runs_dir, "spiky", spike, TARGET))

    (written,) = export([run], "svg", tmp_path, force=False)
    svg = written.read_text()

    ElementTree.fromstring(svg)
    loss = points(svg.split("<g ")[1], "#0072b2")
    assert len(loss) <= 2 * 460, "two points for each pixel column are enough"
    (x, y) = min(loss, key=lambda point: point[1])
    assert x == pytest.approx(58 + 2345 / 5000 * (460 - 58 - 14), abs=1)
    assert y < 50
    assert sum(point[1] < 180 for point in loss) <= 3, "the spike, and the line to it and from it"
    assert "1 step clipped" in svg
    assert "clip 0.25" in svg


def test_a_report_holds_all_and_fetches_nothing(run: Run, runs_dir: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    other = read(write_run(runs_dir, "two", story(recipe=hostile, accuracies=(0.5, 0.6)), ["optimizer.lr=0.1"]))

    (alone,) = export([run], "html", tmp_path, force=False)
    (both,) = export([run, other], "html", tmp_path, force=False)

    page = alone.read_text()
    assert alone.name == "one.html"
    assert both.name == "comparison.html"
    for expected in (
        "finished after step 3 of 3 in 0:30; 1 step clipped",
        "reported 0.8",
        "val_accuracy = 0.8",
        "abc",
    ):
        assert expected in page
    text = both.read_text()
    assert "&lt;script&gt;" in text
    for forbidden in ("<script", "\x1b", "http://", "https://", "url(", "@import", "src="):
        assert forbidden not in text.replace("http://www.w3.org/2000/svg", ""), forbidden
    assert '<td>optimizer.lr</td><td class="right">0.6</td><td class="right">0.1</td>' in text


@pytest.mark.parametrize("to", ["csv", "jsonl", "svg", "html"])
def test_files_are_utf8_whatever_the_locale(to: str, run: Run, fbmon: Fbmon, tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for out, variables in (("usual", {}), ("ascii", ascii_only)):
        said = fbmon("export", run.name, "--to", to, "--out", tmp_path / out, **variables)
        assert (said.returncode, said.stderr) == (0, "")
    written = [[path.read_bytes() for path in (tmp_path / out).iterdir()] for out in ("usual", "ascii")]
    assert written[0] == written[1]


def test_nothing_is_overwritten_unless_it_was_asked_for(run: Run, fbmon: Fbmon) -> None:
    first = fbmon("export", run.path, "--to", "csv", "--out", "here")
    again = fbmon("export", run.path, "--to", "csv", "--out", "here")
    forced = fbmon("export", run.path, "--to", "csv", "--out", "here", "--force")

    assert (first.returncode, first.stdout, first.stderr) == (0, "here/one.csv\n", "")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == (
        "fbmon: here/one.csv already exists; nothing was written\n"
        "       --force overwrites it, --out names another folder\n"
    )
    assert (forced.returncode, forced.stdout) == (0, "here/one.csv\n")


def test_all_that_is_in_the_way_is_named_and_nothing_is_written(run: Run, fbmon: Fbmon) -> None:
    for name in ("two", "three"):
        write_run(fbmon.runs_dir, name, story())
    here = fbmon.runs_dir.parent / "here"
    here.mkdir()
    for name in ("one.csv", "three.csv"):
        (here / name).write_text("mine")

    refused = fbmon("export", "one", "two", "three", "--to", "csv", "--out", "here")

    assert (refused.returncode, refused.stdout) == (2, "")
    named = sorted(re.findall(r"here/\w+\.csv", refused.stderr.splitlines()[0]))
    assert named == ["here/one.csv", "here/three.csv"]
    assert refused.stderr.endswith(
        " already exist; nothing was written\n       --force overwrites them, --out names another folder\n"
    )
    assert [path.read_text() for path in here.iterdir()] == ["mine", "mine"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "svg", "html"])
def test_a_damaged_run_is_exported_as_what_is_left_of_it(runs_dir: Path, tmp_path: Path, kind: str) -> None:
    folder = write_run(runs_dir, "damaged", [])
    folder.journal.write_bytes(b"\0\xff{}\n" * 9)
    for path in (folder.resolved, folder.meta):
        path.write_bytes(b"\xff")

    (written,) = export([read(folder)], kind, tmp_path, force=False)  # type: ignore[arg-type]

    assert written.exists()
