"""Checkpoints: what they hold comes back to the last bit, damage is found, and which of them are kept."""

import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file

from fbmon import recipe
from fbmon.errors import DataError, NonFiniteError, StorageError, UsageError
from fbmon.events import (
    CheckpointFailed,
    CheckpointSaved,
    Command,
    CommandTaken,
    Event,
    PassRepeated,
    ProgressMade,
    StateRestored,
    StepTaken,
    Validated,
)
from fbmon.host import disk
from fbmon.recipe import Recipe
from fbmon.recipe.data_sets import image_form
from fbmon.run import checkpoint
from fbmon.run.checkpoint import State
from fbmon.run.checkpoints import path_of, steps
from fbmon.train.checkpoint import saving
from fbmon.train.checkpoint.tensors import Learnt
from fbmon.train.data.load import load
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.loop import train
from fbmon.train.models import make_model
from fbmon.train.step import Stepper
from tests.conftest import write_tiny

ALL_OF_IT = {
    "steps": 8, "data.limit": 40, "data.val_limit": 30, "data.augment": "shift", "gradient.block": 16,
    "optimizer.nesterov": "true", "clip.norm": 0.25, "penalty.strength": 0.5, "penalty.acc_strength": 0.1,
    "ema.momentum": 0.9, "validation.every": 2,
}  # fmt: skip
ADAMW = {"optimizer": {"name": "adamw", "lr": 0.01}, "steps": 6, "validation": {"every": 100}}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Eight steps over three blocks with all that a checkpoint has to hold: momentum, an average, two exact means."""
    tiny = write_tiny(tmp_path_factory.mktemp("wanted"))
    return recipe.load(tiny, [f"{key}={value}" for key, value in ALL_OF_IT.items()])


@pytest.fixture(scope="module")
def whole(wanted: Recipe, one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of the run as it is when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("whole") / "checkpoints"
    run(wanted, folder)
    return folder


@pytest.fixture(scope="module")
def stopped(wanted: Recipe, one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of steps 4 and 5 of the run, which was stopped in its sixth step."""
    folder = tmp_path_factory.mktemp("stopped") / "parts"
    run(but(wanted, checkpoint={"every": 1}), folder, at(6))
    return folder


