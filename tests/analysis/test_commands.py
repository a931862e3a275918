"""fbmon landscape, flatness and verify, as typed: what they print, keep, go on from and find."""

import csv
import json
import platform
import shutil
import signal
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
import torch

from fbmon.analysis import Answer, Ascent, Point, Probe, Radius, Record, Setting
from fbmon.analysis.flatness import Measure, flatness
from fbmon.analysis.survey import missing
from fbmon.analysis.verdict import Compared, Repeated, Verdict
from fbmon.analysis.worker.again import repeat
from fbmon.analysis.worker.bits import compare
from fbmon.cli.verify import lines
from fbmon.run import RunFolder
from fbmon.run.checkpoints import steps
from tests.shell import DEADLINE, Fbmon, until

FEW = ("--points", "5", "--directions", "2", "--devices", "cpu")


def records(folder: RunFolder) -> list[Path]:
    return sorted((folder.path / "analysis").glob("minimum-*.jsonl"))


def test_a_landscape_is_drawn_kept_and_not_computed_again(fbmon: Fbmon, trained: RunFolder) -> None:
    first = fbmon("landscape", "plain", *FEW)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("train loss ")
    assert "train accuracy" in first.stdout
    picture, points = (Path(line) for line in first.stdout.splitlines()[-2:])
    ElementTree.parse(picture)
    rows = list(csv.DictReader(points.read_text().splitlines()))
    assert [(row["directions"], row["at"]) for row in rows] == [
        (str(number), str(at)) for number in (0, 1) for at in (-1.0, -0.5, 0.0, 0.5, 1.0)
    ]
    assert rows[2]["loss"] == rows[7]["loss"] < min(rows[0]["loss"], rows[4]["loss"])
    (record,) = records(trained)
    kept = record.read_bytes()
    again = fbmon("landscape", "plain", *FEW)
    assert again.stdout == first.stdout
    assert record.read_bytes() == kept
    finer = fbmon("landscape", "plain", "--points", "9", "--directions", "2", "--devices", "cpu:2", "--json")
    assert json.loads(finer.stdout)["points"][0]["points"][4]["loss"] == float(rows[2]["loss"])
    assert record.read_bytes().startswith(kept)
    assert record.read_bytes().count(b"\n") == kept.count(b"\n") + 8, "of two processes' only the points in between"


