"""The comparison on a screen: real folders of runs, every key, at every size."""

import fcntl
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import SelectionList

from fbmon.chart import Plot
from fbmon.compare import select
from fbmon.compare.columns import DEFAULT_COLUMNS, columns_for
from fbmon.compare.fields import find
from fbmon.compare.sheet import Sheet
from fbmon.events import Event, GradientClipped, RunEnded, RunStarted, StepTaken, TrainingStarted, Validated
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from fbmon.ui.compare.app import CompareApp
from fbmon.ui.compare.board import CompareBoard
from fbmon.ui.compare.keys import GROUPS
from fbmon.ui.compare.plots import values
from fbmon.ui.compare.reader import Reader
from fbmon.ui.dialogs.help import HelpScreen
from tests.runs import lines, write_run
from tests.shell import DEADLINE
from tests.ui.monitor.test_monitor import dots, inside, until

NAMES = ("fast-1", "fast-0", "slow-1", "slow-0")  # as the table has them: newest first


def story(recipe: str, best: float, steps: int = 40, *, ends: bool = True) -> list[Event]:
    """Losses fall to 1 - best, the first steps are clipped, validated every tenth."""
    plan = TrainingStarted(steps, 2, 64, 32, 1000, "cpu", "float32", 0.25, 0.9)
    told: list[Event] = [RunStarted("r", recipe, steps, "1", 7), plan]
    for step in range(1, steps + 1):
        told += [GradientClipped(step, 2.0, 0.25, elapsed=step)] * (step < 5)
        told.append(StepTaken(step, {"loss": 1 - best + 1 / step, "grad_norm": 1 / step}, elapsed=step))
        if step % 10 == 0:
            told.append(Validated(step, {"val_accuracy": best * step / steps}, elapsed=step))
    return [*told, RunEnded("finished", 0, steps, elapsed=steps)] if ends else told


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds of each of two recipes."""
    home = tmp_path / "runs"
    for age, name in enumerate(NAMES):
        recipe, _, seed = name.partition("-")
        lr = 0.8 if recipe == "fast" else 0.1
        best = (0.9 if recipe == "fast" else 0.5) + int(seed) / 50
        write_run(home, name, story(recipe, best), [f"seed={seed}", f"optimizer.lr={lr}"])
        os.utime(home / name / "meta.json", (1_700_000_000 - age, 1_700_000_000 - age))
    return home


def sheet_of(runs: Path) -> Sheet:
    found = select(runs, [])
    return Sheet(found, columns_for(found, None, DEFAULT_COLUMNS, with_settings=True))


@asynccontextmanager
async def comparing(runs: Path, size: tuple[int, int] = (140, 44), traces: int = 4) -> AsyncIterator[Pilot[int]]:
    """The screen, once all curves are drawn and the events of the first run are read."""
    app = CompareApp(sheet_of(runs), lambda: select(runs, []))
    async with app.run_test(size=size) as pilot:
        await drawn(pilot, traces)
        await until(pilot, lambda: bool(board(pilot).traces.notes()))
        yield pilot


async def drawn(pilot: Pilot[int], traces: int) -> None:
    def are() -> bool:
        found = board(pilot).traces.traces
        return len(found) == traces and all(trace.stores for trace in found)

    await until(pilot, are)


def board(pilot: Pilot[int]) -> CompareBoard:
    assert isinstance(pilot.app, CompareApp)
    return pilot.app.comparison


def text(pilot: Pilot[int], part: str = "") -> str:
    """The screen as text, or the part of it that a widget covers."""
    assert isinstance(pilot.app, CompareApp)
    whole = "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())
    return inside(pilot.app.query_one(part).region, whole) if part else whole


def listed(pilot: Pilot[int]) -> list[str]:
    """The rows of the table by their name."""
    return [line[4:].split()[0] for line in text(pilot, "#table").split("\n")[1:] if line[5:6].isalnum()]


def plots(pilot: Pilot[int], name: str = "val_accuracy") -> Plot:
    chart = next(chart for chart in board(pilot).traces.charts() if chart.name == name)
    plot = board(pilot).board.charts.view(chart).plot
    assert plot is not None
    return plot


def curves(pilot: Pilot[int], name: str = "val_accuracy") -> list[str]:
    """Whose curves a chart has, those in front last."""
    return [curve.label for curve in plots(pilot, name).curves if not curve.dim]


async def press(pilot: Pilot[int], *keys: str) -> None:
    await pilot.press(*keys)
    await until(pilot, lambda: shows_the_run_at_the_cursor(pilot))


def shows_the_run_at_the_cursor(pilot: Pilot[int]) -> bool:
    """Whether curves and events are of the row at the table's cursor, as they are soon after this has come to rest."""
    row = board(pilot).row()
    return board(pilot).wanted.events in ([run.path for run in row.runs] if row else [None])