@pytest.fixture
def parts(stopped: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(stopped, tmp_path / "parts")


def but(wanted: Recipe, **changes: Any) -> Recipe:
    return Recipe.model_validate(wanted.model_dump(exclude_none=True) | changes)


def run(
    wanted: Recipe, folder: Path, stop_at: Event | None = None, command: Command = "stop", *, resume: bool = False
) -> tuple[str, list[Event]]:
    """How a run ends, which may be stopped at a moment, and what it tells."""
    events: list[Event] = []

    def next_command() -> CommandTaken | None:
        return CommandTaken(command, "the test") if events[-1] == stop_at else None

    return train(wanted, "cpu", None, folder, events.append, next_command, resume=resume), events


def at(step: int, done: int = 1) -> ProgressMade:
    return ProgressMade("training", step, done, 3)


def numbers(events: list[Event]) -> dict[tuple[str, int], dict[str, float | None]]:
    """Every measure of every step and validation but those of time; a later one counts."""
    clocks = ("_seconds", "_second", "flop_share")
    return {
        (type(event).__name__, event.step): {
            name: value for name, value in event.values.items() if not name.endswith(clocks)
        }
        for event in events
        if isinstance(event, StepTaken | Validated)
    }


def tensors(folder: Path, step: int) -> bytes:
    return (path_of(folder, step) / "tensors.safetensors").read_bytes()


def test_the_memory_of_a_resumed_optimizer_lies_as_the_weights_do_or_updates_would_be_slow(
    wanted: Recipe, stopped: Path
) -> None:
    model = make_model(wanted.model, image_form(1, 8, 10))
    set_precision_(model, wanted.precision)  # channels last
    data = load(wanted.data, None, torch.device("cpu"), lambda _: None)
    stepper = Stepper(wanted, data, model, lambda _: None, lambda: None)

    _, content = checkpoint.read(path_of(stopped, 5))
    Learnt(model, stepper.average, stepper.descent).load_(content)

    memory = stepper.descent.optimizer.state
    for name, weight in model.named_parameters():
        assert memory[weight]["momentum_buffer"].stride() == weight.stride(), name


@pytest.mark.parametrize(
    ("changes", "stop_at"),
    [
        ({}, at(1, 0)),
        ({}, at(4, 1)),
        ({}, ProgressMade("validating", 5, 0, 1)),
        (ADAMW, at(4, 1)),
        ({"gradient": {"block": 16, "update": "block", "switch_at": 5, "order": "shuffled"}}, at(4, 1)),
        ({"precision": "float64", "model": {"name": "resnet8", "width": 4, "running_statistics": "mean"}}, at(4, 1)),
    ],
    ids=["before all", "in a step", "in a validation", "adamw", "switching", "float64"],
)
def test_stopped_anywhere_and_resumed_a_run_has_the_bits_of_one_that_never_stopped(
    wanted: Recipe, tmp_path: Path, changes: dict[str, Any], stop_at: ProgressMade
) -> None:
    whole = but(wanted, **changes)
    _, undisturbed = run(whole, tmp_path / "whole")
    state, first = run(whole, tmp_path / "parts", stop_at)
    ended, second = run(whole, tmp_path / "parts", resume=True)
    stopped_after = stop_at.step if stop_at.task == "validating" else stop_at.step - 1

    (restored,) = (event for event in second if isinstance(event, StateRestored))
    assert restored == StateRestored(stopped_after, f"parts/step-{stopped_after:08d}")
    assert (state, ended) == ("stopped", "finished")
    assert numbers(first + second) == numbers(undisturbed)
    assert tensors(tmp_path / "parts", whole.steps) == tensors(tmp_path / "whole", whole.steps)


def test_a_checkpoint_holds_weights_average_momentum_and_the_units_of_the_exact_means(
    whole: Path,
) -> None:
    kinds = {name.split(".")[0] for name in load_file(whole / "step-00000008/tensors.safetensors")}
    assert kinds == {"model", "average", "optimizer", "units"}
    modes = {path.stat().st_mode & 0o777 for path in whole.iterdir()}
    assert modes == {0o700}


def test_no_pass_is_repeated_because_of_a_resume(wanted: Recipe, parts: Path) -> None:
    """The units of the exact means are part of the state, so the first gradient after it fits them."""
    _, events = run(wanted, parts, resume=True)
    assert not [event for event in events if isinstance(event, PassRepeated)]


def test_a_stop_in_a_repeated_pass_leaves_the_units_as_they_were_before_the_step(
    wanted: Recipe, tmp_path: Path
) -> None:
    events: list[Event] = []

    def next_command() -> CommandTaken | None:
        return CommandTaken("stop", "the test") if PassRepeated(1) in events else None

    assert train(wanted, "cpu", None, tmp_path / "parts", events.append, next_command) == "stopped"
    units = load_file(tmp_path / "parts/step-00000000/tensors.safetensors")
    assert not units["units.mean"].any()
    assert not units["units.acc_mean"].any()


def test_the_last_ones_and_that_of_the_best_validation_are_kept(wanted: Recipe, tmp_path: Path) -> None:
    often = but(wanted, checkpoint={"every": 2, "keep": 3}, steps=40)
    _, events = run(often, tmp_path / "checkpoints")
    accuracies = {event.step: event.values["val_accuracy"] or 0 for event in events if isinstance(event, Validated)}
    best = max(accuracies, key=lambda step: (accuracies[step], -step))
    assert best not in (36, 38, 40)
    assert steps(tmp_path / "checkpoints") == [best, 36, 38, 40]
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    assert [event.step for event in saved] == list(range(2, 41, 2))
    assert saved[-1].best_step == best


def test_a_checkpoint_is_due_by_the_clock(wanted: Recipe, tmp_path: Path) -> None:
    at_once = but(wanted, checkpoint={"seconds": 1e-9}, steps=3)
    _, events = run(at_once, tmp_path / "often")
    later = [event.step for event in events if isinstance(event, CheckpointSaved)]
    assert later[0] == 1
    assert later[-1] == 3
    _, events = run(but(wanted, steps=3), tmp_path / "seldom")
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [3]


def flip(file: Path, place: float) -> None:
    whole = bytearray(file.read_bytes())
    whole[int(place * (len(whole) - 1))] ^= 1
    file.write_bytes(whole)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: flip(path / "tensors.safetensors", 0.9),
        lambda path: flip(path / "state.json", 0.2),
        lambda path: (path / "state.json").write_bytes((path / "state.json").read_bytes()[:40]),
        lambda path: (path / "tensors.safetensors").unlink(),
        lambda path: (path / "state.json").write_bytes(b""),
    ],
    ids=["bit of the tensors", "bit of the state", "torn state", "no tensors", "empty state"],
)
def test_a_damaged_checkpoint_is_told_and_set_aside_and_the_one_before_it_taken(
    wanted: Recipe, whole: Path, parts: Path, damage: Callable[[Path], None]
) -> None:
    damage(path_of(parts, 5))
    _, events = run(wanted, parts, resume=True)
    (restored,) = (event for event in events if isinstance(event, StateRestored))
    assert restored == StateRestored(4, "parts/step-00000004", damaged=[5])
    assert (parts / "damaged-step-00000005").is_dir()
    assert tensors(parts, 8) == tensors(whole, 8)


