"""The journal on disk: what is read back is what was written, whatever happens to the file."""

import errno
import json
import math
import os
import random
import resource
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.events import (
    Analysed,
    CheckpointFailed,
    CheckpointSaved,
    CommandTaken,
    DeviceSampled,
    DivergenceFound,
    Event,
    GradientClipped,
    Listening,
    NonFiniteFound,
    Noted,
    PassRepeated,
    PhaseEntered,
    ProgressMade,
    RunEnded,
    RunRestarted,
    RunResumed,
    RunStarted,
    StateRestored,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.process.emit import Emitter
from fbmon.run import RunFolder
from fbmon.run.journal import Journal, Tail, last_event, seal, unseal
from fbmon.store.store import Store
from tests.shell import DEADLINE

EVENTS: list[Event] = [
    RunStarted(run="small-1", recipe="small", steps=2, version="1", pid=7),
    PhaseEntered(phase="training"),
    TrainingStarted(steps=2, blocks=3, images=48, val_images=32, parameters=9, device="2 threads", precision="float32"),
    TrainingStarted(
        steps=2, blocks=3, images=48, val_images=32, parameters=9, device="cuda:0", precision="float32",
        clip_norm=0.25, target_val_accuracy=0.9568, hosts=['"a host"\n\u2028{},"crc":"00000000"}'],
    ),
    ProgressMade(task="training", step=1, done=2, total=3),
    GradientClipped(step=1, norm=1.5, threshold=0.25),
    StepTaken(step=1, values={"loss": 2.302585092994046, "grad_norm": 5e-324, "accuracy": None, "param_norm": 1e308}),
    Validated(step=1, values={"val_loss": 0.1 + 0.2, "val_accuracy": 0.0}),
    Analysed(step=1, values={"sharpness": 39.5}, residual=1e-3),
    CheckpointSaved(step=1, path="checkpoints/step-00000001"),
    CheckpointFailed(step=2, reason="No space left on device"),
    RunRestarted(step=2, reason="rank 1 (cpu) was killed by SIGKILL", number=1, at_most=3),
    RunResumed(version="1", pid=8),
    StateRestored(step=1, path="checkpoints/step-00000001", damaged=[2]),
    NonFiniteFound(step=2, names=["loss", "grad_norm"]),
    DivergenceFound(step=40, loss=11.5, start_loss=2.3, steps=20),
    CommandTaken(command="stop", source="SIGINT"),
    Listening(),
    Noted(step=3, text="data reshuffled"),
    DeviceSampled(device="cpu"),
    PassRepeated(step=1),
    DeviceSampled(
        device="cuda:0 (gpu 3)", utilization=99.0, memory_mib=1024.0, memory_total_mib=4096.0, power_watts=300.5,
        temperature_celsius=70.0, clock_mhz=1980.0,
    ),
    RunEnded(state="finished", exit_code=0, step=2),
    RunEnded(state="failed", exit_code=1, step=2, reason="no data", hint="buy some"),
]  # fmt: skip


def write(path: Path, *events: Event) -> list[Event]:
    """Append the events to a journal; return them as they were stamped."""
    journal = Journal(path)
    lines = [journal.append(event) for event in events]
    journal.close()
    stamped = [unseal(line[:-1]) for line in lines]
    assert None not in stamped
    return [event for event in stamped if event is not None]


def bare(event: Event) -> Event:
    """The event without its stamp."""
    return msgspec.structs.replace(event, seq=0, time=0.0, elapsed=0.0)


def is_subsequence(found: list[Event], written: list[Event]) -> bool:
    rest = iter(written)
    return all(event in rest for event in found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_every_event_is_read_back_as_it_was_written(path: Path) -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    stamped = write(path, *EVENTS)
    assert Tail(path).read() == stamped
    assert [bare(event) for event in stamped] == EVENTS
    assert [event.seq for event in stamped] == list(range(1, len(EVENTS) + 1))
    clocks = [event.elapsed for event in stamped]
    assert clocks == sorted(clocks)
    assert 0 <= clocks[0] < 10


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=10), st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_any_finite_number_survives_to_the_last_bit(values: dict[str, float | None]) -> None:
    event = StepTaken(step=1, values=values)
    assert unseal(seal(event)[:-1]) == event


def test_a_number_that_is_not_finite_becomes_null_and_is_read_as_unknown(path: Path) -> None:
    (stamped,) = write(path, StepTaken(step=1, values={"loss": math.nan, "grad_norm": math.inf}))
    assert isinstance(stamped, StepTaken)
    assert stamped.values == {"loss": None, "grad_norm": None}
    assert json.loads(path.read_text())["values"] == {"loss": None, "grad_norm": None}


def test_every_line_is_a_json_object_whose_last_key_is_its_checksum(path: Path) -> None:
    write(path, *EVENTS)
    for line in path.read_text().split("\n")[:-1]:
        assert list(json.loads(line))[-1] == "crc"
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_beginning_of_a_journal_yields_a_beginning_of_its_events(path: Path) -> None:
    written = write(path, *EVENTS[-4:])
    whole = path.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        lines = sum(end < length for end in ends)
        assert Tail(path).read() == written[:lines]
        complete = sum(end <= length for end in ends)  # the last line counts before its newline is there
        assert last_event(path) == (written[complete - 1] if complete else None)


def test_a_flipped_bit_anywhere_costs_at_most_two_events_and_never_makes_a_wrong_one(path: Path) -> None:
    written = write(path, EVENTS[5], EVENTS[8], EVENTS[10])
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            tail = Tail(path)
            found = tail.read()
            assert is_subsequence(found, written), (place, bit)
            assert 1 <= len(found) < 3, (place, bit)
            assert tail.damaged >= 1 or not damaged.endswith(b"\n"), (place, bit)


def test_the_next_writer_repairs_a_torn_tail_and_goes_on_counting(path: Path) -> None:
    before = write(path, EVENTS[0], EVENTS[1])
    with path.open("ab") as file:
        file.write(seal(EVENTS[6])[:40])
    after = write(path, EVENTS[6], EVENTS[14])
    assert [event.seq for event in before + after] == [1, 2, 3, 4]
    assert after[0].elapsed >= before[-1].elapsed
    tail = Tail(path)
    assert tail.read() == before + after
    assert tail.damaged == 1
    assert path.read_bytes().count(b"\n") == 5


def test_a_last_line_that_lacks_only_its_newline_is_kept(path: Path) -> None:
    before = write(path, EVENTS[0], EVENTS[1])
    path.write_bytes(path.read_bytes()[:-1])
    after = write(path, EVENTS[14])
    tail = Tail(path)
    assert tail.read() == before + after
    assert [event.seq for event in before + after] == [1, 2, 3]
    assert tail.damaged == 0


def test_a_tail_reads_each_event_once_and_only_when_its_line_is_whole(path: Path) -> None:
    tail = Tail(path)
    assert tail.read() == []
    written = write(path, EVENTS[0])
    assert tail.read() == written
    assert tail.read() == []
    line = seal(EVENTS[1])
    for part in (line[:20], line[20:-1]):
        with path.open("ab") as file:
            file.write(part)
        assert tail.read() == []
    with path.open("ab") as file:
        file.write(b"\n" + line[:-5] + b"\n" + seal(EVENTS[2])[:30])
    assert tail.read() == [EVENTS[1]]
    assert tail.damaged == 1
    assert tail.read() == []
    assert tail.damaged == 1


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_however_the_file_grows_a_tail_reads_the_same(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    growing = tmp_path_factory.getbasetemp() / "growing.jsonl"
    growing.unlink(missing_ok=True)
    whole = b"".join(map(seal, EVENTS))
    tail, found, done = Tail(growing), list[Event](), 0
    for cut in [*sorted(cuts), len(whole)]:
        with growing.open("ab") as file:
            file.write(whole[done : max(done, cut)])
        done = max(done, min(cut, len(whole)))
        found += tail.read()
    assert found == EVENTS
    assert tail.damaged == 0


@pytest.mark.parametrize("most", [1, 100, 1000, 100_000])
def test_a_tail_that_reads_in_portions_reads_the_same_and_knows_what_is_left(path: Path, most: int) -> None:
    write(path, *EVENTS)
    with path.open("ab") as file:
        file.write(b'damaged\n{"kind":')
    tail, portions = Tail(path), list[list[Event]]()
    while not portions or tail.unread:
        before = tail.offset
        portions.append(tail.read(most))
        assert most < 1000 or tail.offset <= before + most
        assert tail.offset + tail.unread <= path.stat().st_size

    assert [event for portion in portions for event in portion] == Tail(path).read()
    assert len(portions) >= path.stat().st_size // max(most, 1000)
    assert tail.damaged == 1


def test_a_line_of_an_unknown_kind_or_shape_is_skipped_and_counted(path: Path) -> None:
    known = EVENTS[1]
    strange = [
        b'{"kind":"FromTheFuture","seq":1',
        b'{"kind":"PhaseEntered","phase":3',
        b'{"kind":"PhaseEntered"',
        b'{"kind":"RunStarted","run":"\xff"',
        b'{"seq":' + b"[" * 100_000,
        b"[1, 2",
    ]
    path.write_bytes(b"".join(b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body)) for body in strange) + seal(known))
    tail = Tail(path)
    assert tail.read() == [known]
    assert tail.damaged == len(strange)
    assert last_event(path) == known


