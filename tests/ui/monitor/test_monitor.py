"""The monitor, shown a list of events instead of a run: what it draws at which size, and what its keys do."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.geometry import Region
from textual.pilot import Pilot

from fbmon import ui
from fbmon.events import (
    Command,
    CommandTaken,
    DeviceSampled,
    Event,
    GradientClipped,
    Listening,
    PhaseEntered,
    RunEnded,
    RunStarted,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.run import RunFolder
from fbmon.ui.charts.board import Board
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.dialogs.leave import LeaveScreen
from fbmon.ui.dialogs.question import Question
from fbmon.ui.monitor.app import MonitorApp
from tests.shell import DEADLINE

# A window title, a colour and a C1 control; markup of Rich and of Textual, closed wrongly, and one that acts.
ATTACK = "a\x1b]0;owned\x07\x1b[31m\x9b31m[red]b[/red][/foo][@click=app.quit]x[/]"
HARMLESS = "a\ufffd]0;owned\ufffd\ufffd[31m\ufffd31m[red]b[/red][/foo][@click=app.quit]x[/]"
FINISHED = RunEnded("finished", 0, 30)


class Script:
    """A source that tells what is written down, and then is silent until the run is `over`."""

    def __init__(self, folder: Path, events: list[Event], *, over: bool = False) -> None:
        self.folder = RunFolder(folder)
        self.over = over
        self.unread = 0.0
        self.asked: list[tuple[Command, str]] = []
        self._events = events

    def follow(self, interval: float = 0.1) -> Iterator[list[Event]]:
        yield self._events
        while not self.over:
            time.sleep(interval)
            yield []

    def ask(self, command: Command, source: str) -> None:
        self.asked.append((command, source))


def training(steps: int = 30, of: int = 60) -> list[Event]:
    """A run on its way: clipped at first, validated every ten steps, on one device."""
    events: list[Event] = [
        RunStarted("tiny", "tiny", of, "0", 1),
        PhaseEntered("training", elapsed=1.0),
        TrainingStarted(of, 2, 64, 32, 5142, "1 CPU thread", "float32", 1.0, elapsed=1.0),
    ]
    for step in range(1, steps + 1):
        elapsed = 1.0 + step
        values: dict[str, float | None] = {
            "loss": 2 / step,
            "full_loss": 2.5 / step,
            "accuracy": 1 - 0.9 / step,
            "grad_norm": 8 / step,
            "learning_rate": 0.1 * step / of,
            "penalty_share": 0.2,
            "images_per_second": 640.0 + step,
        }
        if step < 8:
            events.append(GradientClipped(step, 8 / step, 1.0, elapsed=elapsed))
        events.append(StepTaken(step, values, elapsed=elapsed))
        if step % 10 == 1:
            events.append(Validated(step, {"val_loss": 2.2 / step, "val_accuracy": 1 - 0.95 / step}, elapsed=elapsed))
        events.append(DeviceSampled("cpu", 50.0 + step, 2048.0, 8192.0, elapsed=elapsed))
    return events


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline
        await pilot.pause(0.02)
    await pilot.pause()


async def shown(pilot: Pilot[int], steps: int = 30) -> str:
    """The screen as text, once its top line tells that many steps and its charts have a point for each."""
    app = monitor(pilot)
    await until(pilot, lambda: tells_step(app, steps) and are_drawn(app))
    return picture(app)


def tells_step(app: MonitorApp, step: int) -> bool:
    """Whether the top line has come so far; it names no step of a run of which the number of steps is not known."""
    return app.store.step == step and (not app.store.steps or f"step {step}/" in top_line(app))


def top_line(app: MonitorApp) -> str:
    return picture(app).split("\n")[0]


def are_drawn(app: MonitorApp) -> bool:
    """Whether the curves in sight end where their series do."""
    plots = [chart.plot for chart in app.query(ChartView) if chart.display and chart.plot]
    return all(len(curve.x) == len(curve.series) for plot in plots for curve in plot.curves)


async def over(pilot: Pilot[int]) -> None:
    """Wait until the screen knows that the run is gone: no key is offered that asks something of it."""
    await until(pilot, lambda: "p Pause" not in picture(monitor(pilot)).split("\n")[-1])


def monitor(pilot: Pilot[int]) -> MonitorApp:
    assert isinstance(pilot.app, MonitorApp)
    return pilot.app


def picture(app: MonitorApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def inside(region: Region, text: str) -> str:
    """The part of a picture that a widget covers."""
    rows = text.split("\n")[region.y : region.bottom]
    return "\n".join(row[region.x : region.right] for row in rows)


def place(text: str, part: str) -> tuple[int, int]:
    """Column and row of the first letter behind `part`."""
    row, line = next((row, line) for row, line in enumerate(text.split("\n")) if part in line)
    return line.index(part) + len(part), row


def dots(text: str) -> int:
    return sum("\u2801" <= character <= "\u28ff" for character in text)


async def test_the_top_line_tells_the_state_the_name_and_the_step(tmp_path: Path) -> None:
    async with MonitorApp(Script(tmp_path / "tiny-1", training())).run_test(size=(80, 24)) as pilot:
        rows = (await shown(pilot)).split("\n")

        assert rows[0] == " ● training  tiny-1                             step 30/60 ━━━━━━━━───────  50% "


async def test_a_run_of_a_table_is_told_by_its_place_before_its_name(tmp_path: Path) -> None:
    app = MonitorApp(Script(tmp_path / "tiny-1", training()), place="run 2 of 21")
    async with app.run_test(size=(80, 24)) as pilot:
        assert (await shown(pilot)).startswith(" ● training  run 2 of 21: tiny-1  ")


async def test_before_its_first_word_the_run_is_starting(tmp_path: Path) -> None:
    async with MonitorApp(Script(tmp_path / "tiny-1", [])).run_test(size=(80, 24)) as pilot:
        assert "● starting the trainer  tiny-1" in await shown(pilot, steps=0)


async def test_an_ended_run_is_laid_out_for_the_size_that_the_screen_has_now(tmp_path: Path) -> None:
    ended = Script(tmp_path / "tiny-1", [*training(60), FINISHED], over=True)
    async with MonitorApp(ended).run_test(size=(60, 20)) as pilot:
        await shown(pilot, 60)
        for width in (200, 80):
            await pilot.pause(0.2)  # a frame ago: the next one is drawn at once
            await pilot.resize_terminal(width, 40)
            await until(pilot, lambda width=width: picture(monitor(pilot)).split("\n")[0].endswith("100% "))  # type: ignore[misc]
            assert (" · cpu 110%" in picture(monitor(pilot))) == (width == 200)


async def test_a_few_charts_and_no_events_take_the_whole_screen(tmp_path: Path) -> None:
    async with MonitorApp(Script(tmp_path / "tiny-1", training())).run_test(size=(160, 48)) as pilot:
        await shown(pilot)
        await pilot.press("e", "e")
        await pilot.press("slash", *"clip", "enter")
        await until(pilot, lambda: pilot.app.query_one("#clipped").region.right == 160)
        assert [pilot.app.query_one(f"#{name}").region.width for name in ("gradient", "clipped")] == [79, 79]
        assert not pilot.app.query_one("#events").display


FIRST = ["loss", "accuracy", "gradient", "learning_rate"]
TITLES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "gradient": "gradient norm",
    "learning_rate": "learning rate",
    "shares": "share of full loss",
    "speed": "images per second",
    "clipped": "clipped of the last 50 steps",
    "devices": "devices, %",
}


@pytest.mark.parametrize(
    ("size", "charts"),
    [
        ((60, 20), FIRST[:2]),
        ((80, 24), FIRST),
        ((80, 40), [*FIRST, "shares", "speed"]),
        ((120, 24), [*FIRST, "shares", "speed"]),
        ((120, 40), list(TITLES)),
        ((160, 48), list(TITLES)),
        ((200, 60), list(TITLES)),
    ],
)
async def test_the_screen_holds_these_charts_and_each_has_a_curve(
    size: tuple[int, int], charts: list[str], tmp_path: Path
) -> None:
    async with MonitorApp(Script(tmp_path / "tiny-1", training())).run_test(size=size) as pilot:
        text = await shown(pilot)
        app = monitor(pilot)

        assert [chart.id for chart in app.query("ChartView") if chart.display] == charts
        for name in charts:
            region = app.query_one(f"#{name}").region
            chart = inside(region, text)
            assert app.screen.region.contains_region(region)
            assert chart.startswith(TITLES[name]), chart
            assert dots(chart) >= 10, chart


async def test_of_several_ranks_the_slowest_is_named_and_their_spread_has_a_chart(tmp_path: Path) -> None:
    events = training()
    events.append(TrainingStarted(60, 2, 64, 32, 5142, "4 ranks", "float32", hosts=["a", "a", "b", "b"], elapsed=32.0))
    values: dict[str, float | None] = {"slowest_rank_seconds": 1.31, "fastest_rank_seconds": 1.2}
    events.append(StepTaken(31, values, [1.2, 1.25, 1.2, 1.31], elapsed=33.0))
    async with MonitorApp(Script(tmp_path / "tiny-1", events)).run_test(size=(200, 60)) as pilot:
        text = await shown(pilot, 31)

        assert "· ranks 1.2 to 1.31 s, slowest 3 on b ·" in text.split("\n")[1]
        assert "computing seconds, by rank" in inside(pilot.app.query_one("#ranks").region, text)


@pytest.mark.parametrize(
    ("width", "last"),
    [(60, "/ Filter"), (80, "s Smooth"), (102, "[ ] Events"), (103, "w Save"), (200, "w Save")],
)
async def test_the_footer_has_as_many_keys_as_fit_and_cuts_none(width: int, last: str, tmp_path: Path) -> None:
    async with MonitorApp(Script(tmp_path / "tiny-1", training())).run_test(size=(30, 24)) as pilot:
        await shown(pilot)
        await pilot.resize_terminal(width, 24)
        await until(pilot, lambda: picture(monitor(pilot)).split("\n")[-1].rstrip().endswith(last))
        assert picture(monitor(pilot)).split("\n")[-1].startswith("q Leave p Pause ? Help o Runs tab Next")
        await pilot.press("slash")
        await until(pilot, lambda: "enter Keep esc All charts" in picture(monitor(pilot)).split("\n")[-1])
        assert "Leave" not in picture(monitor(pilot)).split("\n")[-1]


async def test_the_event_list_tells_what_happened(tmp_path: Path) -> None:
    async with MonitorApp(Script(tmp_path / "tiny-1", training())).run_test(size=(160, 48)) as pilot:
        text = await shown(pilot)

        for line in (
            "   1.0 s  step     0  ● training 5,142 parameters on 1 CPU thread",
            "   2.0 s  step     1  ▸ clipping engaged (norm 8.0000), 7 steps in a row, released after step 7",
            "    0:22  step    21  ★ best validation accuracy 0.9548",
        ):
            assert line in text


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_q_on_a_running_run_asks_and_escape_stays(key: str, tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press(key)
        assert isinstance(pilot.app.screen, LeaveScreen)
        assert "tiny-1 is running. It goes on without this screen." in picture(monitor(pilot))

        await pilot.press("escape")

        assert not isinstance(pilot.app.screen, LeaveScreen)
        assert pilot.app.is_running
        assert script.asked == []


@pytest.mark.parametrize("key", ["l", "enter"])
async def test_l_leaves_the_run_running(key: str, tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press("q", key)
        await until(pilot, lambda: not pilot.app.is_running)

    assert pilot.app.return_code == 0
    assert script.asked == []


async def test_s_asks_the_run_to_stop_and_leaves_when_it_has(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press("q", "s")
        await until(pilot, lambda: script.asked == [("stop", "the screen")])
        assert pilot.app.is_running

        script.over = True

        await until(pilot, lambda: not pilot.app.is_running)
    assert pilot.app.return_code == 0


@pytest.mark.parametrize("keys", [("a",), ("down", "down", "enter")])
async def test_a_or_its_button_asks_the_run_to_stop_after_its_step(keys: tuple[str, ...], tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press("q", *keys)
        await until(pilot, lambda: script.asked == [("stop_after_step", "the screen")])
        assert pilot.app.is_running


async def test_p_pauses_and_lets_go_on_and_ctrl_s_saves_each_after_a_question(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", [*training(), CommandTaken("pause", "the screen", elapsed=40)])
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        assert " ● paused  tiny-1" in await shown(pilot)
        await pilot.press("p")
        assert "The training is paused." in picture(monitor(pilot))
        await pilot.press("escape")
        assert script.asked == []
        await pilot.press("p", "y")
        await pilot.press("ctrl+s")
        assert "Save a checkpoint when this step is over?" in picture(monitor(pilot))
        await pilot.press("enter")
        assert script.asked == [("resume", "the screen"), ("checkpoint", "the screen")]
        monitor(pilot).store.apply(CommandTaken("resume", "the screen", elapsed=50))
        await pilot.press("p")
        assert "Pause the training at its next block?" in picture(monitor(pilot))
        await pilot.press("y")
        assert script.asked[-1] == ("pause", "the screen")


async def test_a_run_that_does_not_listen_is_left_at_once_and_offered_no_pause(tmp_path: Path) -> None:
    plan = TrainingStarted(9, 0, 0, 0, 0, "", "", is_tracked=True)
    began = RunStarted("tiny-1", "tiny", 9, "1", 7)
    told: list[Event] = [began, plan, PhaseEntered("training"), StepTaken(1, {"loss": 1.0})]
    async with MonitorApp(Script(tmp_path / "tiny-1", told)).run_test(size=(80, 24)) as pilot:
        await shown(pilot, 1)
        await until(pilot, lambda: picture(monitor(pilot)).split("\n")[-1].startswith("q Leave ? Help"))
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)
    async with MonitorApp(Script(tmp_path / "tiny-1", [*told, Listening()])).run_test(size=(80, 24)) as pilot:
        await shown(pilot, 1)
        await until(pilot, lambda: picture(monitor(pilot)).split("\n")[-1].startswith("q Leave p Pause"))
        await pilot.press("q")
        assert isinstance(pilot.app.screen, LeaveScreen)


async def test_q_on_an_ended_run_leaves_at_once(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", [*training(), FINISHED], over=True)
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        assert " ● finished  tiny-1" in await shown(pilot)
        await until(pilot, lambda: picture(monitor(pilot)).split("\n")[-1].startswith("q Leave ? Help"))  # and no pause
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)


async def test_q_between_the_last_word_and_the_end_leaves_at_the_end(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", [*training(), FINISHED])
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press("q")
        assert not isinstance(pilot.app.screen, LeaveScreen)
        script.over = True
        await until(pilot, lambda: not pilot.app.is_running)


async def test_a_screen_that_does_not_stay_leaves_with_the_end_of_its_run(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", [*training(), FINISHED])
    async with MonitorApp(script, stays=False).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        script.over = True
        await until(pilot, lambda: not pilot.app.is_running)


async def test_the_question_goes_away_when_the_run_ends_and_q_then_leaves(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press("q")
        script.over = True
        await until(pilot, lambda: "It goes on without this screen" not in picture(monitor(pilot)))
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)


def logged(script: Script) -> Script:
    """A run of this machine's own, whose processes have a log; its path is short, whatever that of the tests is."""
    script.folder.path.mkdir(exist_ok=True)
    script.folder.log.touch()
    return script


