"""The arithmetic that a recipe asks for is the one that is used."""

from pathlib import Path

import pytest
import torch

from fbmon import recipe
from fbmon.events import Event, StepTaken, TrainingStarted, Validated
from fbmon.train.hardware.precision import Precision
from fbmon.train.loop import train


def run(tiny: Path, precision: Precision, checkpoints: Path) -> tuple[str, list[float]]:
    """The precision that a run of three penalized steps tells, and its losses in training and validation."""
    told: list[Event] = []
    wanted = recipe.load(tiny, [f"precision={precision}", "steps=3", "penalty.strength=0.5", "validation.every=1"])
    assert train(wanted, "cpu", None, checkpoints, told.append, lambda: None) == "finished"
    said = next(event.precision for event in told if isinstance(event, TrainingStarted))
    steps = [event.values["loss"] for event in told if isinstance(event, StepTaken)]
    validations = [event.values["val_loss"] for event in told if isinstance(event, Validated)]
    return said, [value for value in (*steps, *validations) if value is not None]


def test_lower_precisions_are_near_the_highest_and_none_is_another(tiny: Path, tmp_path: Path) -> None:
    precisions: tuple[Precision, ...] = ("float64", "float32", "bfloat16")
    found = {precision: run(tiny, precision, tmp_path / precision) for precision in precisions}
    assert [said for said, _ in found.values()] == list(precisions)
    exact, single, half = (losses for _, losses in found.values())
    assert len(exact) == 6
    assert single == pytest.approx(exact, rel=1e-4)  # the penalty divides what is rounded by a small epsilon
    assert single != pytest.approx(exact, rel=1e-12)
    assert half == pytest.approx(exact, rel=0.05)
    assert half != pytest.approx(exact, rel=1e-5)


def test_only_tf32_lets_a_gpu_round_the_factors(tiny: Path, tmp_path: Path) -> None:
    run(tiny, "tf32", tmp_path / "tf32")
    flags = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    assert [flag.fp32_precision for flag in flags] == ["tf32", "tf32"]
    run(tiny, "float32", tmp_path / "float32")
    assert [flag.fp32_precision for flag in flags] == ["ieee", "ieee"]
