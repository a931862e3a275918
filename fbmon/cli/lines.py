"""The words of a run in one line: its plan, a step, its end; any event as JSON."""

import math
import statistics

from fbmon import metrics
from fbmon.errors import is_interruption
from fbmon.events import Event, StepTaken, TrainingStarted
from fbmon.run import Life, RunFolder
from fbmon.run.journal import seal
from fbmon.store.store import Store
from fbmon.text import clean, duration, time_spent


def plan_line(event: TrainingStarted) -> str:
    """Return a line on what is about to be trained."""
    clip = f", clipped at norm {event.clip_norm:g}" if event.clip_norm is not None else ""
    if event.is_tracked:
        return f"{f'{event.steps} steps' if event.steps else 'steps'}{clip}, by another program"
    return (
        f"{event.steps} steps of {event.images:,} images in {event.blocks} blocks{clip}; "
        f"{event.parameters:,} parameters on {event.device}"
    )


def step_line(store: Store, event: StepTaken) -> str:
    """Return a line on a step: losses, accuracies, gradient norm, learning rate, speed, and the time left."""
    latest = store.latest

    def value(name: str) -> str:
        return metrics.show(name, latest.get(name))

    clipped = store.clipped_step == event.step
    # The validation of this very step is still to come: say which step its score belongs to.
    score = metrics.score_of(store.series) or "val_accuracy"
    series = store.series.get(score)
    validated = f"@{series.steps[-1]:.0f}" if series is not None else ""
    parts = [
        f"step {event.step:>{len(str(store.steps))}}/{store.steps}",
        f"loss {value('loss')}",
        f"full {value('full_loss')}",
        *([f"acc {value('accuracy')}"] if "accuracy" in latest else []),
        f"val {value(score)}{validated}",
        f"norm {value('grad_norm')}{' clipped' if clipped else '        '}",
        f"lr {value('learning_rate')}",
        f"{value('step_seconds')} s",
        f"{value('images_per_second')} img/s",
        f"eta {duration(store.seconds_left())}",
    ]
    return "  ".join(parts)


def _speed(store: Store) -> str:
    """Return how close the run came to what its devices can do: the median over its steps."""
    series = store.series.get("flop_share")
    shares = [] if series is None else [value for value in series.values.tolist() if not math.isnan(value)]
    return f"; {statistics.median(shares):.0%} of the attainable FLOP/s" if shares else ""


def json_line(event: Event) -> str:
    """Return any event as its JSON line in the journal."""
    return clean(seal(event).decode().rstrip("\n"), 1_000_000) + "\n"


def last_line(store: Store, folder: RunFolder) -> str:
    """Return how the run ended: state, steps, time, accuracy, what was set aside; where it failed, why and the log."""
    aside = ", ".join(map(str, dict.fromkeys(store.set_aside)))
    return _end(store, folder) + (f"; checkpoint {aside} set aside, as damaged or from another run" if aside else "")


def _end(store: Store, folder: RunFolder) -> str:
    ended = store.ended
    if ended is None:
        seen = folder.look()
        what = (
            "the run died without saying why" if seen.life is Life.ENDED else f"the run has gone silent: {seen.trace}"
        )
        return what + _log(folder, "; its log")
    paused = store.paused_seconds(store.elapsed)
    taken = f"{ended.state} after step {store.step} of {store.steps} in {time_spent(store.elapsed, paused)}"
    best = store.best
    final = store.latest.get(best.score) if best else None
    if ended.state == "finished" and final is not None and best:
        value, highest = metrics.show(best.score, final), metrics.show(best.score, best.value)
        return f"{taken}: {metrics.SCORES[best.score]} {value} (best {highest} at step {best.step}){_speed(store)}"
    reason = clean(ended.reason, 400)  # shortened here, so that the log is named whatever its length
    if is_interruption(ended.exit_code):
        return f"{taken}: {reason}; go on with: fbmon resume {folder.typed}"
    hint = f" ({clean(ended.hint, 400)})" if ended.hint else ""
    return f"{taken}: {reason}{hint}{_log(folder, '; log')}"


def _log(folder: RunFolder, words: str) -> str:
    """Name the log, if there is one: what the ranks of another engine's job print is in that engine's hands."""
    return f"{words}: {folder.log}" if folder.log.exists() else ""