async def test_a_failed_run_shows_its_reason_the_hint_and_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = RunEnded("failed", 1, 30, "CUDA out of memory", "a smaller block needs less")
    script = logged(Script(Path("tiny-1"), [*training(), ended], over=True))
    async with MonitorApp(script).run_test(size=(160, 48)) as pilot:
        await until(pilot, lambda: "Log: " in picture(monitor(pilot)))
        text = picture(monitor(pilot))

        assert text.startswith(" ● failed  tiny-1")
        for line in ("CUDA out of memory", "a smaller block needs less", f"Log: {script.folder.log}"):
            assert f" {line} " in inside(pilot.app.query_one("#ended").region, text)


async def test_a_run_without_a_last_word_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = logged(Script(Path("tiny-1"), training(), over=True))
    async with MonitorApp(script).run_test(size=(160, 48)) as pilot:
        await until(pilot, lambda: "Log: " in picture(monitor(pilot)))
        text = picture(monitor(pilot))

        assert text.startswith(" ● gone without a last word  tiny-1")
        assert "The training is gone and left no last word: killed, or the machine went down." in text
        assert f"Log: {script.folder.log}" in text


async def test_text_that_steers_terminals_or_looks_like_markup_is_shown_as_text(tmp_path: Path) -> None:
    events = [
        RunStarted(ATTACK, ATTACK, 60, ATTACK, 1),
        TrainingStarted(60, 2, 64, 32, 5142, ATTACK, ATTACK, target_val_accuracy=0.5),
        *training()[2:],
        DeviceSampled(ATTACK, 50.0, 1.0, 2.0),
    ]
    script = logged(Script(tmp_path / ATTACK.replace("/", "|"), events))
    async with MonitorApp(script).run_test(size=(250, 48)) as pilot:
        await shown(pilot)
        await pilot.press("q")
        text = picture(monitor(pilot))
        await pilot.click(offset=place(text, "=app.quit]"))
        await pilot.press("escape")
        monitor(pilot).store.apply(RunEnded("failed", 1, 30, ATTACK, ATTACK))
        script.over = True
        await until(pilot, lambda: "Log: " in picture(monitor(pilot)))
        text += picture(monitor(pilot))

        assert f"● failed  {HARMLESS.replace('/', '|')}" in text
        assert f"failed: {HARMLESS}" in text
        assert f"{HARMLESS} 50%" in text
        assert not [character for character in text if character != "\n" and not character.isprintable()]
        assert pilot.app.is_running


