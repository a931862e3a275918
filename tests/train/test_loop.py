"""The run from its first step to its last, on a few digits: what it tells, where it stops, what it leaves behind."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from fbmon import metrics, recipe
from fbmon.errors import FbmonError, NonFiniteError
from fbmon.events import (
    CheckpointSaved,
    Command,
    CommandTaken,
    Event,
    GradientClipped,
    NonFiniteFound,
    PassRepeated,
    PhaseEntered,
    ProgressMade,
    State,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.recipe import Recipe
from fbmon.recipe.data_sets import image_form
from fbmon.train.hardware.device import choose_device
from fbmon.train.loop import train
from fbmon.train.models import make_model
from tests.shell import DEADLINE

MEASURED_BY_THE_CLOCK = {
    metric.name for metric in metrics.STEP if metric.name.endswith(("_seconds", "_second", "flop_share"))
}


@pytest.fixture
def small(tiny: Path) -> Recipe:
    """Three steps over three blocks, the last one short, with all that the method has."""
    settings = {
        "steps": 3, "data.limit": 40, "data.val_limit": 30, "data.augment": "shift", "gradient.block": 16,
        "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "optimizer.nesterov": "true", "optimizer.weight_decay": 5e-4,
        "schedule.warmup": 0, "clip.norm": 0.25, "clip.block_norm": 1000.0, "penalty.strength": 0.5,
        "validation.every": 100,
    }  # fmt: skip
    return recipe.load(tiny, [f"{key}={value}" for key, value in settings.items()])


def but(wanted: Recipe, **changes: Any) -> Recipe:
    """The recipe with other settings: but(recipe, steps=2, optimizer__lr=1.0)."""
    table = wanted.model_dump(exclude_none=True)
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        (table[section] if section else table)[name] = value
    return Recipe.model_validate(table)


def run(wanted: Recipe, checkpoints: Path) -> list[Event]:
    """All that a run to its end tells."""
    events: list[Event] = []
    assert train(wanted, "cpu", None, checkpoints, events.append, lambda: None) == "finished"
    return events


def run_until(wanted: Recipe, checkpoints: Path, moment: ProgressMade, command: Command) -> tuple[State, list[Event]]:
    """How a run ends that gets a command at this moment, and what it tells."""
    events: list[Event] = []

    def next_command() -> CommandTaken | None:
        return CommandTaken(command, "the test") if events[-1] == moment else None

    return train(wanted, "cpu", None, checkpoints, events.append, next_command), events


def steps(events: list[Event]) -> list[StepTaken]:
    return [event for event in events if isinstance(event, StepTaken)]


def validated(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, Validated)]


def told(events: list[Event], name: str) -> list[float]:
    return [value for event in steps(events) if (value := event.values[name]) is not None]


def without_clocks(events: list[Event]) -> list[Event]:
    return list(map(without_clock, events))


def without_clock(event: Event) -> Event:
    match event:
        case StepTaken(values=values):
            kept = {name: value for name, value in values.items() if name not in MEASURED_BY_THE_CLOCK}
            return msgspec.structs.replace(event, values=kept)
        case TrainingStarted():
            return msgspec.structs.replace(event, attainable_flops=None)
    return event


def saved(checkpoints: Path, step: int) -> bytes:
    """The tensors of the newest checkpoint as they lie on disk: weights, batch-norm statistics, momentum, units."""
    assert max(path.name for path in checkpoints.iterdir()) == f"step-{step:08d}"
    return (checkpoints / f"step-{step:08d}" / "tensors.safetensors").read_bytes()


def test_three_steps_tell_exactly_the_declared_metrics_all_of_them_known(small: Recipe, tmp_path: Path) -> None:
    events = run(small, tmp_path / "checkpoints")
    assert [event.step for event in steps(events)] == [1, 2, 3]
    for event in events:
        if isinstance(event, StepTaken):
            assert set(event.values) == {metric.name for metric in metrics.STEP}
            assert None not in event.values.values()
        if isinstance(event, Validated):
            assert set(event.values) == {metric.name for metric in metrics.VALIDATION}
            assert None not in event.values.values()


def test_a_run_tells_what_it_will_do_then_does_it_and_saves_its_end(small: Recipe, tmp_path: Path) -> None:
    events = run(but(small, steps=1), tmp_path / "checkpoints")
    phases = [event.phase for event in events if isinstance(event, PhaseEntered)]
    assert phases == ["loading data", "building the model", "training"]
    (plan,) = (event for event in events if isinstance(event, TrainingStarted))
    assert (plan.steps, plan.blocks, plan.images, plan.val_images, plan.clip_norm) == (1, 3, 40, 30, 0.25)
    model = make_model(small.model, image_form(1, 8, 10))
    assert plan.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert events[-1] == CheckpointSaved(1, "checkpoints/step-00000001", best_step=1)
    of_the_step = [event.done for event in events if isinstance(event, ProgressMade) and event.task == "training"]
    assert of_the_step[-3:] == [0, 1, 2]


@pytest.mark.parametrize(
    ("count", "every", "after"),
    [(7, 3, [1, 4, 7]), (8, 3, [1, 4, 7, 8]), (1, 100, [1]), (3, 100, [1, 3]), (3, 1, [1, 2, 3])],
)
def test_validation_comes_after_the_first_step_each_so_many_later_and_the_last(
    small: Recipe, tmp_path: Path, count: int, every: int, after: list[int]
) -> None:
    events = run(but(small, steps=count, validation__every=every), tmp_path / "checkpoints")
    assert validated(events) == after
    for event, before in zip(events[1:], events, strict=False):
        if isinstance(event, StepTaken) and event.step in [step + 1 for step in after]:
            assert not isinstance(before, Validated | StepTaken), "a step begins after the validation has been told"


def test_the_loss_falls_and_the_learning_rate_is_the_schedules(small: Recipe, tmp_path: Path) -> None:
    wanted = but(small, steps=15, data__augment="none", schedule__warmup=2, schedule__horizon=11, clip__norm=10.0)
    events = run(wanted, tmp_path / "checkpoints")
    losses, rates = told(events, "loss"), told(events, "learning_rate")
    assert losses[0] == losses[1], "update 0 has a learning rate of 0"
    assert losses[-1] < 0.6 * losses[0]
    assert rates[:4] == pytest.approx([0, 0.05, 0.1, 0.1])
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_loss_weight_decay_and_penalty_make_up_the_full_loss(small: Recipe, tmp_path: Path) -> None:
    for event in steps(run(small, tmp_path / "checkpoints")):
        told = {name: value for name, value in event.values.items() if value is not None}
        # L + λ/2 ‖θ‖² + τα/4 mean ‖g‖², with α = 0.5 and λ = 5e-4
        decay = 5e-4 / 2 * told["param_norm"] ** 2
        penalty = told["learning_rate"] * 0.5 / 4 * told["block_grad_norm"] ** 2
        assert told["full_loss"] == pytest.approx(told["loss"] + decay + penalty, rel=1e-12)
        assert told["penalty_share"] == pytest.approx(penalty / told["full_loss"], rel=1e-12)
        assert told["decay_share"] == pytest.approx(decay / told["full_loss"], rel=1e-12)


def test_a_clipped_step_is_told_just_before_it_with_the_norm_before_clipping(small: Recipe, tmp_path: Path) -> None:
    norms = told(run(but(small, clip__norm=1e6), tmp_path / "free"), "grad_norm")
    threshold = sorted(norms)[0] * 1.0001
    events = run(but(small, clip__norm=threshold), tmp_path / "clipped")
    expected = [(event.step, event.values["grad_norm"]) for event in steps(events)
                if (event.values["grad_norm"] or 0) > threshold]  # fmt: skip
    clips = [event for event in events if isinstance(event, GradientClipped)]
    assert [(clip.step, clip.norm) for clip in clips] == expected
    assert clips
    for clip in clips:
        assert clip.threshold == threshold
        following = events[events.index(clip) + 1]
        assert isinstance(following, StepTaken)
        assert following.step == clip.step


def test_two_runs_of_one_recipe_are_the_same_to_the_last_bit_and_another_seed_is_not(
    small: Recipe, tmp_path: Path
) -> None:
    shuffled = but(small, gradient__order="shuffled")
    one, two = (run(shuffled, tmp_path / name / "checkpoints") for name in _folders(tmp_path, "one", "two"))
    assert without_clocks(one) == without_clocks(two)
    assert saved(tmp_path / "one" / "checkpoints", 3) == saved(tmp_path / "two" / "checkpoints", 3)
    assert told(run(but(shuffled, seed=1), tmp_path / "other"), "loss") != told(one, "loss")


def _folders(parent: Path, *names: str) -> list[str]:
    for name in names:
        (parent / name).mkdir()
    return list(names)


def test_a_pass_that_is_repeated_leaves_no_trace_in_the_batch_norm_statistics(small: Recipe, tmp_path: Path) -> None:
    statistics = []
    for accumulation, repeated in (("exact", [PassRepeated(1)]), ("fp32", [])):
        events = run(but(small, steps=1, gradient__accumulation=accumulation), tmp_path / accumulation)
        assert [event for event in events if isinstance(event, PassRepeated)] == repeated
        tensors = load_file(tmp_path / accumulation / "step-00000001" / "tensors.safetensors")
        statistics.append({name: value.tolist() for name, value in tensors.items() if ".running_" in name})
    assert statistics[0] == statistics[1]
    assert len(statistics[0]) == 18


@pytest.mark.parametrize(("command", "state"), [("stop", "stopped"), ("preempt", "preempted")])
def test_a_command_in_the_middle_of_a_pass_leaves_all_as_after_the_last_whole_step(
    small: Recipe, tmp_path: Path, command: Command, state: State
) -> None:
    run(but(small, steps=2), tmp_path / "whole")
    in_step_3 = ProgressMade("training", step=3, done=2, total=3)
    ended, events = run_until(small, tmp_path / "stopped", in_step_3, command)
    assert ended == state
    assert events[-3:] == [in_step_3, CommandTaken(command, "the test"), CheckpointSaved(2, "stopped/step-00000002", 1)]
    assert saved(tmp_path / "stopped", 2) == saved(tmp_path / "whole", 2)


def test_a_stop_before_the_first_step_saves_the_beginning(small: Recipe, tmp_path: Path) -> None:
    first = ProgressMade("training", step=1, done=0, total=3)
    state, events = run_until(small, tmp_path / "stopped", first, "stop")
    assert (state, steps(events)) == ("stopped", [])
    torch.manual_seed(small.seed)
    beginning = make_model(small.model, image_form(1, 8, 10)).state_dict()
    saved(tmp_path / "stopped", 0)
    tensors = load_file(tmp_path / "stopped" / "step-00000000" / "tensors.safetensors")
    units = {"units.mean", "units.acc_mean"}
    assert set(tensors) == {f"model.{name}" for name in beginning} | units
    assert all(torch.equal(tensors[f"model.{name}"], value) for name, value in beginning.items())


def test_a_stop_during_a_validation_keeps_the_step_before_it(small: Recipe, tmp_path: Path) -> None:
    run(but(small, steps=1), tmp_path / "whole")
    validating = ProgressMade("validating", step=1, done=0, total=1)
    state, events = run_until(small, tmp_path / "stopped", validating, "stop")
    assert (state, validated(events)) == ("stopped", [])
    assert saved(tmp_path / "stopped", 1) == saved(tmp_path / "whole", 1)


def test_a_run_that_diverges_says_so_and_leaves_the_last_finite_weights(small: Recipe, tmp_path: Path) -> None:
    absurd = but(small, steps=30, optimizer__lr=1e20).model_copy(update={"penalty": None, "clip": None})
    events: list[Event] = []
    with pytest.raises(NonFiniteError) as raised:
        train(absurd, "cpu", None, tmp_path / "diverged", events.append, lambda: None)
    (found,) = (event for event in events if isinstance(event, NonFiniteFound))
    assert found.step == 2
    assert {"loss", "grad_norm"} <= set(found.names)
    names = ", ".join(found.names)
    assert raised.value.message == f"step 2 was not finite ({names}); the weights of step 1 are saved"
    assert raised.value.hint == "a lower learning rate, a longer warm-up or a smaller clip norm may help"
    assert events[-1] == CheckpointSaved(1, "diverged/step-00000001", best_step=1)
    assert [event.step for event in steps(events)] == [1]
    run(but(absurd, steps=1), tmp_path / "whole")
    assert saved(tmp_path / "diverged", 1) == saved(tmp_path / "whole", 1)
    tensors = load_file(tmp_path / "diverged" / "step-00000001" / "tensors.safetensors")
    assert all(bool(value.isfinite().all()) for value in tensors.values())


def test_a_device_that_runs_out_of_memory_is_told_with_the_size_of_the_blocks(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")

    monkeypatch.setattr("fbmon.train.descent.clip_", full)
    with pytest.raises(FbmonError) as raised:
        run(small, tmp_path / "checkpoints")
    reason = "CUDA out of memory. Tried to allocate 2.00 GiB."
    assert raised.value.message == f"out of memory with blocks of 16 images: {reason}"
    assert raised.value.exit_code == 1


TOO_LARGE = """
import resource, sys
from pathlib import Path
from fbmon import recipe
from fbmon.errors import FbmonError
from fbmon.train.loop import train
wanted = recipe.load(Path(sys.argv[1]), ["data.limit=1437", "gradient.block=1437", "model.width=128", "steps=1"])
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (700 << 20), taken + (700 << 20)))
try:
    train(wanted, "cpu", None, Path(sys.argv[1]).parent / "checkpoints", lambda _: None, lambda: None)
except FbmonError as error:
    print(error.message)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_real_memory_that_runs_out_is_told_too(tiny: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", TOO_LARGE, tiny], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert said.stdout.startswith("out of memory with blocks of 1437 images: ")


def test_limits_and_drop_last_decide_how_many_images_count(small: Recipe, tmp_path: Path) -> None:
    def planned(name: str, **changes: Any) -> tuple[int, int, int]:
        events = run(but(small, steps=1, **changes), tmp_path / name)
        (plan,) = (event for event in events if isinstance(event, TrainingStarted))
        return plan.blocks, plan.images, plan.val_images

    assert planned("short") == (3, 40, 30)
    assert planned("dropped", gradient__drop_last=True) == (2, 32, 30)
    assert planned("one", gradient__block=64, gradient__drop_last=True, data__val_limit=1) == (1, 40, 1)
    assert planned("few", data__limit=17, data__val_limit=1000) == (2, 17, 360)


def test_a_device_that_is_not_there_is_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(FbmonError) as raised:
        choose_device("cuda:99")
    assert raised.value.message == f"--devices cuda:99: this machine has {count} CUDA devices"
    assert raised.value.hint == "try --devices cpu"
    assert choose_device("cpu") == torch.device("cpu")