def test_where_no_checkpoint_is_good_the_run_begins_again(wanted: Recipe, whole: Path, parts: Path) -> None:
    for path in parts.glob("step-*"):
        flip(path / "state.json", 0.5)
    _, events = run(wanted, parts, resume=True)
    (restored,) = (event for event in events if isinstance(event, StateRestored))
    assert restored.step == 0
    assert 5 in restored.damaged
    assert tensors(parts, 8) == tensors(whole, 8)


def test_a_flipped_bit_of_a_state_file_is_noticed_wherever_it_is(parts: Path) -> None:
    path = path_of(parts, 5)
    whole = (path / "state.json").read_bytes()
    for place in range(len(whole)):
        (path / "state.json").write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(DataError):
            checkpoint.read(path)


def test_damaged_tensors_are_refused_wherever_the_damage_is(parts: Path) -> None:
    path = path_of(parts, 5)
    whole = (path / "tensors.safetensors").read_bytes()
    for place in range(0, len(whole), len(whole) // 20):
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        (path / "tensors.safetensors").write_bytes(flipped)
        with pytest.raises(DataError) as raised:
            checkpoint.read(path)
        reason = "tensors.safetensors is damaged: its checksum is not the one in state.json"
        assert raised.value.message == f"{path}: {reason}"


def test_the_checkpoint_of_another_model_is_refused(wanted: Recipe, parts: Path) -> None:
    wider = but(wanted, model={"name": "resnet8", "width": 8})
    with pytest.raises(UsageError) as changed:
        run(wider, parts, resume=True)
    assert changed.value.message == "resolved.toml: changed since step 5 was saved: model.width was 4 and is 8"

    for step in (4, 5):  # as from before their recipes were noted
        state, content = checkpoint.read(path_of(parts, step))
        shutil.rmtree(path_of(parts, step))
        checkpoint.save(parts, msgspec.structs.replace(state, recipe={}, run=""), content)
    with pytest.raises(DataError) as raised:
        run(wider, parts, resume=True)
    reason = "model.stem.0.weight is float32 (4, 1, 3, 3) in it and float32 (8, 1, 3, 3) here"
    assert raised.value.message == f"the checkpoint of another model: {reason}"


def test_a_tensor_of_another_dtype_is_refused_and_not_converted(wanted: Recipe, parts: Path) -> None:
    for step in (4, 5):
        state, content = checkpoint.read(path_of(parts, step))
        tensors = safetensors.torch.load(content)
        tensors["model.fc.bias"] = tensors["model.fc.bias"].double()
        shutil.rmtree(path_of(parts, step))
        checkpoint.save(parts, state, safetensors.torch.save(tensors))
    with pytest.raises(DataError) as raised:
        run(wanted, parts, resume=True)
    reason = "model.fc.bias is float64 (10,) in it and float32 (10,) here"
    assert raised.value.message == f"the checkpoint of another model: {reason}"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"seed": 1}, "seed was 0 and is 1"),
        ({}, {"ema": {"momentum": 0.5}}, "ema.momentum was 0.9 and is 0.5"),
        ({}, {"schedule": {"name": "constant", "warmup": 2}}, "schedule.name was cosine and is constant, "),
        ({"penalty": None}, {"penalty": {"strength": 1}}, "penalty.name was not set and is gradient_norm, "),
        ({"steps": 9}, {"steps": 12, "validation": {"every": 3}, "target": {"val_accuracy": 1, "source": "-"}}, ""),
        ({}, {"name": "other", "checkpoint": {"keep": 9}, "divergence": {"stop": True}, "restart": {"at_most": 1}}, ""),
    ],
)
def test_settings_that_no_number_before_hangs_on_may_change(
    wanted: Recipe, before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    table = {name: part for name, part in (wanted.model_dump(exclude_none=True) | before).items() if part is not None}
    state = msgspec.json.decode(msgspec.json.encode(State(5, "2", 1, recipe=table)), type=State)
    if not words:
        checkpoint.refuse_changes(state, Recipe.model_validate(table | after))
        return
    with pytest.raises(UsageError) as raised:
        checkpoint.refuse_changes(state, Recipe.model_validate(table | after))
    assert raised.value.message.startswith(f"resolved.toml: changed since step 5 was saved: {words}")


def test_the_checkpoint_of_another_run_is_set_aside_and_one_before_it_taken(wanted: Recipe, parts: Path) -> None:
    for step, name in ((4, "mine"), (5, "other")):
        state, content = checkpoint.read(path_of(parts, step))
        shutil.rmtree(path_of(parts, step))
        checkpoint.save(parts, msgspec.structs.replace(state, run=name), content)
    events: list[Event] = []
    train(wanted, "cpu", None, parts, events.append, lambda: None, resume=True, run="mine")
    assert [event for event in events if isinstance(event, StateRestored)] == [
        StateRestored(4, "parts/step-00000004", damaged=[5])
    ]
    assert checkpoint.read(path_of(parts, 8), "mine")[0].run == "mine"


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk on which the next writes of checkpoints fail, as many as the list says."""
    failures = [0]
    write = disk.write_new

    def maybe(path: Path, content: bytes) -> None:
        if failures[0] > 0 and path.suffix == ".safetensors":
            failures[0] -= 1
            path.write_bytes(content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr("fbmon.run.checkpoint.write_new", maybe)
    monkeypatch.setattr(saving, "_RETRY_SECONDS", 0.0)
    return failures


def test_a_failed_save_is_told_once_and_retried_and_the_training_goes_on(
    wanted: Recipe, tmp_path: Path, full_disk: list[int]
) -> None:
    full_disk[0] = 3
    state, events = run(but(wanted, checkpoint={"every": 2}), tmp_path / "checkpoints")
    assert state == "finished"
    assert [event for event in events if isinstance(event, CheckpointFailed)] == [
        CheckpointFailed(2, "No space left on device")
    ]
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [5, 6, 8]
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_slow_disk_is_written_to_less_often(wanted: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save of 0.2 s is worth 20 s of training."""
    write = disk.write_new

    def slowly(path: Path, content: bytes) -> None:
        time.sleep(0.1)
        write(path, content)

    monkeypatch.setattr("fbmon.run.checkpoint.write_new", slowly)
    _, events = run(but(wanted, checkpoint={"seconds": 1e-9}), tmp_path / "checkpoints")
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [1, 8]


def test_a_last_state_that_cannot_be_saved_is_an_error_of_its_own(
    wanted: Recipe, tmp_path: Path, full_disk: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_LAST_SECONDS", 0.5)
    monkeypatch.setattr(saving, "_LAST_PAUSES", (0.2,))
    full_disk[0] = 1000
    with pytest.raises(StorageError) as raised:
        run(but(wanted, steps=2), tmp_path / "checkpoints")
    assert raised.value.message == "the state after step 2 could not be saved: No space left on device"
    assert raised.value.hint == "no state of this run is on the disk: `fbmon resume` begins again at the first step"


def test_weights_that_are_not_finite_never_reach_the_disk(wanted: Recipe, tmp_path: Path) -> None:
    """The update of step 3 overflows; it is found before that of step 4, when step 3 is already the present state."""
    table = wanted.model_dump(exclude_none=True) | {"checkpoint": {"every": 1}}
    table["optimizer"] |= {"lr": 1e38}
    table["schedule"] = {"name": "constant"}
    for section in ("clip", "penalty", "ema"):
        del table[section]
    folder = tmp_path / "checkpoints"
    with pytest.raises(NonFiniteError) as raised:
        run(Recipe.model_validate(table), folder)
    for step in steps(folder):
        found = load_file(path_of(folder, step) / "tensors.safetensors")
        assert all(bool(value.isfinite().all()) for value in found.values())
    assert " was not finite (" in raised.value.message
    assert raised.value.message.endswith(("no weights could be saved", "are saved", "step 1"))


def test_what_a_kill_has_left_half_written_is_swept(wanted: Recipe, parts: Path) -> None:
    for name in (".step-00000007.123", ".gone-step-00000001"):
        (parts / name).mkdir()
        (parts / name / "tensors.safetensors").write_bytes(b"half")
    run(but(wanted, steps=6), parts, resume=True)
    assert not list(parts.glob(".*"))


def test_a_checkpoint_is_the_same_bytes_whenever_it_is_written(wanted: Recipe, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(but(wanted, steps=2), tmp_path / name)
    assert tensors(tmp_path / "one", 2) == tensors(tmp_path / "two", 2)
    assert torch.get_num_threads() == 1
