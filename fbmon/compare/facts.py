"""The facts of every run, whatever its metrics and settings: `state`, `time`, `clipped`, `difference`, ..."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fbmon.compare.run import Run
from fbmon.events import Machine
from fbmon.run import written
from fbmon.text import as_utf8, clean, duration

Value = str | float | int | bool | None
Direction = Literal["ascending", "descending"]


@dataclass(frozen=True)
class Field:
    """A fact about a run; people read its heading and type its name."""

    name: str
    heading: str
    value: Callable[[Run], Value]
    show: Callable[[Value], str]
    direction: Direction = "ascending"  # what comes first when sorted by it
    is_number: bool = True  # and so has a mean
    is_right: bool = True  # stands on the right of its column
    about: str = ""
    by: Callable[[Run], Value] | None = None  # what it is sorted by, where that is not its value

    def rank(self, run: Run) -> Value:
        """Return the value that a run is sorted by."""
        return (self.by or self.value)(run)


def show_plain(value: Value) -> str:
    """Return any value as text for people; an unknown one is `–`."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else clean(str(value), 200)


def _number(specification: str) -> Callable[[Value], str]:
    def show(value: Value) -> str:
        return format(value, specification) if isinstance(value, float | int) else "–"

    return show


def _show_seconds(value: Value) -> str:
    return duration(value) if isinstance(value, float | int) else "–"


def _show_ago(value: Value) -> str:
    return f"{_show_seconds(value)} ago" if value is not None else "–"


def _show_count(value: Value) -> str:
    """Return a count as text; the mean of several counts may not be whole."""
    return f"{value:.1f}" if isinstance(value, float) else show_plain(value)


def _progress(run: Run) -> Value:
    return f"{run.summary.step}/{run.steps}"


def _clipped(run: Run) -> Value:
    summary = run.summary
    if not summary.step or (not summary.clipped_count and summary.plan and summary.plan.clip_norm is None):
        return None  # a run that does not clip has no share, not a share of 0
    return summary.clipped_share()


def _machine(run: Run) -> Machine:
    return (run.summary.plan and run.summary.plan.machine) or Machine()


def _flop(run: Run) -> Value:
    summary = run.summary
    if summary.plan is None or summary.plan.flop_per_step is None:
        return None
    passes = summary.metrics.get("passes") if "optimizer.trials" in run.settings else None  # a step has several
    return summary.plan.flop_per_step * ((passes.final if passes else None) or summary.step)


def _reported(run: Run) -> Value:
    reported = run.settings.get("target.val_accuracy")
    return reported if isinstance(reported, float) else None


def _difference(run: Run) -> Value:
    digest, reported = run.summary.metrics.get("val_accuracy"), _reported(run)
    final = digest.final if digest else None
    return final - reported if final is not None and isinstance(reported, float) else None


def _reason(run: Run) -> Value:
    return run.summary.ended.reason if run.summary.ended else ""


def _origin(run: Run) -> Value:
    return run.summary.began.origin or None if run.summary.began else None


def _seen(run: Run) -> Value:
    return max(0.0, time.time() - run.last_sign) if run.last_sign else None


def _flatness(name: str) -> Callable[[Run], Value]:
    def value(run: Run) -> Value:
        return getattr(run.flatness, name) if run.flatness else None

    return value


def _text(name: str, value: Callable[[Run], Value], about: str) -> Field:
    return Field(name, name, value, show_plain, is_number=False, is_right=False, about=about)


STATES = (
    "running", "paused", "stalled", "finished", "stopped", "preempted", "diverged", "failed", "killed", "unknown",
    "damaged",
)  # fmt: skip

_FACTS = (
    _text("run", lambda run: as_utf8(run.name), "the run's name"),
    _text("path", lambda run: written(run.path), "the run's folder"),
    _text("recipe", lambda run: run.recipe, "the recipe's name"),
    _text("state", lambda run: run.state, f"{', '.join(STATES[:-1])} or {STATES[-1]}"),
    _text("reason", _reason, "why the run ended"),
    _text("origin", _origin, "the run and the step whose weights it began with"),
    _text("host", lambda run: _machine(run).host or None, "the machine that last trained the run"),
    _text("processor", lambda run: _machine(run).processor or None, "the processor of that machine"),
    Field("step", "step", lambda run: run.summary.step, _show_count, "descending", about="steps taken"),
    Field("steps", "steps", lambda run: run.steps or None, _show_count, about="steps planned"),
    Field(
        "progress",
        "step",
        _progress,
        show_plain,
        "descending",
        is_number=False,
        about="step and steps, such as 30/3000",
        by=lambda run: run.summary.step,
    ),
    Field("clipped", "clipped", _clipped, _number(".0%"), about="the share of steps whose gradient was clipped"),
    Field(
        "time",
        "time",
        lambda run: run.summary.seconds,
        _show_seconds,
        about="training time in seconds, without pauses",
    ),
    Field(
        "device_hours",
        "device-hours",
        lambda run: run.summary.device_seconds / 3600,
        _number(".3g"),
        about="training time in hours, with pauses, times the number of devices",
    ),
    Field("flop", "FLOP", _flop, _number(".3g"), about="multiplications and additions of all steps, penalty included"),
    Field("reported", "reported", _reported, _number(".4f"), "descending", about="the recipe's target.val_accuracy"),
    Field(
        "difference",
        "difference",
        _difference,
        _number("+z.4f"),
        "descending",
        about="the final validation accuracy minus the reported one",
    ),
    Field(
        "flat_radius",
        "radius",
        _flatness("radius"),
        _number(".3f"),
        "descending",
        about="how far weights can go at random until the loss exceeds 0.5, measured by `fbmon flatness`",
    ),
    Field(
        "sam",
        "SAM",
        _flatness("sam"),
        _number(".3g"),
        about="how much the loss rises 0.05 uphill, also by `fbmon flatness`",
    ),
    Field(
        "perturbed_accuracy",
        "perturbed acc",
        _flatness("perturbed_accuracy"),
        _number(".4f"),
        "descending",
        about="the training accuracy half a filter's length away, also by `fbmon flatness`",
    ),
    Field("seen", "last seen", _seen, _show_ago, about="seconds since the run's last sign of life"),
    Field(
        "damaged",
        "damaged lines",
        lambda run: run.summary.damaged,
        _show_count,
        "descending",
        about="unreadable lines in the run's journal",
    ),
)
FACTS = {field.name: field for field in _FACTS}
