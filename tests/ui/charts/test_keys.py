"""Every key of the charts: pressed on a run that is written down, and what the screen then shows."""

import csv
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot

from fbmon.chart import Plot
from fbmon.events import (
    CheckpointSaved,
    CommandTaken,
    DeviceSampled,
    Event,
    GradientClipped,
    RunEnded,
    RunStarted,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.ui.charts.ascii import is_wanted
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.charts.keys import GROUPS
from fbmon.ui.charts.view import Moment, View
from fbmon.ui.dialogs.help import HelpScreen
from fbmon.ui.dialogs.leave import LeaveScreen
from fbmon.ui.monitor.app import MonitorApp
from tests.ui.monitor.test_monitor import (
    ATTACK,
    HARMLESS,
    Script,
    inside,
    monitor,
    over,
    picture,
    place,
    shown,
    training,
    until,
)


def long_run(steps: int = 400) -> list[Event]:
    """Four hundred steps of half a second: a spike at 300, a value that is unknown at 200, a validation every 50."""
    events: list[Event] = [
        RunStarted("tiny", "tiny", steps, "0", 1, time=1.7e9),
        TrainingStarted(steps, 2, 64, 32, 5142, "1 CPU thread", "float32", 5.0, target_val_accuracy=0.9),
    ]
    for step in range(1, steps + 1):
        norm = 48.77 if step == 300 else 0.25
        if step == 300:
            events.append(GradientClipped(step, norm, 5.0, elapsed=step / 2))
        values: dict[str, float | None] = {
            "loss": None if step == 200 else 2 / step,
            "full_loss": 3 / step,
            "penalty_share": 0.3,
            "grad_norm": norm,
        }
        events.append(StepTaken(step, values, elapsed=step / 2))
        if step % 50 == 0:
            accuracy = 0.1 if step == 400 else step / 500
            events.append(Validated(step, {"val_accuracy": accuracy}, elapsed=step / 2))
    return events


@asynccontextmanager
async def watching(
    folder: Path, size: tuple[int, int] = (120, 40), settings: Path | None = None
) -> AsyncIterator[Pilot[int]]:
    """The monitor on the long run, ended, once it is drawn."""
    script = Script(folder / "tiny-1", [*long_run(), RunEnded("finished", 0, 400, elapsed=200.0)], over=True)
    async with MonitorApp(script, settings).run_test(size=size, notifications=True) as pilot:
        await shown(pilot, 400)
        await over(pilot)
        yield pilot


def view(pilot: Pilot[int]) -> View:
    return monitor(pilot).board.view


def line(pilot: Pilot[int]) -> str:
    """The line under the charts: what is in sight."""
    return inside(pilot.app.query_one("#view").region, picture(monitor(pilot))).strip()


def chart(pilot: Pilot[int], name: str) -> str:
    return inside(pilot.app.query_one(f"#{name}").region, picture(monitor(pilot)))


def sight(pilot: Pilot[int], name: str = "loss") -> tuple[float, float]:
    ends = plot(pilot, name).x_range
    assert ends is not None
    return ends


def plot(pilot: Pilot[int], name: str) -> Plot:
    shown_plot = pilot.app.query_one(f"#{name}", ChartView).plot
    assert shown_plot is not None
    return shown_plot


def cursor(pilot: Pilot[int]) -> Moment:
    moment = view(pilot).cursor
    assert moment is not None
    return moment


def said(pilot: Pilot[int]) -> list[str]:
    """What the screen has notified."""
    return [notification.message for notification in pilot.app._notifications]


def focused(pilot: Pilot[int]) -> str | None:
    return pilot.app.focused.id if pilot.app.focused else None


async def test_the_line_under_the_charts_tells_the_chart_its_points_and_the_axis(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        assert line(pilot) == "loss · drawn 799 of 800 (1 not finite) · over steps · smoothing 0.6"
        await pilot.press("plus")
        assert line(pilot) == "loss · drawn 401 of 800 (1 not finite) · over steps · smoothing 0.6 · zoomed in"


async def test_plus_and_minus_zoom_all_charts_arrows_pan_and_r_shows_everything(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        assert sight(pilot) == (0, 400)
        await pilot.press("plus")
        assert sight(pilot) == sight(pilot, "gradient") == sight(pilot, "accuracy") == (100, 300)
        await pilot.press("right")
        assert sight(pilot) == (150, 350)
        await pilot.press("left", "left")
        assert sight(pilot) == (50, 250)
        await pilot.press("shift+left", "shift+right", "shift+right")
        assert sight(pilot) == (100, 300)
        await pilot.press("equals_sign", "minus")
        assert sight(pilot) == (100, 300)
        await pilot.press("minus")
        assert sight(pilot) == (0, 400)
        await pilot.press("plus", "plus", "r")
        assert sight(pilot) == (0, 400)


async def test_f_follows_the_newest_point(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training(30, of=60))
    async with MonitorApp(script).run_test(size=(120, 40)) as pilot:
        await shown(pilot)
        await pilot.press("f")
        assert sight(pilot) == (22.5, 30)
        assert line(pilot).endswith(" · following")
        monitor(pilot).store.apply(StepTaken(34, {"loss": 0.1}, elapsed=40.0))
        monitor(pilot).board.show()
        assert sight(pilot) == (26.5, 34)
        await pilot.press("f")
        assert not view(pilot).follows


async def test_x_goes_through_the_axes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(tmp_path) as pilot:
        last = chart(pilot, "loss").rstrip().split("\n")[-1].split()
        assert last[0] == "0"
        assert last[-1] == "400"
        await pilot.press("x")
        assert "over elapsed time" in line(pilot)
        assert chart(pilot, "loss").rstrip().split("\n")[-1].split() == ["0", "2m"]
        await pilot.press("x")
        assert "by the clock" in line(pilot)
        assert re.search(r"\d\d:\d\d", chart(pilot, "loss").rstrip().split("\n")[-1])
        assert sight(pilot) == (1.7e9, 1.7e9 + 200)
        await pilot.press("x")
        assert "over passes over the data" in line(pilot)
        await pilot.press("x")
        assert "over steps" in line(pilot)


async def test_l_changes_the_scale_of_the_chart_in_focus_alone(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        assert [plot(pilot, name).scale for name in ("loss", "gradient")] == ["log"] * 2
        before = chart(pilot, "gradient")
        await pilot.press("l")
        assert plot(pilot, "loss").scale == "linear"
        assert "3┤" in chart(pilot, "loss")
        assert chart(pilot, "gradient") == before
        await pilot.press("l")
        assert view(pilot).scales == {"loss": "log"}


async def test_s_smooths_more_capital_s_less_and_0_not_at_all(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        names = [curve.dim for curve in plot(pilot, "loss").curves]
        assert names == [True, False, True, False], "each raw curve lies dim behind its average"
        await pilot.press("s")
        assert "smoothing 0.8" in line(pilot)
        await pilot.press("S", "S")
        assert "smoothing 0.3" in line(pilot)
        await pilot.press("0")
        assert "not smoothed" in line(pilot)
        assert [curve.dim for curve in plot(pilot, "loss").curves] == [False, False]


async def test_tab_and_arrows_move_among_the_charts_and_the_pages_follow(tmp_path: Path) -> None:
    async with watching(tmp_path, (80, 24)) as pilot:
        assert "page 1/2" in line(pilot)
        assert focused(pilot) == "loss"
        await pilot.press("tab")
        assert focused(pilot) == "accuracy"
        await pilot.press("down")
        assert focused(pilot) == "shares"
        assert "page 1/2" in line(pilot)
        await pilot.press("down")
        assert focused(pilot) == "devices"
        assert "page 2/2" in line(pilot)
        assert line(pilot).startswith("devices, % · ")
        await pilot.press("j", "k", "shift+tab", "up")
        assert focused(pilot) == "loss"
        await pilot.press("n")
        assert focused(pilot) == "clipped"
        await pilot.press("N")
        assert focused(pilot) == "loss"
        await pilot.press("pagedown", "pageup", "shift+tab")
        assert focused(pilot) == "devices"


@pytest.mark.parametrize("key", ["z", "enter"])
async def test_a_chart_fills_the_room_of_all_and_escape_brings_them_back(key: str, tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        await pilot.press("tab", "tab", key)
        await until(pilot, lambda: pilot.app.query_one("#gradient").region.size.width == 120)
        assert [one.id for one in pilot.app.query(ChartView) if one.display] == ["gradient"]
        assert "before clipping 0.25" in chart(pilot, "gradient").split("\n")[0]
        await pilot.press("tab")
        await until(pilot, lambda: [one.id for one in pilot.app.query(ChartView) if one.display] == ["shares"])
        await pilot.press("escape")
        await until(pilot, lambda: len([one for one in pilot.app.query(ChartView) if one.display]) == 6)
        assert "loss" in picture(monitor(pilot))


async def test_c_sets_a_cursor_that_reads_out_all_charts_and_escape_takes_it_away(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        await pilot.press("c")
        assert view(pilot).cursor == Moment(400, 200)
        await pilot.press("left")
        assert cursor(pilot).step == 394, "a column of dots is some steps wide"
        assert line(pilot).startswith("loss · step 394, 3:17 · train 0.00507614 · full 0.00761421 · drawn 799 of 800")
        await pilot.press("plus", "plus", "plus", "plus", "plus", "plus", "left")
        assert cursor(pilot).step == 393, "at least to the next point"
        assert "loss @ 393" in chart(pilot, "loss")
        assert "━ 0.00509  + 0.00763" in chart(pilot, "loss")
        assert "gradient norm @ 393" in chart(pilot, "gradient")
        assert "0.7" in chart(pilot, "accuracy").split("\n")[0], "the last validation, at 350"
        await pilot.press("r", "comma")
        assert cursor(pilot).step < 380
        before = cursor(pilot).step
        await pilot.press("full_stop", "right")
        assert cursor(pilot).step > before + 20
        await pilot.press("home")
        assert view(pilot).cursor == Moment(1, 0.5)
        await pilot.press("end")
        assert view(pilot).cursor == Moment(400, 200)
        await pilot.press("escape")
        assert view(pilot).cursor is None
        assert "@" not in chart(pilot, "loss")
        await pilot.press("c", "c")
        assert view(pilot).cursor is None


async def test_the_cursor_stays_in_sight(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        await pilot.press("c", "plus", "plus", "home")
        low, high = sight(pilot)
        assert low <= 1 <= high
        assert high - low == 100


async def test_brackets_jump_from_event_to_event_and_the_list_follows(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        steps = []
        for _ in range(4):
            await pilot.press("left_square_bracket")
            steps.append(cursor(pilot).step)
        assert steps == [400, 350, 300, 250]
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert cursor(pilot).step == 350
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        assert cursor(pilot).step == 400, "behind the last there is none"
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert "48.77" in chart(pilot, "gradient").split("\n")[0]
        events = pilot.app.query_one("#events")
        chosen = [
            y for y in range(events.size.height) if any(s.style and s.style.reverse for s in events.render_line(y))
        ]
        (row,) = chosen
        assert "▲ spike: gradient norm 48.7700, 195 times its recent level 0.2500" in events.render_line(row).text


async def test_the_spike_the_unknown_value_and_the_end_are_signs_under_the_charts(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        (signs,) = (row for row in chart(pilot, "loss").split("\n") if "▲" in row)
        assert signs.split("▲")[0].count("✗") == 1
        assert signs.rstrip().endswith("■")


async def test_e_shows_the_main_events_all_or_none(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        ordinary = " step   400  · validation accuracy 0.1000"
        assert ordinary not in picture(monitor(pilot))
        await pilot.press("e")
        assert "all events" in line(pilot)
        assert ordinary in picture(monitor(pilot))
        await pilot.press("e")
        assert "no events" in line(pilot)
        assert "▲" not in picture(monitor(pilot))
        await pilot.press("e")
        assert "▲" in picture(monitor(pilot))


async def test_a_checkpoint_that_came_by_itself_is_among_all_events_and_one_that_was_asked_for_among_the_main(
    tmp_path: Path,
) -> None:
    asked: list[Event] = [CheckpointSaved(10, "a"), CommandTaken("checkpoint", "the screen"), CheckpointSaved(20, "b")]
    script = Script(tmp_path / "tiny-1", [*training(), *asked])
    async with MonitorApp(script).run_test(size=(120, 40)) as pilot:
        text = await shown(pilot)
        assert "◆ checkpoint of step 20 saved" in text
        assert "◆ checkpoint of step 10 saved" not in text
        assert chart(pilot, "accuracy").count("◆") == 1
        await pilot.press("e")
        assert "◆ checkpoint of step 10 saved" in picture(monitor(pilot))
        assert chart(pilot, "accuracy").count("◆") == 2


async def test_w_writes_the_chart_as_svg_and_its_points_as_csv_and_never_over_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with watching(tmp_path) as pilot:
        await pilot.press("w")
        assert said(pilot) == [f"Saved tiny-1-loss.svg and tiny-1-loss.csv in {tmp_path}"]
        rows = list(csv.reader((tmp_path / "tiny-1-loss.csv").read_text().splitlines()))
        assert rows[0] == ["step", "seconds", "train", "train smoothed", "full", "full smoothed"]
        assert rows[1][:3] == ["1", "0.5", "2.0"]
        assert rows[200][:4] == ["200", "100.0", "", ""]
        assert len(rows) == 401
        before = (tmp_path / "tiny-1-loss.svg").read_text()
        ElementTree.fromstring(before)
        await pilot.press("w")
        assert (tmp_path / "tiny-1-loss-2.svg").exists()
        assert (tmp_path / "tiny-1-loss.svg").read_text() == before


async def test_capital_w_writes_the_whole_screen_which_fetches_nothing_from_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with watching(tmp_path) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: "Saved tiny-1-loss.svg" in picture(monitor(pilot)))
        await pilot.press("W")
        await until(pilot, lambda: said(pilot) == [f"Saved tiny-1-screen.svg in {tmp_path}"])
        text = (tmp_path / "tiny-1-screen.svg").read_text()
        assert "gradient&#160;norm" in text
        assert "Saved" not in text
        assert "url(http" not in text
        ElementTree.fromstring(text)


async def test_what_the_screen_says_covers_neither_charts_nor_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tempfile.mkdtemp(dir="/tmp")  # its name is told too, and a long one takes another line
    monkeypatch.chdir(short)
    async with watching(tmp_path, (200, 24)) as pilot:
        before = picture(monitor(pilot)).split("\n")
        await pilot.press("w")
        await until(pilot, lambda: "Saved tiny-1-loss.svg" in picture(monitor(pilot)))
        after = picture(monitor(pilot)).split("\n")
        assert [row for row, (one, other) in enumerate(zip(before, after, strict=True)) if one != other] == [1]
    shutil.rmtree(short)


async def test_w_says_so_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "gone"
    nowhere.mkdir()
    monkeypatch.chdir(nowhere)
    monkeypatch.setattr(Path, "cwd", lambda: nowhere)
    nowhere.rmdir()
    async with watching(tmp_path) as pilot:
        await pilot.press("w")
        (words,) = said(pilot)
        assert words.startswith("Not saved: [Errno 2]")


async def test_t_makes_it_light_and_dark(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        loss = pilot.app.query_one("#loss", ChartView)
        dark = loss._style("loss")
        await pilot.press("t")
        await pilot.pause()
        assert pilot.app.theme == "textual-light"
        assert loss._style("loss").color != dark.color
        await pilot.press("t")
        await pilot.pause()
        assert loss._style("loss").color == dark.color
        await pilot.press("ctrl+l")


async def test_the_help_lists_every_key_and_any_size_can_read_it(tmp_path: Path) -> None:
    async with watching(tmp_path, (80, 24)) as pilot:
        for key in ("h", "f1", "question_mark"):
            await pilot.press("escape", key)
            assert isinstance(pilot.app.screen, HelpScreen)
        seen = ""
        for _ in range(50):
            seen += picture(monitor(pilot))
            await pilot.press("down")
        for group in GROUPS.values():
            for one in group:
                assert one.help[:40] in seen, one
                assert all(word in seen for word in one.shown.split())
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, HelpScreen)


async def test_a_metric_that_nobody_declared_has_a_chart_of_its_name_whatever_that_is(tmp_path: Path) -> None:
    events = training()
    for step in range(1, 31):
        events.append(StepTaken(step, {"grad_norm": 1.0, ATTACK: 2.0 * step}, elapsed=40.0))
    async with MonitorApp(Script(tmp_path / "tiny-1", events)).run_test(size=(160, 48)) as pilot:
        await shown(pilot)
        await pilot.press("shift+tab", "shift+tab", "z")
        await until(pilot, lambda: len([one for one in pilot.app.query(ChartView) if one.display]) == 1)
        text = picture(monitor(pilot))
        assert HARMLESS[:30] in text.split("\n")[2]
        assert text.split("\n")[2].rstrip().endswith(" 60")
        assert not [character for character in text if character != "\n" and not character.isprintable()]


def test_every_key_is_pressed_in_a_test_and_explained_in_the_help() -> None:
    pressed = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    codes = {"ctrl+z": r"\x1a"}  # pressed in a real terminal
    keys = [key for group in GROUPS.values() for key in group]
    names = {name for key in keys for name in key.keys.split(",")}
    assert {name for name in names if f'"{codes.get(name, name)}"' not in pressed} == set()
    assert [key for key in keys if key.shown and not key.help] == []


async def test_the_palette_has_what_the_keys_do_and_its_way_out_asks_as_q_does(tmp_path: Path) -> None:
    script = Script(tmp_path / "tiny-1", training())
    async with MonitorApp(script).run_test(size=(120, 40)) as pilot:
        await shown(pilot)
        titles = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        keys = [key for group in GROUPS.values() for key in group if key.shown and key.keys != "ctrl+p"]
        assert {key.help[0].upper() + key.help[1:] for key in keys} <= titles
        assert not {"Keys", "Screenshot"} & titles  # `?` and `W` do it
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"quit")
        await pilot.app.workers.wait_for_complete()  # the search
        await until(pilot, lambda: pilot.app.screen.query_one(CommandList).highlighted is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LeaveScreen))
        assert pilot.app.is_running


def in_sight(pilot: Pilot[int]) -> list[str | None]:
    return [one.id for one in pilot.app.query(ChartView) if one.display]


async def test_slash_shows_the_charts_of_a_name_and_escape_all_again(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        every = in_sight(pilot)
        await pilot.press("tab", "slash", *"loss")
        await until(pilot, lambda: in_sight(pilot) == ["loss", "shares"])
        assert line(pilot).startswith("loss · /loss: 2 of 6 charts · drawn 799 of 800")
        await pilot.press("enter", "tab")
        assert focused(pilot) == "shares"
        assert in_sight(pilot) == ["loss", "shares"], "enter keeps the filter"
        await pilot.press("c", "z", "escape", "escape", "escape")
        await until(pilot, lambda: in_sight(pilot) == every)
        assert focused(pilot) == "shares"
        assert "/" not in line(pilot)


async def test_the_filter_is_a_regex_where_it_can_be_and_never_leaves_nothing(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        every = in_sight(pilot)
        await pilot.press("slash", *"^VAL_A|norm$")
        await until(pilot, lambda: in_sight(pilot) == ["accuracy", "gradient"])
        await pilot.press(*["backspace"] * 12, *"of the last (")
        await until(pilot, lambda: in_sight(pilot) == every)
        assert "/of the last (: no such chart, all are shown" in line(pilot)
        await pilot.press("backspace", "backspace")
        await until(pilot, lambda: in_sight(pilot) == ["clipped"])
        await pilot.press("escape")
        await until(pilot, lambda: in_sight(pilot) == every)
        assert focused(pilot) == "clipped"


async def test_the_charts_of_the_last_page_fill_it_however_few(tmp_path: Path) -> None:
    async with watching(tmp_path, size=(80, 24)) as pilot:
        await pilot.press("N")
        assert "page 2/2" in line(pilot)
        page = pilot.app.query_one("#charts").region
        last = [pilot.app.query_one(f"#{name}").region for name in in_sight(pilot)]
        assert 0 < len(last) < 4
        assert (max(one.right for one in last), max(one.bottom for one in last)) == (page.right, page.bottom)
        await pilot.press("up")
        assert "page 1/2" in line(pilot)


async def test_the_mouse_sets_the_cursor_and_its_wheel_zooms(tmp_path: Path) -> None:
    async with watching(tmp_path) as pilot:
        await pilot.click("#gradient", offset=(6 + 16, 3))
        assert focused(pilot) == "gradient"
        assert 180 <= cursor(pilot).step <= 220
        pilot.app.query_one("#gradient", ChartView)._point(22, 1)
        await pilot.pause()
        low, high = sight(pilot)
        assert high - low == pytest.approx(200)


async def test_what_was_chosen_but_a_scale_is_remembered_and_a_damaged_file_is_not_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "config" / "screen.json"
    async with watching(tmp_path, settings=file) as pilot:
        await pilot.press("x", "s", "l", "e", "t", "q")
        await until(pilot, lambda: not pilot.app.is_running)
    async with watching(tmp_path, settings=file) as pilot:
        assert view(pilot) == View(axis="elapsed", smoothing=0.8, events="all")  # a scale goes with its run
        assert pilot.app.theme == "textual-light"
    for damage in (
        b"",
        b"\xff",
        b'{"scales":{"loss":"linear"}}',
        b'{"axis":"sideways"}',
        b'{"smoothing":7}',
        b"[" * 10_000,
    ):
        file.write_bytes(damage)
        async with watching(tmp_path, settings=file) as pilot:
            assert view(pilot) == View()


async def test_in_ascii_every_character_of_the_screen_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBMON_ASCII", "1")
    async with watching(tmp_path) as pilot:
        filters = pilot.app.get_line_filters()
        strips = [strip.apply_filter(filters[-1], pilot.app.screen.rich_style.bgcolor) for strip in _strips(pilot)]
        text = "\n".join(strip.text for strip in strips)
        assert text.isascii()
        assert "^ spike: gradient norm" in text
        assert place(text, "clip")


@pytest.mark.parametrize(
    ("asked", "terminal", "encoding", "wanted"),
    [
        (None, "xterm-256color", "UTF-8", False),
        (None, "xterm-256color", "ISO-8859-1", True),
        (None, "linux", "UTF-8", True),
        ("0", "linux", "UTF-8", False),
        ("1", "xterm-256color", "utf_8", True),
    ],
)
def test_ascii_is_for_who_asks_for_it_and_for_terminals_without_braille(
    asked: str | None, terminal: str, encoding: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda _: encoding)
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setenv("FBMON_ASCII", asked or "")
    assert is_wanted() is wanted


def _strips(pilot: Pilot[int]):
    return pilot.app.screen._compositor.render_strips()


async def test_of_the_devices_every_look_is_saved_also_where_a_step_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    samples = [DeviceSampled("cpu", 10.0 * look, elapsed=float(look)) for look in range(1, 6)]
    async with MonitorApp(Script(tmp_path / "tiny", [*samples, StepTaken(1, {"loss": 1.0}, elapsed=6.0)])).run_test(
        size=(120, 40)
    ) as pilot:
        await shown(pilot, 1)
        await pilot.press("shift+tab", "w")
        await until(pilot, (tmp_path / "tiny-devices.csv").exists)
        rows = (tmp_path / "tiny-devices.csv").read_text().splitlines()
        assert rows == [
            "step,seconds,cpu memory,cpu busy",
            *(f"0,{look}.0,,{10.0 * look}" for look in range(1, 6)),
        ]
