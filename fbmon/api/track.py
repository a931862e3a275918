"""A training of anybody's own, told step by step: `fbmon.track`, and all of fbmon's screens show it.

Nothing here may cost the training anything: what goes wrong is said once, as a warning, and the training goes on.
"""

import atexit
import math
import os
import re
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsFloat

if TYPE_CHECKING:
    from fbmon.events import CommandTaken, Event, State
    from fbmon.process.emit import Emitter
    from fbmon.run import RunFolder

_INBOX_SECONDS = 0.1
_PAUSE_SECONDS = 0.1


class Tracked:
    """A run that a loop of anybody's tells about; without a `folder` it tells nothing, as on all later ranks."""

    def __init__(self, folder: "RunFolder | None" = None, clip_norm: float | None = None) -> None:
        self.asked_to_save = False  # by ^s on a screen; the loop sets it back when it has saved
        self._folder = folder
        self._clip_norm = clip_norm
        self._emitter: Emitter | None = None
        self._over = ExitStack()
        self._turn = threading.Lock()
        self._step = 0  # the last one told
        self._is_asked_to_stop = False
        self._listens = False
        self._look_again = 0.0
        self._has_warned = False

    def __repr__(self) -> str:
        return f"<fbmon run {self._folder.name if self._folder else 'that tells nothing'}>"

    @property
    def path(self) -> Path | None:
        """The run's folder; None where nothing is told."""
        return self._folder.path if self._folder else None

    @property
    def step(self) -> int:
        """The last step told; in a run that goes on, at first that of the earlier process."""
        return self._step

    @property
    def asked_to_stop(self) -> bool:
        """Say whether somebody has asked for a stop, on a screen or by `fbmon stop`; wait while paused."""
        self._safely(self._listen)
        return self._is_asked_to_stop

    def log(
        self, step: int, values: Mapping[str, SupportsFloat | None] | None = None, /, **more: SupportsFloat | None
    ) -> None:
        """Tell what was measured in a step, counted from 1, by name.

        Names of fbmon's own metrics, such as loss, grad_norm or learning_rate, are drawn on its charts; every other one
        has a chart of its own. A step that was told before begins a seam: the steps behind it are told once more.
        """
        self._safely(lambda: self._log(step, {**(values or {}), **more}))

    def validated(
        self, step: int, values: Mapping[str, SupportsFloat | None] | None = None, /, **more: SupportsFloat | None
    ) -> None:
        """Tell what was measured on held-out data after a step, such as val_loss or val_accuracy."""

        def tell() -> None:
            from fbmon.events import Validated

            self._emit(Validated(int(step), self._numbers({**(values or {}), **more})))

        self._safely(tell)

    def note(self, text: str) -> None:
        """Add a line to the run's list of events."""

        def tell() -> None:
            from fbmon.events import Noted

            self._emit(Noted(self._step, str(text)[:1000]))

        self._safely(tell)

    def end(self, state: "State" = "finished", reason: str = "") -> None:
        """Say how the run ended; `with` does so by itself."""
        from fbmon.errors import Exit

        codes = {"finished": Exit.FINISHED, "stopped": Exit.STOPPED, "diverged": Exit.DIVERGED}
        self._safely(lambda: self._end(state, codes.get(state, Exit.FAILED), reason))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            if self._is_asked_to_stop:
                self.end("stopped", "as asked")
            else:
                self.end()
        elif isinstance(error, KeyboardInterrupt):
            self.end("stopped", "by Ctrl-C")
        else:
            self.end("failed", f"{kind.__name__ if kind else ''}: {error}"[:1000])

    def _log(self, step: int, values: Mapping[str, SupportsFloat | None]) -> None:
        from fbmon.events import GradientClipped, StateRestored, StepTaken

        number = int(step)
        if 0 < number <= self._step:
            self._emit(StateRestored(number - 1))
        self._step = number
        numbers = self._numbers(values)
        norm = numbers.get("grad_norm")
        if self._clip_norm is not None and norm is not None and norm > self._clip_norm:
            self._emit(GradientClipped(number, norm, self._clip_norm))
        self._emit(StepTaken(number, numbers))

    def _numbers(self, values: Mapping[str, SupportsFloat | None]) -> dict[str, float | None]:
        return {str(name): self._number(name, value) for name, value in values.items()}

    def _number(self, name: str, value: SupportsFloat | None) -> float | None:
        try:
            number = float("nan") if value is None else float(value)
        except Exception as error:  # whatever a stranger's type raises
            self._warn(f"{name} = {value!r:.60} is no number: {error}")
            return None
        return number if math.isfinite(number) else None

    def _listen(self) -> None:
        from fbmon.events import Listening

        if not self._listens:
            self._listens = True
            self._emit(Listening())
        self._look_into_inbox()

    def _look_into_inbox(self) -> None:
        now = time.monotonic()
        if self._folder is None or self._emitter is None or now < self._look_again:
            return
        self._look_again = now + _INBOX_SECONDS
        while (taken := self._folder.take()) is not None:
            self._take(taken)

    def _take(self, taken: "CommandTaken") -> None:
        self._emit(taken)
        match taken.command:
            case "stop" | "stop_after_step" | "preempt":
                self._is_asked_to_stop = True
            case "checkpoint":
                self.asked_to_save = True
            case "pause":
                self._wait_for_resume()
            case "resume":
                pass

    def _wait_for_resume(self) -> None:
        while self._folder is not None and not self._is_asked_to_stop:
            time.sleep(_PAUSE_SECONDS)
            taken = self._folder.take()
            if taken is None:
                continue
            if taken.command == "resume":
                self._emit(taken)
                return
            self._take(taken)

    def _emit(self, event: "Event") -> None:
        with self._turn:
            if self._emitter is not None:
                self._emitter.emit(event)

    def _end(self, state: "State", code: int, reason: str) -> None:
        from fbmon.events import RunEnded

        self._emit(RunEnded(state, code, self._step, reason))
        with self._turn:
            self._emitter = None
        self._over.close()

    def _safely(self, act: Callable[[], None]) -> None:
        """Act where something is told at all; what goes wrong is said once and costs the training nothing."""
        if self._emitter is None:
            return
        try:
            act()
        except Exception as error:
            self._warn(f"{type(error).__name__}: {error}")

    def _warn(self, what: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(f"fbmon.track: {what}; the training goes on", stacklevel=4)

    def _forget(self) -> None:
        """Tell nothing any more, in a process that was forked off the one that tells."""
        self._emitter, self._turn = None, threading.Lock()
        self._over.pop_all()


def track(
    name: str,
    *,
    steps: int | None = None,
    config: Mapping[str, object] | None = None,
    target: Mapping[str, float] | None = None,
    clip_norm: float | None = None,
    resume: bool | str = False,
    runs_dir: str | Path | None = None,
) -> Tracked:
    """Begin a run of a training that fbmon does not do itself: `fbmon watch`, `compare` and `runs` show it like theirs.

    `steps` is how many are planned, `config` its settings, `target` what is to be reached, such as
    {"val_accuracy": 0.95}; gradients longer than `clip_norm` are told as clipped. With `resume` the newest run of this
    name, or the one named, goes on in its folder, if there is one that has ended. Runs lie in `runs_dir`, by default
    $FBMON_RUNS or `runs`. In a job of several ranks only the first one tells.
    """
    tracked = Tracked()
    try:
        tracked = _begin(name, steps, config or {}, target or {}, clip_norm, resume, runs_dir)
    except Exception as error:
        tracked._warn(f"nothing of {str(name)[:60]} will be recorded: {error}")
    return tracked


def _begin(
    name: str,
    steps: int | None,
    config: Mapping[str, object],
    target: Mapping[str, float],
    clip_norm: float | None,
    resume: bool | str,
    runs_dir: str | Path | None,
) -> Tracked:
    import fbmon
    from fbmon import run as folders
    from fbmon.events import PhaseEntered, RunResumed, RunStarted, TrainingStarted
    from fbmon.process.emit import Emitter
    from fbmon.process.recorder import guarded, recorded
    from fbmon.ranks.devices import expand
    from fbmon.ranks.rank import rank_in_job
    from fbmon.store import summary

    rank = rank_in_job(os.environ)
    if rank is not None and rank.index > 0:
        return Tracked()
    home = folders.usual() if runs_dir is None else Path(runs_dir)
    called = re.sub(r"[^a-z0-9._-]+", "-", str(name).lower()).strip("._-")[:64].rstrip("._-") or "run"
    settings = {**{str(key): value for key, value in config.items()}, "name": called}
    settings |= {"steps": steps} if steps is not None else {}
    settings |= {"target": dict(target)} if target else {}
    folder = _earlier(home, called, resume) or folders.create_tracked(home, called, _as_toml(settings))
    tracked = Tracked(folder, clip_norm)
    over, leave = tracked._over, weakref.WeakMethod(tracked._forget)

    def forget() -> None:
        if act := leave():
            act()

    lock = folder.seize()
    over.callback(os.close, lock)
    over.callback(summary.write, folder)
    over.enter_context(guarded(folder, forget))
    over.enter_context(recorded(folder, expand("auto", os.environ), os.environ))
    emitter = Emitter(folder, None)
    tracked._step, tracked._emitter = emitter.step, emitter
    version, process = fbmon.__version__, os.getpid()
    started, resumed = RunStarted(folder.name, called, steps or 0, version, process), RunResumed(version, process)
    emitter.emit(resumed if emitter.has_begun else started)
    target_accuracy = target.get("val_accuracy")
    emitter.emit(TrainingStarted(steps or 0, 0, 0, 0, 0, "", "", clip_norm, target_accuracy, is_tracked=True))
    emitter.emit(PhaseEntered("training"))
    atexit.register(_end_at_exit, weakref.ref(tracked))

    def in_child() -> None:
        if act := leave():
            act()
            os.close(lock)  # else the run would seem alive for as long as the child is

    os.register_at_fork(after_in_child=in_child)
    return tracked


def _earlier(home: Path, called: str, resume: bool | str) -> "RunFolder | None":
    """Return the run that is to go on, if there is one."""
    from fbmon import run as folders

    if resume is False:
        return None
    if isinstance(resume, str):
        return folders.find(home, resume)
    return next((folder for folder in folders.every(home) if folder.given_name == called), None)


def _as_toml(settings: Mapping[str, object]) -> str:
    import tomli_w

    return tomli_w.dumps({key: _plain(value) for key, value in settings.items() if value is not None})


def _plain(value: object) -> Any:  # noqa: ANN401 - what TOML has
    """Return a value as TOML can hold it: what is neither a number, a text, a list nor a table as its text."""
    match value:
        case bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): _plain(part) for key, part in value.items() if part is not None}
        case list() | tuple() | set():
            return [_plain(part) for part in value]
        case _:
            return str(value)


def _end_at_exit(kept: "weakref.ref[Tracked]") -> None:
    """End a run that nobody has ended as its process exits; after an exception that nobody caught it has failed."""
    tracked = kept()
    if tracked is not None:
        error = getattr(sys, "last_value", None)
        if error is None:
            tracked.end()
        else:
            tracked.end("failed", f"{type(error).__name__}: {error}"[:1000])