async def test_it_opens_with_table_curves_differences_and_events(runs: Path) -> None:
    async with comparing(runs) as pilot:
        assert text(pilot, "#state").strip() == "fbmon compare  4 runs · 4 drawn · newest first"
        table = text(pilot, "#table").split("\n")
        assert table[0].split()[:5] == ["run", "state", "step", "val", "acc"]
        assert [line.split()[:5] for line in table[1:5]] == [
            ["△", "fast-1", "finished", "40/40", "0.9200"],
            ["□", "fast-0", "finished", "40/40", "0.9000"],
            ["◇", "slow-1", "finished", "40/40", "0.5200"],
            ["×", "slow-0", "finished", "40/40", "0.5000"],
        ]
        charts = text(pilot, "#charts")
        assert charts.split("\n")[0].startswith("accuracy, val")
        assert dots(charts) > 100
        assert {"△", "□", "◇", "×"} <= set(charts)
        assert "clip 0.2500" in charts
        assert "reported 0.9000" in charts
        differences = [" ".join(line.split()) for line in text(pilot, "#differences").split("\n")]
        assert differences[:2] == ["seed 1 △◇ 0 □×", "optimizer.lr 0.8 △□ 0.1 ◇×"]
        assert "★ best validation accuracy 0.9200" in text(pilot, "#events")


async def test_the_run_at_the_tables_cursor_leads_and_its_events_are_shown(runs: Path) -> None:
    async with comparing(runs) as pilot:
        assert curves(pilot)[-1] == "fast-1"
        await press(pilot, "down", "j", "j", "k")
        await until(pilot, lambda: "best validation accuracy 0.5200" in text(pilot, "#events"))
        assert curves(pilot)[-1] == "slow-1"
        assert "◇ slow-1 0.5200" in text(pilot, "#charts").split("\n")[0]
        await press(pilot, "end")
        assert curves(pilot)[-1] == "slow-0"
        await press(pilot, "home", "enter")
        assert curves(pilot) == ["fast-1"]


async def test_space_marks_what_is_drawn_and_u_takes_all_marks_away(runs: Path) -> None:
    async with comparing(runs) as pilot:
        await press(pilot, "space", "down", "down", "enter")
        await drawn(pilot, 2)
        assert sorted(curves(pilot)) == ["fast-1", "slow-1"]
        assert "4 runs · 2 marked · 2 drawn" in text(pilot, "#state")
        assert [line[:4].strip() for line in text(pilot, "#table").split("\n")[1:5]] == ["✓△", "", "✓◇", ""]
        await press(pilot, "space")
        await drawn(pilot, 1)
        await press(pilot, "u")
        await drawn(pilot, 4)


async def test_the_mouse_marks_sorts_and_chooses(runs: Path) -> None:
    async with comparing(runs) as pilot:
        await pilot.click("#table", offset=(2, 3))
        await drawn(pilot, 1)
        assert curves(pilot) == ["slow-1"]
        await pilot.click("#table", offset=(8, 2))
        await until(pilot, lambda: board(pilot).table.at is not None and "fast-0" in str(board(pilot).table.at))
        heading = text(pilot, "#table").split("\n")[0].index("val acc")
        await pilot.click("#table", offset=(heading + 2, 0))
        assert "val acc ▼" in text(pilot, "#table").split("\n")[0]
        await pilot.click("#table", offset=(heading + 2, 0))
        assert listed(pilot) == ["slow-0", "slow-1", "fast-0", "fast-1"]


async def test_the_table_is_sorted_by_key_and_the_cursor_stays_on_its_run(runs: Path) -> None:
    async with comparing(runs) as pilot:
        await press(pilot, "down")
        await press(pilot, "greater_than_sign")
        assert listed(pilot) == ["fast-0", "fast-1", "slow-0", "slow-1"]
        assert "by run" in text(pilot, "#state")
        await press(pilot, "i")
        assert listed(pilot) == ["slow-1", "slow-0", "fast-1", "fast-0"]
        await press(pilot, "less_than_sign")
        assert "by optimizer.lr" in text(pilot, "#state")
        assert listed(pilot)[0].startswith("slow")
        assert str(board(pilot).table.at).endswith("fast-0")


