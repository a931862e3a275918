"""The two lines on top: what the run is doing, how far it is, how long it will take, how busy the machine is."""

from pathlib import Path

from rich.text import Text

from fbmon import metrics
from fbmon.errors import is_interruption
from fbmon.events import DeviceSampled, RunEnded
from fbmon.store.store import Store
from fbmon.store.timeline import is_silent
from fbmon.text import clean, clean_lines, duration, gib, percent, plural, time_spent
from fbmon.ui.charts.curves import Count
from fbmon.ui.charts.other import Other
from fbmon.ui.charts.view import AxisName, View


def state_line(
    store: Store, name: str, *, alive: bool, silent: float, unread: float, width: int, is_unknown: bool = False
) -> Text:
    """Name, state and progress in `width` cells.

    `is_unknown`: it is not `alive` as far as can be seen, and may be. `silent` is the number of seconds since the last
    sign of life, `unread` the share of the journal yet to come.
    """
    if unread:
        state, style = f"reading {1 - unread:.0%}", "bold yellow"
    else:
        state, style = _state(store, alive=alive, silent=silent, is_unknown=is_unknown)
    right = Text()
    if store.steps:
        right.append(f"step {store.step}/{store.steps} ")
        right.append_text(_bar(store.step / store.steps, max(8, width // 5)))
        right.append(f" {100 * store.step // store.steps:>3}%")
    left = Text.assemble((f"● {state}", style), "  ", (clean(name), "bold"))
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
    gap = max(1, width - left.cell_len - right.cell_len)
    return Text.assemble(left, " " * gap, right, no_wrap=True, overflow="crop")


def end_lines(ended: RunEnded | None, trace: str, log: Path | None) -> Text:
    """Say why a run is over, or that it cannot be told from here, and where its log lies; a job has none."""
    if ended:
        reason = ended.reason
    elif trace:
        reason = f"Whether the training goes on cannot be told from here: {trace}."
    else:
        reason = "The training is gone and left no last word: killed, or the machine went down."
    hint = f"\n{ended.hint}" if ended and ended.hint else ""
    return Text(clean_lines(f"{reason}{hint}" + (f"\nLog: {log}" if log else "")))


def detail_line(store: Store, elapsed: float, *, alive: bool, width: int) -> Text:
    """Return as much as fits in `width` cells of: block, time, best accuracy, clipping, pace, devices."""
    parts = [part for part in _details(store, elapsed, alive=alive) if part]
    line = ""
    for part in parts:
        longer = f"{line} · {part}" if line else part
        if len(longer) <= width:
            line = longer
    return Text(line, no_wrap=True, overflow="crop")


def _state(store: Store, *, alive: bool, silent: float, is_unknown: bool) -> tuple[str, str]:
    if store.ended:
        if store.ended.state == "finished":
            return store.ended.state, "bold green"
        return store.ended.state, "bold yellow" if is_interruption(store.ended.exit_code) else "bold red"
    if is_unknown:
        return "unknown, no sign of life", "bold yellow"
    if not alive:
        return "gone without a last word", "bold red"
    if store.paused_since is not None:
        return "paused", "bold yellow"
    if store.phase != "training":
        return store.phase, "bold yellow"
    if is_silent(silent):
        return f"silent for {duration(silent)}", "bold yellow"
    task = store.progress.task if store.progress is not None else "training"
    return task if task in ("validating", "analysing") else "training", "bold green"


def _details(store: Store, elapsed: float, *, alive: bool) -> list[str]:
    progress = store.progress
    details = [f"elapsed {time_spent(elapsed, store.paused_seconds(elapsed))}"]
    if alive and store.ended is None:
        details.append(_eta(store, elapsed))
        if progress and progress.task == "downloading":
            details.insert(0, f"{progress.done / 1e6:.0f} of {progress.total / 1e6:.0f} MB")
        elif progress:
            details.insert(0, f"block {progress.done}/{progress.total}")
    if store.best:
        best = store.best
        details.append(f"best {metrics.show(best.score, best.value)} at {best.step}{_distance(store)}")
    if store.plan and store.plan.clip_norm is not None and store.step:
        details.append(f"clipped {percent(store.clipped_share())}")
    if alive and store.ended is None:
        steps = store.steps_to_validation()
        if steps is not None:
            details.append(f"validation in {plural(steps, 'step')}")
    speed = store.latest.get("images_per_second")
    if speed is not None:
        details.append(f"{metrics.show('images_per_second', speed)} images/s")
    if len(store.rank_seconds) > 1:
        details.append(_ranks(store.rank_seconds, store.plan.hosts if store.plan else []))
    return details + [_device(sample) for sample in sorted(store.devices.values(), key=_is_host)]  # the host last


def _eta(store: Store, elapsed: float) -> str:
    """The time to the end, with its standard deviation where that is more than a fiftieth of it; a pause stops it."""
    left = store.seconds_left(elapsed if store.paused_since is None else store.paused_since)
    deviation = store.seconds_left_deviation()
    if left is None or deviation is None or deviation < left / 50:
        return f"ETA {duration(left)}"
    return f"ETA {duration(left)} ± {duration(deviation)}"


def _ranks(seconds: list[float], hosts: list[str]) -> str:
    """Return how long the ranks computed, the fastest and the slowest, and which one that is."""
    slowest = seconds.index(max(seconds))
    where = f" on {clean(hosts[slowest], 24)}" if slowest < len(hosts) else ""
    return f"ranks {min(seconds):.3g} to {max(seconds):.3g} s, slowest {slowest}{where}"


def _distance(store: Store) -> str:
    """Return the distance from the reported accuracy to the best one."""
    target = store.plan.target_val_accuracy if store.plan else None
    return "" if target is None or store.best is None else f" ({store.best.value - target:+.4f} to reported)"


def _is_host(sample: DeviceSampled) -> bool:
    return sample.is_host


def _device(sample: DeviceSampled) -> str:
    name = clean(sample.device)
    busy = "–" if sample.utilization is None else f"{sample.utilization:.0f}%"
    if sample.memory_mib is None or sample.memory_total_mib is None:
        return f"{name} {busy}"
    return f"{name} {busy} {sample.memory_mib / 1024:.1f}/{gib(sample.memory_total_mib)} GiB"


def _bar(share: float, width: int) -> Text:
    done = round(width * min(share, 1.0))
    return Text.assemble(("━" * done, "green"), ("─" * (width - done), "dim"))


_AXES: dict[AxisName, str] = {
    "step": "over steps",
    "elapsed": "over elapsed time",
    "clock": "by the clock",
    "passes": "over passes over the data",
}


def view_line(
    chart: str,
    view: View,
    values: list[tuple[str, float | None]],
    count: Count,
    pages: tuple[int, int],
    passed: tuple[int, int],
    width: int,
) -> Text:
    """Return as much as fits in `width` cells of: the chart in focus, the cursor, its points, the axis, the page.

    `values` are those at the cursor, by their labels; `passed` says how many of how many charts the filter shows.
    """
    unknown = f" ({count.unknown:,} not finite)" if count.unknown else ""
    cursor = [f"step {view.cursor.step:.0f}, {duration(view.cursor.elapsed)}"] if view.cursor else []
    shown = f"{passed[0]} of {passed[1]} charts" if passed[0] else "no such chart, all are shown"
    parts = [
        *([f"/{clean(view.filter, 30)}: {shown}"] if view.filter else []),
        *cursor,
        *(f"{clean(label, 40)} {'–' if value is None else format(value, '.6g')}" for label, value in values),
        f"drawn {count.drawn:,} of {count.all:,}{unknown}",
        *([f"page {pages[0]}/{pages[1]}"] if pages[1] > 1 else []),
        _AXES[view.axis],
        f"smoothing {view.smoothing:g}" if view.smoothing else "not smoothed",
        *(["following"] if view.follows else ["zoomed in"] if view.span else []),
        *(["no events" if view.events == "none" else "all events"] if view.events != "main" else []),
        *(["mean of the seeds"] if view.grouped else []),
    ]
    line = clean(chart, 40)
    for part in parts:
        if len(line) + len(part) + 3 <= width:
            line += f" · {part}"
    return Text(line[:width], no_wrap=True, overflow="crop")


def others_lines(others: list[Other]) -> Text:
    """A line a run: its marker, its name, and the settings in which it is another."""
    lines = [f"{other.marker} {clean(other.name, 60)}  {clean(other.difference())}" for other in others]
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