def test_what_was_done_before_a_ctrl_c_is_kept_and_nothing_is_left_running(fbmon: Fbmon, trained: RunFolder) -> None:
    process = fbmon.start("landscape", "plain", "--points", "999", "--directions", "1", "--devices", "cpu")
    until(lambda: records(trained) and records(trained)[0].read_bytes().count(b"\n") > 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    done = len(Record(trained, Setting(40)).read())
    assert errors == f"stopped: {done} of 999 points are kept; run the same command to continue\n"


def test_a_torn_line_is_asked_again_and_the_next_answer_stands_on_a_line_of_its_own(trained: RunFolder) -> None:
    record = Record(trained, Setting(40, seed=7))
    probes: list[Probe] = [Point((0,), (0.1 + 0.2,)), Point((0, 1), (0.5, -1.0)), Ascent(0.05)]
    for probe in probes:
        record.append(Answer(probe, {"loss": 0.1}))
    assert missing(record, probes) == []
    record.path.write_bytes(record.path.read_bytes()[:-9])
    assert missing(record, probes) == probes[2:]
    record.append(Answer(probes[2], {"loss": 0.2}))
    assert record.read() == {probes[0]: {"loss": 0.1}, probes[1]: {"loss": 0.1}, probes[2]: {"loss": 0.2}}


def test_a_plane_is_a_heat_map_whose_shades_are_explained(fbmon: Fbmon, trained: RunFolder) -> None:
    said = fbmon("landscape", "plain", "--2d", "--points", "3", "--devices", "cpu")
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert lines[0] == "train loss: plain"
    assert [line[:7] for line in lines[1:4]] == ["     1┤", "     0┤", "    -1┤"]
    assert lines[2][9:11] == "··", "the minimum is in the middle"
    assert lines[5].startswith("  ·· below ")
    ElementTree.parse(lines[-2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plain", "--steps", "7"], "plain-{date} has no checkpoint of step 7, but of "),
        (["plain", "--steps", "last"], "--steps last: must be whole numbers, such as 100,200 or -1"),
        (["nothing"], "nothing: no such run in "),
        (["plain", "--2d", "--to", "plain"], "--2d and --to: choose one of them"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_one_sentence(
    fbmon: Fbmon, trained: RunFolder, arguments: list[str], message: str
) -> None:
    said = fbmon("landscape", *arguments)
    assert said.returncode == 2
    assert said.stderr.startswith("fbmon: " + message.replace("plain-{date}", trained.name))


def test_flatness_is_told_kept_and_compared(fbmon: Fbmon, trained: RunFolder) -> None:
    said = fbmon("flatness", "plain", "--directions", "2", "--threshold", "2.25", "--devices", "cpu")
    assert said.returncode == 0, said.stderr
    heads, row, end = said.stdout.splitlines()
    assert "  radius to 2.25  SAM 0.05  " in heads
    assert row.split()[:2] == [trained.name, "40"]
    assert end == "mean ± sd over 2 directions"
    found = json.loads(
        fbmon("flatness", "plain", "--directions", "2", "--threshold", "2.25", "--json", "--devices", "cpu").stdout
    )["runs"][0]
    assert 0 < found["radius"] < 4
    assert json.loads(fbmon("compare", "plain", "--json").stdout)["runs"][0]["flat_radius"] is None, (
        "measured otherwise"
    )
    for probe in Measure().probes():
        values: dict[str, float | None] = (
            {"radius": 0.625} if isinstance(probe, Radius) else {"loss": 0.1, "accuracy": 0.9375}
        )
        Record(trained, Setting(40)).append(Answer(probe, values))
    table = fbmon("compare", "plain", "--columns", "flat_radius,sam,perturbed_accuracy", "--csv").stdout
    assert table.splitlines()[1].split(",") == ["0.625", "0.0", "0.9375"]
    assert found["sam"] > 0
    assert found["perturbed_accuracy"] <= found["accuracy"] + 0.1


def test_a_direction_of_which_nothing_is_known_is_no_zero() -> None:
    known: dict[Probe, dict[str, float | None]] = {
        probe: {"radius": 0.5} if isinstance(probe, Radius) else {"loss": 0.1, "accuracy": 0.75}
        for probe in Measure().probes()
    }
    made = flatness(known, Measure())
    assert made is not None
    assert (made.radius, made.perturbed_accuracy) == (0.5, 0.75)
    assert flatness(known | {Radius(3, 0.5): {"radius": None}}, Measure()) is None
    assert flatness(known | {Point((3,), (0.5,)): {"loss": None, "accuracy": None}}, Measure()) is None


def test_a_run_is_verified(fbmon: Fbmon, trained: RunFolder) -> None:
    said = fbmon("verify", "plain", "--steps", "2", "--json")
    assert said.returncode == 0, said.stderr + said.stdout
    report = json.loads(said.stdout)
    assert report["agrees"] is True
    ways = {one["way"]: one for one in report["compared"]}
    assert list(ways) == ["the same once more", "its blocks in reverse", "by 2 ranks", "in float64"]
    for one in list(ways.values())[:3]:
        assert one["equal"] == one["numbers"]
        assert (one["ulps"], one["difference"]) == (0, 0.0)
    assert ways["in float64"]["equal"] < ways["in float64"]["numbers"]
    assert ways["in float64"]["cosine"] > 0.99999
    assert len(report["repeated"]) == 2 * 5


def test_a_precision_that_the_processor_emulates_is_not_tried(fbmon: Fbmon, trained: RunFolder) -> None:
    others = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}  # as on a processor that has no more
    said = fbmon("verify", "plain", "--steps", "1", "--devices", "cpu", "--precision", "bfloat16", "--json", **others)
    report = json.loads(said.stdout)
    if platform.machine() == "x86_64":
        assert "in bfloat16: bfloat16 is emulated by this processor" in report["skipped"]
        assert "in bfloat16" not in [compared["way"] for compared in report["compared"]]


def test_a_number_that_the_journal_has_otherwise_is_named_and_the_exit_code_is_one() -> None:
    alike = Compared("by 2 ranks", True, 9, 9, 0, 0.0, 1.0)
    rounded = Compared("in float64", False, 9, 3, 12, 1e-9, 0.999)
    repeated = (Repeated(4, "loss", 0.5, 0.5), Repeated(4, "grad_norm", 0.25, 0.125))
    good, bad = Verdict(3, "cpu", (alike, rounded), 3, repeated[:1]), Verdict(3, "cpu", (alike, rounded), 3, repeated)
    assert (good.agrees, bad.agrees) == (True, False)
    assert lines(bad) == [
        "gradient of step 4                 equal  ulps  off by  cosine",
        "by 2 ranks          the same bits  all    0     0       1",
        "in float64          not promised   33.3%  12    1e-09   0.999",
        "",
        "1 step after step 3 repeated: NOT AS IN THE JOURNAL",
        "  grad_norm of step 4 was 0.25 and is now 0.125",
    ]
    assert not Verdict(3, "cpu", (msgspec.structs.replace(alike, equal=8),)).agrees


@pytest.mark.usefixtures("one_thread")
def test_a_step_that_the_journal_has_lost_is_not_as_in_the_journal(trained: RunFolder, tmp_path: Path) -> None:
    damaged = RunFolder(shutil.copytree(trained.path, tmp_path / "damaged"))
    kept = [line for line in damaged.journal.read_bytes().splitlines() if not line.startswith(b'{"kind":"StepTaken","')]
    damaged.journal.write_bytes(b"\n".join(kept) + b"\n")
    found = repeat(damaged, 0, 1, "cpu")
    assert [(one.name, one.told, one.agrees) for one in found[:1]] == [("loss", None, False)]
    assert len(found) == 5


@pytest.mark.usefixtures("one_thread")
def test_steps_taken_again_are_those_of_the_journal_from_the_beginning_and_from_a_checkpoint(
    trained: RunFolder,
) -> None:
    since = min(steps(trained.checkpoints))
    for begin in (0, since) if since < 40 else (0,):
        found = repeat(trained, begin, 2, "cpu")
        assert [one.step for one in found] == [begin + 1] * 5 + [begin + 2] * 5
        assert all(one.agrees for one in found)
        assert None not in [one.found for one in found]


def test_two_floats_are_as_many_ulps_apart_as_there_are_steps_from_one_to_the_other() -> None:
    first = torch.tensor([1.0, -1e-45, 0.0, 3.0])
    other = torch.tensor([1.0, 1e-45, -0.0, 3.0]).nextafter(torch.tensor([2.0, 1.0, -0.0, 3.0]))
    found = compare("so", first, other, is_promised=True)
    assert (found.numbers, found.equal, found.ulps) == (4, 1, 3)
    assert found.difference == pytest.approx(2**-23)
    assert found.cosine == pytest.approx(1.0)