def test_a_fault_in_the_screen_itself_ends_it_and_is_told_as_text(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Faulty(MonitorApp):
        CSS_PATH = str(Path(ui.__file__).with_name("monitor") / "monitor.tcss")

        def on_ready(self) -> None:
            raise ValueError(ATTACK)

    app = Faulty(Script(tmp_path / "tiny-1", training()))
    app.run(headless=True)
    told = capfd.readouterr()

    assert app.return_code == 1
    assert HARMLESS in "".join(told).replace("\n", "")
    assert not [one for one in "".join(told) if one != "\n" and not one.isprintable()]


async def test_a_run_that_can_no_longer_be_read_ends_the_screen(tmp_path: Path) -> None:
    class Vanishing(Script):
        def follow(self, interval: float = 0.1) -> Iterator[list[Event]]:
            yield training()
            raise OSError("stale file handle")

    with pytest.raises(OSError, match="stale file handle"):
        async with MonitorApp(Vanishing(tmp_path / "tiny-1", [])).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: not pilot.app.is_running)


SIZES = [(1, 1), (2, 3), (10, 4), (39, 9), (20, 60), (79, 23), (250, 5), (250, 80), (1, 80)]


@pytest.mark.parametrize("over", [False, True], ids=["running", "failed"])
async def test_no_size_is_too_small_or_too_large(over: bool, tmp_path: Path) -> None:
    events = [*training(), RunEnded("failed", 1, 30, "CUDA out of memory", "a smaller block needs less")]
    script = Script(tmp_path / "tiny-1", events if over else events[:-1], over=over)
    async with MonitorApp(script).run_test(size=(1, 1)) as pilot:
        await until(pilot, lambda: monitor(pilot).store.step == 30)
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: is_filled(pilot))
            if not over:
                await pilot.press("q")
                await until(pilot, lambda: isinstance(pilot.app.screen, LeaveScreen) and is_filled(pilot))
                await pilot.press("escape")
                await until(pilot, lambda: not isinstance(pilot.app.screen, LeaveScreen))
        assert pilot.app.is_running


