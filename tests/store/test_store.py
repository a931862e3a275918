"""A run folded from its events: what the screens read."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.events import (
    Analysed,
    CheckpointSaved,
    CommandTaken,
    DeviceSampled,
    DivergenceFound,
    Event,
    GradientClipped,
    NonFiniteFound,
    PhaseEntered,
    ProgressMade,
    RunEnded,
    RunRestarted,
    RunResumed,
    RunStarted,
    State,
    StateRestored,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.store.notes import Level, Note
from fbmon.store.store import Best, Store

PLAN = TrainingStarted(
    steps=10, blocks=3, images=48, val_images=32, parameters=1234567, device="2 CPU threads", precision="float32",
    clip_norm=0.25, elapsed=2.0,
)  # fmt: skip


def step(number: int, loss: float | None = 1.0) -> StepTaken:
    """Step n ends n seconds after the start of training, which is at 2 s."""
    return StepTaken(step=number, values={"loss": loss}, elapsed=2.0 + number)


def clipped(number: int, norm: float) -> GradientClipped:
    return GradientClipped(step=number, norm=norm, threshold=0.25, elapsed=2.0 + number)


def validated(number: int, accuracy: float | None) -> Validated:
    return Validated(step=number, values={"val_accuracy": accuracy, "val_loss": 0.5}, elapsed=2.5 + number)


STORY: list[Event] = [
    RunStarted(run="small-1", recipe="small", steps=10, version="1", pid=7),
    PhaseEntered(phase="loading torch", elapsed=0.1),
    PLAN,
    PhaseEntered(phase="training", elapsed=2.0),
    ProgressMade(task="training", step=1, done=1, total=3),
    step(1, loss=3.0),
    validated(1, 0.5),
    clipped(2, 1.25),
    step(2, loss=2.0),
    clipped(3, 0.75),
    step(3, loss=None),
    validated(3, 0.5),
    step(4, loss=1.0),
    clipped(5, 48.768),
    step(5),
    validated(5, 0.875),
    step(6),
    validated(6, 0.75),
    CommandTaken(command="stop", source="SIGINT", elapsed=9.0),
    CheckpointSaved(step=6, path="checkpoints/step-00000006", elapsed=9.1),
    RunEnded(state="stopped", exit_code=130, step=6, reason="stopped after step 6", elapsed=9.2),
]


def told(*events: Event) -> Store:
    store = Store()
    for event in events:
        store.apply(event)
    return store


def test_a_whole_story_is_remembered() -> None:
    store = told(*STORY)
    assert (store.step, store.steps, store.phase, store.elapsed) == (6, 10, "training", 9.2)
    assert store.began == STORY[0]
    assert store.plan == PLAN
    assert store.progress == STORY[4]
    assert store.ended == STORY[-1]
    assert store.best == Best(0.875, 5)
    assert store.latest == {"loss": 1.0, "val_accuracy": 0.75, "val_loss": 0.5, "clipped_share": 0.5}
    assert store.clipped.steps.tolist() == [2, 3, 5]
    assert store.clipped.values.tolist() == [1.25, 0.75, 48.768]
    assert store.clipped_share() == 0.5
    loss = store.series["loss"]
    assert loss.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert loss.elapsed.tolist() == [3, 4, 5, 6, 7, 8]
    assert loss.values.tolist() == pytest.approx([3, 2, math.nan, 1, 1, 1], nan_ok=True)
    assert store.series["val_accuracy"].steps.tolist() == [1, 3, 5, 6]


def test_the_clipped_share_is_that_of_the_steps_taken() -> None:
    assert told(PLAN, clipped(1, 1.0)).clipped_share() == 0.0, "step 1 is still to come"
    assert told(PLAN, clipped(1, 1.0), step(1), clipped(2, 1.0)).clipped_share() == 1.0, "step 2 is still to come"
    assert told(PLAN, step(1), clipped(2, 1.0), step(2)).clipped_share() == 0.5


def test_the_notes_tell_the_story_with_one_line_for_each_episode_of_clipping() -> None:
    clipping = "clipping engaged (norm 1.2500, up to 48.7680), 3 of 4 steps (75%), 2 in a row"
    assert told(*STORY).notes == [
        Note(0, 2.0, "info", "training 1,234,567 parameters on 2 CPU threads", "start"),
        Note(1, 3.5, "good", "best validation accuracy 0.5000", "best"),
        Note(2, 4.0, "warning", clipping, "clipping"),
        Note(3, 5.5, "info", "validation accuracy 0.5000", "validation"),
        Note(5, 7.5, "good", "best validation accuracy 0.8750", "best"),
        Note(6, 8.5, "info", "validation accuracy 0.7500", "validation"),
        Note(6, 9.0, "warning", "stop requested by SIGINT", "command"),
        Note(6, 9.1, "info", "checkpoint of step 6 saved", "checkpoint"),
        Note(6, 9.2, "warning", "stopped: stopped after step 6", "end"),
    ]


@pytest.mark.parametrize(
    ("state", "exit_code", "reason", "level", "text"),
    [
        ("finished", 0, "", "good", "finished"),
        ("preempted", 75, "SIGTERM", "warning", "preempted: SIGTERM"),
        ("diverged", 3, "step 7 was not finite", "error", "diverged: step 7 was not finite"),
        ("killed", 4, "by the kernel", "error", "killed: by the kernel"),
    ],
)
def test_the_last_note_is_how_the_run_ended(state: State, exit_code: int, reason: str, level: Level, text: str) -> None:
    store = told(step(1), RunEnded(state=state, exit_code=exit_code, step=1, reason=reason, elapsed=4.0))
    assert store.notes == [Note(1, 4.0, level, text, "end")]
    assert store.seconds_left() is None


def test_a_loss_that_is_not_finite_is_noted_by_its_names() -> None:
    store = told(step(1), NonFiniteFound(step=2, names=["loss", "grad_norm"], elapsed=3.5))
    assert store.notes == [Note(2, 3.5, "error", "not finite at step 2: loss, grad_norm", "nonfinite")]
    assert store.step == 1


def test_a_divergence_is_noted_with_how_far_and_how_long() -> None:
    store = told(step(1), DivergenceFound(step=40, loss=11.5, start_loss=2.3, steps=20, elapsed=3.5))
    text = "diverging: loss 11.5000, 5 times that of the first step (2.3000), for 20 steps"
    assert store.notes == [Note(40, 3.5, "error", text, "divergence")]


def test_a_restart_is_noted_with_its_reason_and_how_many_there_may_be() -> None:
    store = told(step(1), RunRestarted(step=1, reason="rank 1 (cpu) was killed", number=1, at_most=3, elapsed=3.5))
    text = "rank 1 (cpu) was killed; restart 1 of at most 3"
    assert (store.notes, store.phase) == ([Note(1, 3.5, "error", text, "resume")], "starting the trainer")


def resumed(at: int, *events: Event, damaged: list[int] | None = None) -> list[Event]:
    restored = StateRestored(step=at, path=f"checkpoints/step-{at:08d}", damaged=damaged or [], elapsed=10.0)
    return [RunResumed(version="1", pid=8, elapsed=9.5), restored, *events]


def test_a_resumed_run_folds_the_steps_taken_again_over_those_told_before() -> None:
    again: list[Event] = [clipped(5, 48.768), step(5), validated(5, 0.875), step(6), validated(6, 0.75), step(7)]
    store = told(*STORY, *resumed(4, *again))
    whole = told(*STORY[:18], step(7))
    for name, series in whole.series.items():
        assert store.series[name].steps.tolist() == series.steps.tolist()
        assert store.series[name].values.tolist() == pytest.approx(series.values.tolist(), nan_ok=True)
    assert store.clipped.steps.tolist() == [2, 3, 5]
    assert (store.step, store.best, store.latest, store.ended) == (7, Best(0.875, 5), whole.latest, None)
    assert not [note for note in store.notes if "reproducible" in note.text]


def test_going_back_forgets_what_lies_behind_and_names_the_checkpoints_that_were_damaged() -> None:
    store = told(*STORY, *resumed(4, damaged=[6]))
    assert (store.step, store.best, store.latest["loss"]) == (4, Best(0.5, 1), 1.0)
    assert store.series["loss"].steps.tolist() == [1, 2, 3, 4]
    assert store.clipped.steps.tolist() == [2, 3]
    assert store.notes[-2:] == [
        Note(4, 10.0, "error", "the checkpoint of step 6 is damaged or of another run and was set aside", "checkpoint"),
        Note(4, 10.0, "warning", "resumed from step 4", "resume"),
    ]


def test_a_number_that_comes_out_otherwise_the_second_time_is_told() -> None:
    store = told(*STORY, *resumed(4, step(5, loss=1.0), step(6, loss=1.0000000000000002)))
    assert store.notes[-1].text == "not reproducible: loss of step 6 was 1.0 and is now 1.0000000000000002"
    twice = told(*STORY, *resumed(4, step(5)), *resumed(4, step(5), step(6, loss=2.0)))
    assert twice.notes[-1].text == "not reproducible: loss of step 6 was 1.0 and is now 2.0"


def test_a_validation_told_again_at_the_step_that_the_run_goes_on_from_replaces_the_one_before() -> None:
    """It was cut off before the validation was noted in a checkpoint."""
    story = STORY[:16]  # up to the validation of step 5, the best
    store = told(*story, *resumed(5, validated(5, 0.875), step(6)))
    assert store.series["val_accuracy"].steps.tolist() == [1, 3, 5]
    assert store.series["val_accuracy"].values.tolist() == [0.5, 0.5, 0.875]
    assert store.best == Best(0.875, 5)
    assert not [note for note in store.notes if "reproducible" in note.text]
    other = told(*story, *resumed(5, Validated(step=5, values={"val_accuracy": 0.25, "val_loss": 0.75})))
    assert other.series["val_loss"].values.tolist() == [0.5, 0.5, 0.75]
    assert other.best == Best(0.5, 1)
    assert "not reproducible: val_loss of step 5 was 0.5 and is now 0.75" in [note.text for note in other.notes]


def test_the_time_left_follows_the_pace_of_the_last_fifty_steps() -> None:
    store = told(PLAN)
    assert store.seconds_left() is None
    store.apply(step(1))
    assert store.seconds_left() is None
    store.apply(step(2))
    assert store.seconds_left() == pytest.approx(8)
    long = TrainingStarted(
        steps=200, blocks=1, images=1, val_images=1, parameters=1, device="cpu", precision="float32"
    )  # fmt: skip
    slow = [StepTaken(step=number, values={}, elapsed=100.0 * number) for number in range(1, 51)]
    fast = [StepTaken(step=number, values={}, elapsed=5000 + 2.0 * (number - 50)) for number in range(51, 101)]
    assert told(long, *slow).seconds_left() == pytest.approx(150 * 100)
    assert told(long, *slow, *fast).seconds_left() == pytest.approx(100 * 2)


def test_each_device_has_its_newest_sample_and_its_curves() -> None:
    gpu, host = "cuda:0 (gpu 3)", "cpu"
    store = told(
        DeviceSampled(device=gpu, utilization=50.0, memory_mib=1024.0, memory_total_mib=4096.0, elapsed=1.0),
        step(1),
        DeviceSampled(device=host, utilization=25.0, elapsed=1.5),
        DeviceSampled(device=gpu, elapsed=2.0),
    )
    assert store.devices[gpu] == DeviceSampled(device=gpu, elapsed=2.0)
    assert store.utilization[gpu].values.tolist() == pytest.approx([50, math.nan], nan_ok=True)
    assert store.utilization[gpu].steps.tolist() == [0, 1]
    assert store.memory[gpu].values.tolist() == pytest.approx([25, math.nan], nan_ok=True)
    assert store.memory[host].last() is None
    assert store.elapsed == 3.0, "the supervisor's clock is not the trainer's"


def test_a_journal_without_its_beginning_still_tells_what_it_holds() -> None:
    store = told(*STORY[8:])
    assert (store.step, store.steps, store.phase) == (6, 0, "starting the trainer")
    assert store.best == Best(0.875, 5)
    assert store.notes[0].text == "clipping engaged (norm 0.7500, up to 48.7680), 2 of 3 steps (67%), 1 in a row"
    assert store.ended == STORY[-1]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(range(len(STORY))), unique=True).map(sorted))
def test_whatever_lines_a_journal_has_lost_the_rest_is_remembered(kept: list[int]) -> None:
    events = [STORY[number] for number in kept]
    store = told(*events)
    steps = [event for event in events if isinstance(event, StepTaken)]
    accuracies = [(event.values["val_accuracy"] or 0, event.step) for event in events if isinstance(event, Validated)]
    assert store.step == (steps[-1].step if steps else 0)
    assert len(store.series.get("loss", ())) == len(steps)
    assert len(store.clipped) == sum(isinstance(event, GradientClipped) for event in events)
    highest = max(accuracies, key=lambda pair: (pair[0], -pair[1]), default=None)
    assert store.best == (Best(*highest) if highest else None)
    left = store.seconds_left()
    assert left is None or math.isfinite(left)
    assert (store.ended is not None) == (len(STORY) - 1 in kept)


def test_the_time_left_has_a_spread_as_wide_as_the_steps_were_uneven() -> None:
    plan = msgspec.structs.replace(PLAN, steps=100)
    even = told(plan, *(StepTaken(step, {}, elapsed=2.0 * step) for step in range(1, 51)))
    assert (even.seconds_left(), even.seconds_left_deviation()) == (100, 0)
    assert told(plan, step(1), step(2)).seconds_left_deviation() is None
    # Steps of 1 and 3 seconds in turn: a standard deviation of 1, over 50 steps to come and a mean of 50 steps.
    uneven = told(plan, *(StepTaken(step, {}, elapsed=2.0 * step + step % 2) for step in range(1, 51)))
    assert uneven.seconds_left_deviation() == pytest.approx(math.sqrt(50 + 50**2 / 49), rel=0.02)


def test_the_next_validation_comes_after_the_first_step_then_every_so_many_and_after_the_last() -> None:
    plan = msgspec.structs.replace(PLAN, steps=12, validation_every=5)
    left = [told(plan, *(step(number) for number in range(1, done + 1))).steps_to_validation() for done in range(13)]
    assert left == [1, 5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 1, None]  # after steps 1, 6, 11 and 12


def test_a_trainer_that_starts_again_says_so_at_the_step_it_goes_on_from() -> None:
    again = told(PLAN, step(1), step(2), StateRestored(2, elapsed=9.0), msgspec.structs.replace(PLAN, elapsed=10.0))
    assert [(note.step, note.kind) for note in again.notes] == [(0, "start"), (2, "resume"), (2, "start")]


def test_a_run_is_paused_from_its_pause_to_its_resume() -> None:
    pause, resume = CommandTaken("pause", "the screen"), CommandTaken("resume", "the screen")
    stores = [told(step(1), *commands) for commands in ([], [pause], [pause, resume])]
    assert [store.paused_since is not None for store in stores] == [False, True, False]


def test_a_run_that_goes_on_on_other_devices_shows_those() -> None:
    gone, here = DeviceSampled("cuda:0 (gpu 0)", 90.0, elapsed=8.0), DeviceSampled("cuda:1 (gpu 1)", 10.0, elapsed=9.8)
    went_on, restored = resumed(4)
    store = told(*STORY[:-1], gone, went_on, here, restored, here)
    assert store.devices == {here.device: here}
    assert store.utilization[here.device].steps.tolist() == [4]


def test_a_validation_or_a_sharpness_that_comes_out_otherwise_is_told_too_whatever_is_told_before_it() -> None:
    """A step, its validation and its analysis are told one after the other: none hides the numbers of the next."""
    sharp = Analysed(step=5, values={"sharpness": 2.0})
    store = told(*STORY[:13], sharp, *STORY[13:], *resumed(4, sharp, step(5, loss=2.0), validated(5, 0.25)))
    other = Validated(step=5, values={"val_accuracy": 0.875, "val_loss": 0.75})
    second = told(*STORY, *resumed(4, step(5), other))
    words = [note.text for note in [*store.notes, *second.notes] if "reproducible" in note.text]
    assert words == [
        "not reproducible: loss of step 5 was 1.0 and is now 2.0",
        "not reproducible: val_loss of step 5 was 0.5 and is now 0.75",
    ]
