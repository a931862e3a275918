"""Other runs over the one on the screen: real folders with journals, chosen by key, followed while they run."""

import csv
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.events import Event, RunEnded, RunStarted, StepTaken, Validated
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from fbmon.store.store import Store
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.dialogs.choose import ChooseScreen
from fbmon.ui.monitor.app import MonitorApp
from fbmon.ui.monitor.others import OtherRead
from tests.ui.monitor.test_monitor import Script, dots, inside, monitor, picture, shown, until


def events(factor: float, steps: int = 20) -> list[Event]:
    told: list[Event] = [RunStarted("tiny", "tiny", 20, "0", 1)]
    for step in range(1, steps + 1):
        told.append(StepTaken(step, {"loss": factor / step, "full_loss": 9.0, "grad_norm": 1.0}, elapsed=step))
        if step % 10 == 0:
            told.append(Validated(step, {"val_loss": factor / step, "val_accuracy": step / 40}, elapsed=step))
    return told


def add_run(runs: Path, tiny: Path, name: str, told: list[Event], *overrides: str) -> RunFolder:
    resolved = recipes.dump(recipes.load(tiny, list(overrides)))
    made = folders.create(runs, name, tiny, resolved, "cpu", None)
    journal = Journal(made.journal)
    for event in told:
        journal.append(event)
    journal.close()
    return made


@pytest.fixture
def runs(tmp_path: Path, tiny: Path) -> Path:
    """A run to be on the screen, two other seeds of it, and one with another learning rate."""
    made = tmp_path / "runs"
    add_run(made, tiny, "here", events(1.0))
    add_run(made, tiny, "seed1", events(2.0), "seed=1")
    add_run(made, tiny, "seed2", events(3.0, steps=15), "seed=2")
    add_run(made, tiny, "fast", events(0.5), "optimizer.lr=0.8")
    return made


@asynccontextmanager
async def watching(runs: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[int]]:
    (here,) = (folder for folder in folders.every(runs) if folder.name.startswith("here"))
    script = Script(here.path, [*events(1.0), RunEnded("finished", 0, 20)], over=True)
    async with MonitorApp(script).run_test(size=size) as pilot:
        await shown(pilot, 20)
        yield pilot


def listed(pilot: Pilot[int]) -> list[str]:
    """The names of the runs that can be chosen, in their order."""
    runs = pilot.app.screen.query_one(OptionList)
    return [str(runs.get_option_at_index(place).prompt)[2:].split()[0] for place in range(runs.option_count)]


def marked(pilot: Pilot[int]) -> list[str]:
    runs = pilot.app.screen.query_one(OptionList)
    prompts = [str(runs.get_option_at_index(place).prompt) for place in range(runs.option_count)]
    return [prompt[2:].split()[0] for prompt in prompts if prompt[0] != " "]


async def go_to(pilot: Pilot[int], name: str) -> None:
    """The bar to a run, by key."""
    await pilot.press("home", *["down"] * listed(pilot).index(name))


async def lay_over(pilot: Pilot[int], *names: str) -> None:
    """Mark these runs and no others, by key."""
    await pilot.press("o")
    await until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
    for name in listed(pilot):
        if name.startswith(names) != (name in marked(pilot)):
            await go_to(pilot, name)
            await pilot.press("space")
    await pilot.press("enter")
    await until(pilot, lambda: len(monitor(pilot).runs.others) == len(names))


def curves(pilot: Pilot[int], chart: str) -> list[str]:
    plot = pilot.app.query_one(f"#{chart}", ChartView).plot
    assert plot is not None
    others = [curve.label.partition("-")[0] for curve in plot.curves if curve.role.startswith("other_")]
    return [*(curve.label for curve in plot.curves if curve.named), *dict.fromkeys(others)]


async def test_o_lists_the_other_runs_and_what_differs_from_the_one_on_the_screen(runs: Path) -> None:
    async with watching(runs) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: "fast-" in picture(monitor(pilot)))
        assert sorted(name.split("-")[0] for name in listed(pilot)) == ["fast", "seed1", "seed2"]
        await go_to(pilot, next(name for name in listed(pilot) if name.startswith("fast")))
        await until(pilot, lambda: "optimizer.lr  0.8  (0.1)" in picture(monitor(pilot)))
        await pilot.press("escape")
        assert monitor(pilot).runs.others == []


async def test_in_a_small_terminal_every_run_of_the_list_has_one_line_with_its_accuracy(runs: Path) -> None:
    async with watching(runs, (80, 24)) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: "fast-" in picture(monitor(pilot)))
        lines = picture(monitor(pilot)).split("\n")[2:5]
        assert [re.findall(r"^│   (\w+)\S* +(0\.\d{4}) ", line) for line in lines] == [
            [("fast", "0.5000")],
            [("seed2", "0.2500")],
            [("seed1", "0.5000")],
        ]


