"""The facts that a run tells: frozen, few of them; their union is `Event`.

The trainer makes them, the journal stamps and keeps them, the store folds them, the screen shows the store.
A number that is unknown or not finite is None, never a guess.
"""

from typing import Literal

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=True, omit_defaults=True, gc=False):
    """The part that every event carries; the journal fills it in as it writes the event down.

    No event refers to another: the garbage collector need not look (an eighth of the time to read a long journal).
    """

    seq: int = 0  # 1, 2, 3, ... over the whole run
    time: float = 0.0  # seconds since 1970, for display
    elapsed: float = 0.0  # seconds since the run began, by a clock that never jumps


Phase = Literal[
    "loading torch", "meeting the other ranks", "loading data", "downloading data", "building the model", "training"
]
Task = Literal["training", "validating", "analysing", "downloading"]
Command = Literal["stop", "stop_after_step", "preempt", "checkpoint", "pause", "resume"]
State = Literal["finished", "stopped", "preempted", "diverged", "failed", "killed"]


class RunStarted(Fact, frozen=True):
    """The first line of a journal, written before torch is imported."""

    run: str
    recipe: str
    steps: int
    version: str
    pid: int
    origin: str = ""  # whose weights it begins with, as RUN@STEP; empty for new ones


class RunResumed(Fact, frozen=True):
    """The run goes on after it had ended or was killed; written before torch is imported."""

    version: str
    pid: int


class RunRestarted(Fact, frozen=True):
    """A process of the training died or was stuck, and all of them are started once more, as the recipe allows."""

    step: int  # the last one that was told of
    reason: str
    number: int  # of this restart
    at_most: int


class PhaseEntered(Fact, frozen=True):
    """The thing that the trainer is doing now."""

    phase: Phase
    detail: str = ""  # as who is waited for


class Machine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The things on which the last bits of a training's numbers depend, of its first rank; empty: not known."""

    host: str = ""
    processor: str = ""
    instructions: str = ""  # those that torch uses of it
    threads: int = 0
    torch: str = ""
    gpus: list[str] = []


class TrainingStarted(Fact, frozen=True):
    """The plan of what is about to be trained, once the data are loaded and the model is built."""

    steps: int
    blocks: int  # per step
    images: int  # per step
    val_images: int
    parameters: int
    device: str
    precision: str
    clip_norm: float | None = None
    target_val_accuracy: float | None = None
    validation_every: int = 0  # steps; 0: not told
    hosts: list[str] = []  # of each rank, where they are on several
    # Multiplications and additions of convolutions and products, penalty included; of a pass, where a step searches.
    flop_per_step: float | None = None
    attainable_flops: float | None = None  # a second, of all devices together, as matrix products were measured
    ranks: int = 1
    machine: Machine | None = None  # None: not told
    emulation: str = ""  # what is to be said of a device without instructions for the precision
    random_parts: list[str] = []  # what makes the network random: the names of modules
    is_tracked: bool = False  # by another program than fbmon's trainer, which tells of it
    code: str = ""  # whose network it is, as the recipe names it; empty for fbmon's own


class ProgressMade(Fact, frozen=True):
    """The progress of the task in hand: blocks of a step or a validation, bytes of a download. Not for the journal."""

    task: Task
    step: int
    done: int
    total: int


class PassRepeated(Fact, frozen=True):
    """The gradient of this step was of another size than the exact mean was set for, and was computed once more."""

    step: int


class StepTaken(Fact, frozen=True):
    """One update of the weights; `step` counts from 1.

    `values` has names of `metrics.STEP` and, where several ranks share the step, of `metrics.OF_RANKS`.
    """

    step: int
    values: dict[str, float | None]
    rank_seconds: list[float] = []  # of several ranks, how long each one computed: without waiting for the others


class GradientClipped(Fact, frozen=True):
    """The gradient of this step, or of an update within it, was longer than the threshold and was scaled down to it."""

    step: int
    norm: float
    threshold: float


class Validated(Fact, frozen=True):
    """The validation after this step; `values` has the names of `metrics.VALIDATION`."""

    step: int
    values: dict[str, float | None]


class Analysed(Fact, frozen=True):
    """The findings of the recipe's analysis about this step: at the weights from which it starts, or of its update.

    `values` has some of the names of `metrics.ANALYSIS`; `residual` bounds how far a sharpness among them is from an
    exact eigenvalue.
    """

    step: int
    values: dict[str, float | None]
    residual: float | None = None


class CheckpointSaved(Fact, frozen=True):
    """The state after this step is on disk, in the run folder under `path`; beside it that of the best validation."""

    step: int
    path: str
    best_step: int = 0  # 0: nothing has been validated yet


class CheckpointFailed(Fact, frozen=True):
    """The state after this step could not be saved; the training goes on, and the next try comes soon.

    At the end of a run there are only tries left: for `seconds`, unless somebody asks for a stop.
    """

    step: int
    reason: str
    seconds: float = 0.0


class StateRestored(Fact, frozen=True):
    """The run goes on from the state after this step; steps behind it that were told before are taken once more."""

    step: int  # 0: from the beginning
    path: str = ""
    damaged: list[int] = []  # the steps of newer checkpoints that could not be used, and were set aside


class NonFiniteFound(Fact, frozen=True):
    """Measures of the step that were infinite or not a number; the update was not made."""

    step: int
    names: list[str]


class DivergenceFound(Fact, frozen=True):
    """The loss of this step is the last of `steps` in a row that were far above that of the first step."""

    step: int
    loss: float
    start_loss: float
    steps: int


class CommandTaken(Fact, frozen=True):
    """A command from a screen, a shell or a signal has reached the trainer."""

    command: Command
    source: str


class DeviceSampled(Fact, frozen=True):
    """One look at one device, once a second. Kept in telemetry.jsonl."""

    device: str  # "cpu", "cpu (2 of 64 cores)" where no more may be used, or "cuda:0 (gpu 3)"
    utilization: float | None = None  # percent
    memory_mib: float | None = None
    memory_total_mib: float | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None
    clock_mhz: float | None = None

    @property
    def is_host(self) -> bool:
        """Say whether it is the processor with its memory."""
        return self.device.startswith("cpu")


class Listening(Fact, frozen=True):
    """The program that trains, which is another than fbmon's trainer, has begun to look for commands."""


class Noted(Fact, frozen=True):
    """A remark of the program that trains."""

    step: int
    text: str


class RunEnded(Fact, frozen=True):
    """The last word."""

    state: State
    exit_code: int
    step: int = 0
    reason: str = ""
    hint: str = ""


Event = (
    RunStarted
    | RunResumed
    | RunRestarted
    | PhaseEntered
    | TrainingStarted
    | ProgressMade
    | PassRepeated
    | StepTaken
    | GradientClipped
    | Validated
    | Analysed
    | CheckpointSaved
    | CheckpointFailed
    | StateRestored
    | NonFiniteFound
    | DivergenceFound
    | CommandTaken
    | Listening
    | Noted
    | DeviceSampled
    | RunEnded
)
