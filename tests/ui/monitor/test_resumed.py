"""A run that goes back to a checkpoint while a screen shows it: nothing of what was taken back stays on the charts."""

from pathlib import Path

from textual.pilot import Pilot

from fbmon.events import Event, GradientClipped, PassRepeated, RunResumed, StateRestored, StepTaken, Validated
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.monitor.app import MonitorApp
from fbmon.ui.monitor.feed import EventsArrived
from tests.ui.monitor.test_monitor import Script, inside, monitor, picture, shown, training

BEFORE = training(1, of=120)


def steps(first: int, last: int, factor: float, began: float) -> list[Event]:
    """Steps whose numbers depend on `factor`: clipped and repeated every seventh, validated every tenth."""
    told: list[Event] = []
    for step in range(first, last + 1):
        elapsed = began + step
        if step % 7 == 0:
            told.append(GradientClipped(step, 4 * factor, 1.0, elapsed=elapsed))
            told.append(PassRepeated(step, elapsed=elapsed))
        told.append(StepTaken(step, {"loss": factor / step, "grad_norm": factor, "accuracy": 0.5}, elapsed=elapsed))
        if step % 10 == 0:
            told.append(Validated(step, {"val_loss": factor, "val_accuracy": factor / 9}, elapsed=elapsed))
    return told


FIRST = steps(2, 100, 2.0, 0.0)
SEAM: list[Event] = [RunResumed("0", 2, elapsed=101.0, time=2000.0), StateRestored(60, elapsed=102.0, time=2001.0)]
AGAIN = steps(61, 80, 3.0, 50.0)


async def charts(pilot: Pilot[int]) -> list[str]:
    """Every chart and the events, over each axis, smoothed less and more."""
    seen = []
    for key in ("x", "x", "x", "x", "s", "z", "tab", "shift+tab", "z"):
        await pilot.press(key)
        await pilot.pause(0.05)
        text = picture(monitor(pilot))
        shown_charts = [view for view in pilot.app.query(ChartView) if view.display]
        seen += [inside(view.region, text) for view in (*shown_charts, pilot.app.query_one("#events"))]
    return seen


async def test_after_a_resume_the_charts_are_those_of_a_screen_that_comes_later(tmp_path: Path) -> None:
    async with MonitorApp(Script(tmp_path / "a", [*BEFORE, *FIRST])).run_test(size=(160, 48)) as pilot:
        await shown(pilot, 100)
        await charts(pilot)
        for events in (SEAM, AGAIN):
            pilot.app.post_message(EventsArrived(events, 0.0))
            await pilot.pause(0.2)
        await shown(pilot, 80)
        followed = await charts(pilot)
        passes = monitor(pilot).store.repeats
    async with MonitorApp(Script(tmp_path / "b", [*BEFORE, *FIRST, *SEAM, *AGAIN])).run_test(size=(160, 48)) as pilot:
        await shown(pilot, 80)
        await pilot.press("s")
        assert followed == await charts(pilot)
    assert passes == sorted(passes)
    assert len(passes) == 80 // 7