async def test_marked_runs_lie_over_this_one_each_with_its_marker_and_its_difference(runs: Path) -> None:
    async with watching(runs) as pilot:
        await lay_over(pilot, "fast", "seed1")
        await until(pilot, lambda: len(curves(pilot, "loss")) == 5)
        assert sorted(curves(pilot, "loss")[3:]) == ["fast", "seed1"]
        text = picture(monitor(pilot))
        others = inside(pilot.app.query_one("#others").region, text)
        assert sorted(line.split("-")[0].split()[1] for line in others.split("\n")) == ["fast", "seed1"]
        assert "optimizer.lr 0.8 (0.1)" in others
        assert "seed 1 (0)" in others
        assert {line.split()[0] for line in others.split("\n")} == {"△", "□"}
        loss = inside(pilot.app.query_one("#loss").region, text)
        assert "△" in loss
        assert "□" in loss
        assert dots(loss) > 20
        await pilot.press("z")
        await until(pilot, lambda: "△ " in picture(monitor(pilot)).split("\n")[2])
        assert " train 0." in picture(monitor(pilot)).split("\n")[2].partition("△ ")[2], "which of the losses it is"
        await pilot.press("z")

        await lay_over(pilot)
        assert curves(pilot, "loss") == ["train", "full", "val"]
        assert not pilot.app.query_one("#others").display


async def test_g_shows_the_seeds_as_their_mean_with_a_band(runs: Path) -> None:
    async with watching(runs) as pilot:
        await pilot.press("g")
        assert not monitor(pilot).board.view.grouped, "there is nothing to group"
        await lay_over(pilot, "fast", "seed1", "seed2")
        await pilot.press("g")
        await pilot.pause()
        assert curves(pilot, "loss") == ["train, mean of 3", "full", "val, mean of 3", "fast"]
        plot = pilot.app.query_one("#loss", ChartView).plot
        assert plot is not None
        mean, band = next(curve.series for curve in plot.curves if curve.named), plot.bands[0]
        assert len(mean) == 15, "as far as all of them have come"
        assert mean.values[:2].tolist() == [2.0, 1.0]
        assert (band.low.values[0], band.high.values[0]) == (1.0, 3.0)
        assert "mean of the seeds" in inside(pilot.app.query_one("#view").region, picture(monitor(pilot)))


async def test_a_run_that_goes_on_is_followed(runs: Path) -> None:
    async with watching(runs) as pilot:
        await lay_over(pilot, "seed2")
        (other,) = monitor(pilot).runs.others
        assert other.store.step == 15
        (folder,) = (folder for folder in folders.every(runs) if folder.name == other.name)
        journal = Journal(folder.journal)
        journal.append(StepTaken(16, {"loss": 0.1}))
        journal.close()
        await until(pilot, lambda: other.store.step == 16)


async def test_damaged_runs_and_runs_that_vanish_are_in_nobodys_way(runs: Path) -> None:
    broken, gone, *_ = (folder for folder in folders.every(runs) if not folder.name.startswith("here"))
    broken.journal.write_bytes(b"\x00\xff not a journal\n" * 50)
    broken.resolved.write_text("[[[")
    async with watching(runs) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
        shutil.rmtree(gone.path)
        for name in listed(pilot):
            await go_to(pilot, name)
            if name in (broken.name, gone.name):
                await pilot.press("space")
        await pilot.press("enter")
        await until(pilot, lambda: len(monitor(pilot).runs.others) == 2)
        assert [other.store.step for other in monitor(pilot).runs.others] == [0, 0]
        assert pilot.app.is_running


async def test_alone_in_its_folder_a_run_has_nothing_to_compare_with(tmp_path: Path, tiny: Path) -> None:
    add_run(tmp_path / "runs", tiny, "here", events(1.0))
    async with watching(tmp_path / "runs", (60, 20)) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: "There is no other run" in picture(monitor(pilot)))
        await pilot.press("enter")
        assert not isinstance(pilot.app.screen, ChooseScreen)


async def test_runs_of_long_names_that_begin_alike_are_told_apart_and_all_are_saved(
    runs: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (3, 4):
        add_run(runs, tiny, f"digits-fb_strong_reg-seed{seed}", events(float(seed)), f"seed={seed}")
    async with watching(runs) as pilot:
        followed = [folder for folder in folders.every(runs) if folder.name.startswith("digits")]
        monitor(pilot)._chosen(followed)
        await until(pilot, lambda: len(monitor(pilot).runs.others) == 2)
        await pilot.press("z", "w")
        await until(pilot, lambda: any(tmp_path.glob("*.csv")))
        (saved,) = tmp_path.glob("*.csv")
        rows = list(csv.DictReader(saved.read_text().splitlines()))
        # By their seeds, or by their times if the clock went on between them.
        assert sorted(rows[0][name] for name in rows[0] if name.startswith("di") and name.endswith("train")) == [
            "3.0",
            "4.0",
        ]


async def test_what_was_read_before_others_were_chosen_is_not_shown(runs: Path) -> None:
    async with watching(runs) as pilot:
        _, first, second, *_ = sorted(folders.every(runs), key=lambda folder: folder.name)
        app = monitor(pilot)
        late = OtherRead(first, Store(), {}, lambda: True)
        app._chosen([second])
        app.post_message(late)
        await until(pilot, lambda: len(app.runs.others) == 1)
        await pilot.pause(0.05)
        assert [other.name for other in app.runs.others] == [second.name]