async def test_every_column_is_reached_by_key_and_the_one_sorted_by_is_in_sight(runs: Path) -> None:
    async with comparing(runs, (70, 30)) as pilot:

        def headings() -> str:
            return text(pilot, "#table").split("\n")[0]

        first = headings()
        assert "optimizer.lr" not in first
        await press(pilot, "right")
        assert headings().split()[:2] == ["run", "step"]  # a whole column further; the name of the run stays
        await press(pilot, "left")
        assert headings() == first
        seen: set[str] = set()
        for _ in board(pilot).sheet.columns:
            seen |= {column.heading for column in board(pilot).sheet.columns if column.heading in headings()}
            await press(pilot, "right")
        assert seen == {column.heading for column in board(pilot).sheet.columns}
        await press(pilot, "less_than_sign")
        assert "optimizer.lr ▼" in headings() or "optimizer.lr ▲" in headings()
        await press(pilot, "i")
        assert "optimizer.lr ▲" in headings() or "optimizer.lr ▼" in headings()
        await press(pilot, "greater_than_sign", "greater_than_sign", "greater_than_sign")
        assert "step ▼" in headings()


async def test_what_a_single_run_has_of_settings_is_in_the_panel_alone(runs: Path) -> None:
    write_run(runs, "odd", story("fast", 0.7), ["data.copies=2"])
    found = select(runs, [])
    names = [column.name for column in columns_for(found, None, DEFAULT_COLUMNS, with_settings=True, with_odd=False)]

    assert names[:3] == ["run", "recipe", "state"]  # its name does not say what it is
    assert names[-2:] == ["seed", "optimizer.lr"]
    assert "data.copies" in [column.name for column in sheet_of(runs).columns]  # a printed table has no panel beside it
    async with comparing(runs, traces=5) as pilot:
        await until(pilot, lambda: "data.copies" in text(pilot, "#differences"))


async def test_hidden_runs_are_gone_from_table_and_charts_until_they_are_shown_again(runs: Path) -> None:
    async with comparing(runs) as pilot:
        await press(pilot, "H")
        await drawn(pilot, 3)
        assert listed(pilot) == ["fast-0", "slow-1", "slow-0"]
        assert "3 runs · 1 hidden · 3 drawn" in text(pilot, "#state")
        await press(pilot, "end", "delete")
        assert listed(pilot) == ["fast-0", "slow-1"]
        await press(pilot, "H", "H")
        assert listed(pilot) == []
        await press(pilot, "U")
        await drawn(pilot, 4)
        assert listed(pilot) == list(NAMES)


async def test_g_makes_one_row_and_a_band_of_the_seeds_of_a_recipe(runs: Path) -> None:
    async with comparing(runs) as pilot:
        await press(pilot, "g")
        await drawn(pilot, 2)
        assert [line.split()[:7] for line in text(pilot, "#table").split("\n")[1:3]] == [
            ["△", "fast", "2", "2", "finished", "40/40", "0.9100"],
            ["□", "slow", "2", "2", "finished", "40/40", "0.5100"],
        ]
        plot = plots(pilot, "loss")
        assert len(plot.bands) == 2
        band = plot.bands[1]
        assert (round(float(band.low.values[0]), 9), round(float(band.high.values[0]), 9)) == (1.48, 1.5)
        assert "one row per variant" in text(pilot, "#state")
        assert "seed" not in text(pilot, "#differences")
        await press(pilot, "g")
        await drawn(pilot, 4)


async def test_a_row_of_runs_that_differ_says_in_what(runs: Path) -> None:
    sheet = sheet_of(runs)
    sheet.by = find("seed", sheet.runs)
    app = CompareApp(sheet)
    async with app.run_test(size=(140, 44)) as pilot:
        await drawn(pilot, 2)
        table = text(pilot, "#table").split("\n")
        assert table[0].split()[:5] == ["seed", "n", "differ", "in", "state"]
        assert table[1].split()[:5] == ["△", "1", "2", "optimizer.lr", "2"]


