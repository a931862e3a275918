"""Lanes have the bits of the plain engine, whatever a block is put through; what cannot be captured goes plain."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fbmon import recipe
from fbmon.errors import UsageError
from fbmon.events import Event, StepTaken, TrainingStarted
from fbmon.train.engine.lane import Lane, Program
from fbmon.train.loop import train

# Five blocks of 16 and a short one: lanes that have one block more, or another program, than the others.
SMALL = ("steps=4", "data.limit=90", "data.val_limit=30", "data.augment=shift", "gradient.block=16")
RECIPES = {
    "plain": (),
    "clipped": ("clip.norm=0.25", "clip.block_norm=0.5", "loss.label_smoothing=0.1"),
    "penalized": ("penalty.strength=0.5", "penalty.acc_strength=0.2", "gradient.order=shuffled"),
    "central": ("penalty.strength=0.5", "penalty.method=central", "model.running_statistics=mean"),
    "autograd": ("penalty.strength=0.5", "penalty.method=autograd", "data.copies=2"),
    "in bfloat16": ("precision=bfloat16", "penalty.strength=0.5"),
    "in float64": ("precision=float64", "penalty.strength=0.5"),
    "block by block, then full": ("gradient.update=block", "gradient.switch_at=3", "penalty.strength=0.5"),
}


def run(
    tiny: Path, settings: tuple[str, ...], folder: Path, last: int = 4
) -> tuple[list[Event], dict[str, torch.Tensor]]:
    events: list[Event] = []
    train(recipe.load(tiny, [*SMALL, *settings]), "cpu", None, folder, events.append, lambda: None)
    return events, load_file(folder / f"step-{last:08}" / "tensors.safetensors")


def numbers(events: list[Event]) -> list[dict[str, float | None]]:
    """What the steps told but for the time that they took."""
    steps = [event.values for event in events if isinstance(event, StepTaken)]
    return [
        {name: value for name, value in values.items() if "second" not in name and name != "flop_share"}
        for values in steps
    ]


@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES.keys())
def test_lanes_have_the_bits_of_the_plain_engine(
    settings: tuple[str, ...], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, optimizer, batch norm's statistics, the exact mean's units and all that is told."""
    monkeypatch.setenv("FBMON_ENGINE", "eager")
    told, tensors = run(tiny, settings, tmp_path / "eager")
    monkeypatch.setenv("FBMON_ENGINE", "lanes:3")
    told_by_lanes, tensors_of_lanes = run(tiny, settings, tmp_path / "lanes")
    assert len(numbers(told)) == 4
    assert numbers(told_by_lanes) == numbers(told)
    assert tensors.keys() == tensors_of_lanes.keys()
    assert [name for name, value in tensors.items() if not torch.equal(value, tensors_of_lanes[name])] == []


def test_what_is_differentiated_twice_is_not_compiled(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBMON_ENGINE", "eager")
    told, _ = run(tiny, RECIPES["autograd"], tmp_path / "eager")
    monkeypatch.setenv("FBMON_ENGINE", "lanes:3,compiled")
    told_by_lanes, _ = run(tiny, RECIPES["autograd"], tmp_path / "lanes")
    assert numbers(told_by_lanes) == numbers(told)
    assert [event.device for event in told_by_lanes if isinstance(event, TrainingStarted)] == [
        "1 CPU thread, 3 lanes, compiled"
    ]


# In bfloat16 both gradients are 0.12 from that in float32.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [(("penalty.strength=0.5",), 1e-4), (("precision=bfloat16",), 0.15)],
    ids=["float32", "bfloat16"],
)
def test_what_is_compiled_gives_the_same_gradient_but_for_rounding(
    settings: tuple[str, ...], tolerance: float, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are the running statistics that it leaves; and lanes, which share it, have the bits of one after another."""
    found = {}
    for engine in ("eager", "eager,compiled", "lanes:3,compiled"):
        monkeypatch.setenv("FBMON_ENGINE", engine)
        found[engine] = run(tiny, (*settings, "steps=1", "optimizer.momentum=0.9"), tmp_path / engine, last=1)
    told, tensors = found["eager"]
    told_compiled, compiled = found["eager,compiled"]
    assert numbers(told_compiled)[0]["loss"] == pytest.approx(numbers(told)[0]["loss"], rel=tolerance)
    for what in ("momentum_buffer", "running_"):  # after a first step the optimizer's memory is the gradient
        names = [name for name in tensors if what in name]
        expected, given = (torch.cat([some[name].flatten() for name in names]) for some in (tensors, compiled))
        assert (given - expected).norm() <= tolerance * expected.norm(), what
    assert all(torch.equal(value, compiled[name]) for name, value in found["lanes:3,compiled"][1].items())


def test_what_cannot_be_captured_goes_block_by_block_and_the_run_says_so(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    monkeypatch.setenv("FBMON_ENGINE", "eager")
    plain, tensors = run(tiny, RECIPES["penalized"], tmp_path / "eager")
    monkeypatch.setattr(Lane, "_make", refuse)
    monkeypatch.setenv("FBMON_ENGINE", "lanes")
    told, tensors_found = run(tiny, RECIPES["penalized"], tmp_path / "lanes")
    started = next(event for event in told if isinstance(event, TrainingStarted))
    assert started.device.endswith(
        "block by block: not captured, CUDA error: operation not permitted when stream is capturing"
    )
    assert numbers(told) == numbers(plain)
    assert all(torch.equal(value, tensors_found[name]) for name, value in tensors.items())


def test_an_engine_that_does_not_exist_is_named(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBMON_ENGINE", "warp")
    with pytest.raises(
        UsageError,
        match="FBMON_ENGINE = warp: must be eager, lanes or lanes:N, N from 1 to 99, each also with ,compiled",
    ):
        run(tiny, (), tmp_path / "runs")


def test_where_memory_ends_there_are_fewer_lanes_with_the_same_bits(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, room = Lane._make, list[Lane]()

    def full(lane: Lane, numbers: torch.Tensor) -> Program:
        if lane not in room and len(set(room)) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        room.append(lane)
        return make(lane, numbers)

    monkeypatch.setenv("FBMON_ENGINE", "eager")
    plain, tensors = run(tiny, RECIPES["penalized"], tmp_path / "eager")
    monkeypatch.setattr(Lane, "_make", full)
    monkeypatch.setenv("FBMON_ENGINE", "lanes:4")
    told, tensors_found = run(tiny, RECIPES["penalized"], tmp_path / "lanes")
    started = next(event for event in told if isinstance(event, TrainingStarted))
    assert started.device.endswith(", 2 lanes, no memory for 4")
    assert numbers(told) == numbers(plain)
    assert all(torch.equal(value, tensors_found[name]) for name, value in tensors.items())