def test_a_field_from_the_future_is_ignored() -> None:
    class PhaseEntered(msgspec.Struct, tag_field="kind", tag=True):
        phase: str
        mood: str

    assert unseal(seal(PhaseEntered("training", "good"))[:-1]) == EVENTS[1]  # type: ignore[arg-type]


FULL_DISK = """
import sys
from pathlib import Path
from fbmon.events import StepTaken
from fbmon.run.journal import Journal, Tail
import resource
path = Path(sys.argv[1])
journal = Journal(path)
for step in (1, 2):
    journal.append(StepTaken(step=step, values={}))
limit = path.stat().st_size + 40
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
for step in (3, 4, 5):
    journal.append(StepTaken(step=step, values={}))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(StepTaken(step=6, values={}))
tail = Tail(path)
print([(event.seq, event.step) for event in tail.read()], tail.damaged)
"""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY, reason="a file size limit")
def test_a_full_disk_costs_lines_and_nothing_else(path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert said.stderr == ""
    assert said.stdout == "[(1, 1), (2, 2), (6, 6)] 1\n"


@pytest.mark.slow
def test_none_of_ten_thousand_flipped_bits_makes_a_wrong_event_and_all_others_are_read(path: Path) -> None:
    written = write(path, *EVENTS)
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(10_000):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        found = Tail(path).read()
        assert is_subsequence(found, written)
        assert len(found) >= len(written) - 2


def test_a_hole_of_zeros_costs_the_lines_that_it_covers(path: Path) -> None:
    """As a power cut leaves it where a file had grown and its blocks were not yet written."""
    written = write(path, *EVENTS, *EVENTS)
    whole = path.read_bytes()
    begin, end = len(whole) // 3, len(whole) // 2
    path.write_bytes(whole[:begin] + bytes(end - begin) + whole[end:])
    found, lost = Tail(path).read(), whole[begin:end].count(b"\n") + 1
    assert is_subsequence(found, written)
    assert len(found) == len(written) - lost


@pytest.mark.parametrize("fault", [OSError(errno.EIO, "Input/output error"), OSError(errno.EDQUOT, "Quota"), 7])
def test_a_failing_or_half_done_write_costs_its_own_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError | int
) -> None:
    """7: so many bytes are written of the line, and no more."""
    journal, write_really, calls = Journal(path), os.write, iter(range(10))

    def write_badly(file: int, text: bytes) -> int:
        if next(calls) != 1:
            return write_really(file, text)
        if isinstance(fault, int):
            return write_really(file, text[:fault])
        raise fault

    monkeypatch.setattr(os, "write", write_badly)
    for step in (1, 2, 3):
        journal.append(StepTaken(step=step, values={}))
    assert [getattr(event, "step", 0) for event in Tail(path).read()] == [1, 3]