async def test_groups_that_differ_have_names_that_differ_in_table_and_legend(runs: Path) -> None:
    settings = ["steps=200", "optimizer.lr=0.4", "optimizer.momentum=0.9", "checkpoint.seconds=60"]
    others = [["steps=100"], ["optimizer.lr=0.8"], ["optimizer.momentum=0.5"], ["checkpoint.seconds=10"]]
    for number, other in enumerate(others):
        write_run(runs, f"more-{number}", story("more", 0.7), [*settings, *other])
    async with comparing(runs, (100, 40), traces=8) as pilot:
        await press(pilot, "g")
        await drawn(pilot, 6)
        names = [line[5:33] for line in text(pilot, "#table").split("\n")[1:7]]
        assert len(set(names)) == 6
        assert len({trace.label for trace in board(pilot).traces.traces}) == 6


async def test_columns_are_chosen_in_a_list(runs: Path) -> None:
    async with comparing(runs) as pilot:
        await press(pilot, "C")
        options = pilot.app.screen.query_one(SelectionList)
        place = [options.get_option_at_index(k).value for k in range(options.option_count)].index("max.loss")
        options.highlighted = place
        await press(pilot, "space", "enter")
        assert "max.loss" in [column.name for column in board(pilot).sheet.columns]
        await press(pilot, "C", "escape")
        assert "max.loss" in [column.name for column in board(pilot).sheet.columns]


async def test_the_keys_of_the_charts_are_the_monitors(runs: Path) -> None:
    async with comparing(runs) as pilot:
        await press(pilot, "tab")
        assert board(pilot).board.charts.focused.name == "val_accuracy"
        await press(pilot, "tab", "down", "up", "right", "left")
        focused = board(pilot).board.charts.focused.name
        assert focused == "loss"
        await press(pilot, "l")
        assert plots(pilot, "loss").scale == "linear"
        await press(pilot, "plus")
        assert plots(pilot, "loss").x_range == (10.0, 30.0)
        await press(pilot, "shift+right")
        assert plots(pilot, "loss").x_range == (15.0, 35.0)
        await press(pilot, "shift+left", "minus", "equals_sign", "r", "f")
        assert board(pilot).board.view.follows
        await press(pilot, "r", "x")
        assert plots(pilot, "loss").x_unit == "span"
        await press(pilot, "x", "x", "x", "s", "S", "S", "0")
        assert board(pilot).board.view.smoothing == 0
        await press(pilot, "c")
        assert "step 40, 0:40 · △ " in text(pilot, "#view")
        await press(pilot, "left", "comma", "full_stop", "home", "right_square_bracket", "left_square_bracket", "end")
        assert plots(pilot).cursor == 40
        await press(pilot, "z")
        await until(pilot, lambda: all(name in text(pilot, "#charts").split("\n")[0] for name in "△□◇×"))
        await press(pilot, "n", "N", "e", "e", "e")
        assert board(pilot).board.charts.is_full
        await press(pilot, "escape", "escape", "escape")
        assert (board(pilot).board.view.cursor, board(pilot).board.charts.is_full) == (None, False)
        assert board(pilot).table.has_focus
        await press(pilot, "shift+tab", "tab")
        assert board(pilot).table.has_focus
        await pilot.click("#charts", offset=(20, 3))
        assert board(pilot).board.view.cursor is not None