def is_filled(pilot: Pilot[int]) -> bool:
    """Whether every row of the terminal is written in its whole width."""
    width, height = pilot.app.size
    return [len(row) for row in picture(monitor(pilot)).split("\n")] == [width] * height


class Stream(Script):
    """A source that tells a step every two hundredths of a second."""

    def follow(self, interval: float = 0.1) -> Iterator[list[Event]]:
        yield self._events
        for step in itertools.count(31):
            time.sleep(0.02)
            yield [StepTaken(step, {"loss": 1.0})]


async def test_a_screen_that_is_slow_to_draw_leaves_the_processor_to_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, drawn = Board.show, list[float]()

    def slow(board: Board) -> None:
        drawn.append(time.monotonic())
        draw(board)
        enough = time.thread_time() + 0.02
        while time.thread_time() < enough:
            pass

    app = MonitorApp(Stream(tmp_path, training(of=10_000)))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.store.step >= 30)
        monkeypatch.setattr(Board, "show", slow)
        await until(pilot, lambda: len(drawn) > 4)
    gaps = [after - before for before, after in itertools.pairwise(drawn)]
    assert min(gaps[1:]) > 0.4  # twenty times what a drawing takes


@pytest.mark.parametrize("key", ["q", "p", "ctrl+s"])
async def test_a_question_about_a_run_goes_with_the_run(key: str, tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        script.over = True
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        await pilot.press("y")
        assert script.asked == []


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
@pytest.mark.parametrize("opened", ["q", "p", "question_mark", "o"])
async def test_the_keys_that_leave_close_what_is_open(opened: str, key: str, tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(80, 24)) as pilot:
        await shown(pilot)
        await pilot.press(opened)
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2)
        await pilot.press(key)
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        assert script.asked == []