def test_a_clock_that_jumps_moves_the_date_of_an_event_and_neither_its_order_nor_its_time_since_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, now = 86_400.0, time.time()
    clock = iter([now, now + day, now - day, now])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    told = write(path, *(StepTaken(step=step, values={}) for step in (1, 2, 3)))
    told += write(path, StepTaken(step=4, values={}))  # a second start
    assert [round((event.time - now) / day) for event in told] == [0, 1, -1, 0]
    assert [event.seq for event in told] == [1, 2, 3, 4]
    elapsed = [event.elapsed for event in told]
    assert elapsed == sorted(elapsed)
    assert 0 <= elapsed[0] <= elapsed[-1] < 10
    store = Store()
    for event in told:
        store.apply(event)
    left = store.seconds_left_deviation()
    assert left is not None
    assert left >= 0


def test_a_journal_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"")
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic link"):
        Journal(tmp_path / "journal.jsonl")


def test_after_a_kill_within_a_long_step_journal_and_telemetry_go_on_with_one_clock(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.journal.write_bytes(seal(StepTaken(step=1, values={}, seq=1, elapsed=100.0)))
    folder.telemetry.write_bytes(seal(DeviceSampled("cpu", seq=9, elapsed=640.0)))
    telemetry = Journal(folder.telemetry, folder.journal)
    Emitter(folder, None).emit(StateRestored(step=1))
    telemetry.append(DeviceSampled("cpu"))
    told, sampled = last_event(folder.journal), last_event(folder.telemetry)
    assert told
    assert sampled
    assert 640 < told.elapsed <= sampled.elapsed < 700
    folder.telemetry.unlink()  # a power cut may take it
    lost = Journal(folder.telemetry, folder.journal)
    lost.append(DeviceSampled("cpu"))
    found = last_event(folder.telemetry)
    assert found
    assert found.elapsed >= told.elapsed