async def test_a_chart_is_saved_with_all_its_curves(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with comparing(runs) as pilot:
        await press(pilot, "w")
        rows = (tmp_path / "comparison-val_accuracy.csv").read_text().splitlines()
        assert sorted(rows[0].split(",")[2:]) == sorted(NAMES)
        assert len(rows) == 5
        assert (tmp_path / "comparison-val_accuracy.svg").read_text().count("slow-1") == 1


async def test_a_run_that_goes_on_is_followed_in_table_and_charts(runs: Path) -> None:
    live = RunFolder(runs / "slow-1")
    live.journal.write_bytes(lines(story("slow", 0.5, ends=False)))
    lock = os.open(live.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    async with comparing(runs) as pilot:
        journal = Journal(live.journal)
        journal.append(StepTaken(41, {"loss": 0.125}))
        journal.append(Validated(41, {"val_accuracy": 0.99}))
        await until(pilot, lambda: "0.9900" in text(pilot, "#table"))
        await until(pilot, lambda: len(plots(pilot, "loss").curves[1].series) == 41)
        os.close(lock)
        journal.append(RunEnded("finished", 0, 41))
        journal.close()
        await until(pilot, lambda: "running" not in text(pilot, "#table") and "stalled" not in text(pilot, "#table"))


async def test_f5_finds_runs_that_are_new(runs: Path) -> None:
    async with comparing(runs) as pilot:
        write_run(runs, "new-0", story("new", 0.7), ["seed=0"])
        await press(pilot, "f5")
        await drawn(pilot, 5)
        assert "new-0" in listed(pilot)


async def test_every_key_is_in_the_help_and_the_palette_and_q_leaves(runs: Path) -> None:
    async with comparing(runs, (80, 60)) as pilot:
        await press(pilot, "question_mark")
        assert isinstance(pilot.app.screen, HelpScreen)
        shown = text(pilot)
        assert all(key.shown in shown for keys in GROUPS.values() for key in keys)
        await press(pilot, "escape", "t", "ctrl+l")
        assert pilot.app.theme == "textual-light"
        commands = {command.title: command.callback for command in pilot.app.get_system_commands(pilot.app.screen)}
        for title in ("Hide this run, from the table too (also delete)", "Do not smooth"):
            assert await commands[title]() is True  # the table's and the charts' are done by their own widgets
        assert (len(listed(pilot)), board(pilot).board.view.smoothing) == (3, 0)
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)


@pytest.mark.parametrize(("size", "least"), [((60, 20), 20), ((120, 40), 150), ((200, 60), 400)])
async def test_it_fits_every_terminal(runs: Path, size: tuple[int, int], least: int) -> None:
    async with comparing(runs, size) as pilot:
        assert dots(text(pilot, "#charts")) > least
        assert len(listed(pilot)) == 4
        seen: Sequence[bool] = [pilot.app.query_one(f"#{name}").display for name in ("differences", "events")]
        assert list(seen) == ([True, False] if size[0] < 100 else [True, True])
        for shown in ((False, True), (False, False), (True, size[0] >= 100)):
            await press(pilot, "d", *["d"] * (size[0] >= 100 and shown == (False, True)))
            visible = pilot.app.query_one("#panel").display
            assert (
                tuple(visible and pilot.app.query_one(f"#{name}").display for name in ("differences", "events"))
                == shown
            )


async def test_the_footer_names_whole_keys_only(runs: Path) -> None:
    async with comparing(runs, (120, 40)) as pilot:
        footers = {key.footer for keys in GROUPS.values() for key in keys if key.footer}
        assert any(text(pilot).split("\n")[-1].rstrip().endswith(f" {footer}") for footer in footers)


async def test_in_ascii_every_marker_is_another(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBMON_ASCII", "1")
    async with comparing(runs) as pilot:
        assert len(board(pilot).traces.traces) == 4
        assert all(ord(sign) < 128 for sign in text(pilot))


async def test_however_slow_the_reader_what_is_wanted_again_is_read_again(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, has_begun = threading.Event(), threading.Event()

    def slowly(reader: Reader, paths: Sequence[Path]) -> None:
        has_begun.set()
        reading.wait(DEADLINE)

    async with comparing(runs) as pilot:
        monkeypatch.setattr(Reader, "_look_at", slowly)
        await until(pilot, has_begun.is_set)
        await press(pilot, "space")
        await drawn(pilot, 1)
        await press(pilot, "u", "down", "up")
        reading.set()
        await drawn(pilot, 4)
        await until(pilot, lambda: "best validation accuracy" in text(pilot, "#events"))


async def test_no_sign_under_the_charts_is_of_a_run_that_is_not_drawn(runs: Path) -> None:
    async with comparing(runs) as pilot:
        assert "★" in {signs.character for signs in plots(pilot).signs or ()}
        await press(pilot, "down", "space", "up")
        await until(pilot, lambda: "best validation accuracy 0.9200" in text(pilot, "#events"))
        assert (curves(pilot), plots(pilot).signs) == (["fast-0"], ())
        await press(pilot, "down")
        await until(pilot, lambda: "★" in {signs.character for signs in plots(pilot).signs or ()})


async def test_a_run_that_has_not_come_as_far_as_the_cursor_has_no_value_there(runs: Path) -> None:
    write_run(runs, "short-0", story("short", 0.7, steps=20), ["seed=0"])
    async with comparing(runs, traces=5) as pilot:
        while "fast-1" not in (curves(pilot)[-1]):
            await press(pilot, "down")
        await press(pilot, "tab", "z", "c")
        await until(pilot, lambda: "@ 40" in text(pilot, "#charts"))
        told_of = dict(values(board(pilot).traces, board(pilot).board.charts.focused, board(pilot).board.view))
        short = next(trace.marker for trace in board(pilot).traces.traces if trace.label == "short-0")
        assert told_of.pop(short) is None
        assert None not in told_of.values()
        assert f"{short} short-0 –" in text(pilot, "#charts").split("\n")[0]
