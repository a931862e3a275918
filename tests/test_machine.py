"""A run that goes on elsewhere, or is verified there, says in what the machines differ."""

from pathlib import Path

import msgspec
import pytest

from fbmon.analysis.verdict import Repeated, Verdict
from fbmon.cli.resume import warn_of_other_machine
from fbmon.cli.verify import lines
from fbmon.compare import fields, read
from fbmon.events import Machine, RunResumed, StateRestored, StepTaken, TrainingStarted
from fbmon.host.processor import machine_without_torch, processor_name
from fbmon.run.journal import seal, unseal
from fbmon.store.notes import differences, moved
from fbmon.store.store import Store
from tests.runs import story, write_run

EPYC = Machine("a", "AMD EPYC 7763", "AVX2", 1, "2.14.1+cpu")
XEON = Machine("b", "Intel Xeon", "AVX512", 2, "2.14.1+cpu")
PLAN = TrainingStarted(40, 2, 64, 32, 1000, "1 CPU thread", "float32", machine=EPYC)


def test_what_the_last_bits_depend_on_is_named_where_it_differs() -> None:
    differing = ["Intel Xeon instead of AMD EPYC 7763", "AVX512 instead of AVX2", "2 threads instead of 1 thread"]
    assert differences(EPYC, XEON) == differing
    assert moved(EPYC, XEON) == f"last bits will differ: {', '.join(differing)}, on b instead of a"
    assert moved(EPYC, EPYC) == ""
    newer = msgspec.structs.replace(EPYC, torch="2.15.0+cpu")
    assert moved(EPYC, newer) == "last bits will differ: torch 2.15.0+cpu instead of torch 2.14.1+cpu"
    elsewhere = msgspec.structs.replace(EPYC, host="c")
    assert (
        moved(EPYC, elsewhere) == "the run continues on c instead of a; as far as is known, the last bits are the same"
    )
    assert moved(Machine(), XEON) == moved(EPYC, Machine()) == "", "what is unknown is not compared"


def test_of_gpus_the_kind_counts_and_not_the_processor_beside_them() -> None:
    one, other = Machine("a", "x", "AVX2", 1, "2", ["H200"]), Machine("a", "y", "AVX512", 9, "2", ["H200"])
    assert differences(one, other) == []
    assert differences(one, msgspec.structs.replace(one, gpus=["A100"])) == ["A100 instead of H200"]
    assert differences(one, EPYC)[-1] == "AMD EPYC 7763 instead of H200"


def test_a_run_that_goes_on_elsewhere_says_so_before_its_next_step_and_again_until_it_has_taken_one() -> None:
    store = Store()
    for event in (
        PLAN,
        StepTaken(1, {"loss": 1.0}),
        RunResumed("1", 7),
        StateRestored(1),
        msgspec.structs.replace(PLAN, machine=XEON),  # and is stopped before it takes a step
        RunResumed("1", 8),
        StateRestored(1),
        msgspec.structs.replace(PLAN, machine=XEON, emulation="bfloat16 is emulated by this processor"),
    ):
        store.apply(event)
    last, slow = store.notes[-2:]
    assert (last.level, last.text) == ("warning", moved(EPYC, XEON))
    assert slow.text == "bfloat16 is emulated by this processor: float32 is many times as fast"
    assert store.cautions == [last.text, slow.text]
    store.apply(StepTaken(2, {"loss": 1.0}))
    store.apply(msgspec.structs.replace(PLAN, machine=XEON))
    assert store.cautions == []


def test_an_old_journal_says_nothing_of_the_machine_and_is_read_all_the_same() -> None:
    old = msgspec.structs.replace(PLAN, machine=None)
    assert b"machine" not in seal(old)
    assert unseal(seal(old).rstrip(b"\n")) == old
    assert unseal(seal(PLAN).rstrip(b"\n")) == PLAN


def test_resume_warns_on_stderr_before_torch_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path, "a", story(plan=PLAN, state="stopped"))
    warn_of_other_machine(folder)
    here = machine_without_torch("2.14.1+cpu")
    assert capsys.readouterr().err == f"warning: {moved(EPYC, here)}\n"
    same = write_run(tmp_path, "b", story(plan=msgspec.structs.replace(PLAN, machine=here), state="stopped"))
    warn_of_other_machine(same)
    assert capsys.readouterr().err == ""
    warn_of_other_machine(write_run(tmp_path, "c", story(state="stopped")))
    assert capsys.readouterr().err == ""


def test_verify_names_what_differs_beside_what_is_not_as_in_the_journal() -> None:
    bad = Verdict(3, "cpu", (), 3, (Repeated(4, "loss", 0.5, 0.25),), (), ("2 threads instead of 1 thread",))
    assert lines(bad)[-2:] == [
        "  they were trained differently: here 2 threads instead of 1 thread",
        "  loss of step 4 was 0.5 and is now 0.25",
    ]
    good = msgspec.structs.replace(bad, repeated=(Repeated(4, "loss", 0.5, 0.5),))
    assert "otherwise" not in "\n".join(lines(good))


def test_host_and_processor_of_a_run_are_columns(tmp_path: Path) -> None:
    run = read(write_run(tmp_path, "a", story(plan=PLAN)))
    assert [fields.find(name).value(run) for name in ("host", "processor")] == ["a", "AMD EPYC 7763"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("processor\t: 0\nmodel name\t: AMD  EPYC 7763 64-Core\nprocessor\t: 1\n", "AMD EPYC 7763 64-Core"),
        ("model name : \x1b[2Jx\n", "\ufffd[2Jx"),
    ],
)
def test_a_processor_is_called_as_its_maker_calls_it(said: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(said)
    assert processor_name(tmp_path) == name
    (tmp_path / "proc" / "cpuinfo").unlink()
    assert processor_name(tmp_path)
