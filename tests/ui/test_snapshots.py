"""The whole screen as it looks, in files to be read with `cat`: `python -m tests.ui.test_snapshots` draws them anew."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from msgspec.structs import replace
from rich.console import Console
from textual.strip import Strip

from fbmon.events import DeviceSampled, Event, ProgressMade
from fbmon.ui.monitor.app import MonitorApp
from tests import trace
from tests.ui.monitor.test_monitor import Script, over, shown, training

FILES = Path(__file__).with_name("snapshots")
# Size and what else is as it is not by default; `trace` is the published run, synthesized from its figures.
NAMES = ("60x20", "80x24", "120x40", "200x60", "160x48-trace", "80x24-ascii", "60x20-dark.ansi", "60x20-light.ansi")


def told(name: str) -> list[Event]:
    if "trace" in name:
        return [replace(event, elapsed=trace.SECONDS * getattr(event, "step", 0)) for event in trace.events()]
    gpu = DeviceSampled("cuda:0 (gpu 3)", 97.0, 40960.0, 81920.0, 412.0, 64.0, 1755.0, elapsed=31.0)
    return [*training(), gpu, ProgressMade("training", 31, 1, 2)]


async def look(name: str, folder: Path) -> str:
    """The screen as text, or with its colours as a terminal gets them."""
    width, height = map(int, name.partition("-")[0].split("x"))
    app = MonitorApp(Script(folder / "tiny-1", told(name), over="trace" in name))
    async with app.run_test(size=(width, height)) as pilot:
        await shown(pilot, 3000 if "trace" in name else 30)
        if "trace" in name:
            await over(pilot)
        if "light" in name:
            await pilot.press("t")
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        return "".join(f"{line}\n" for line in (_in_colour(strips) if "ansi" in name else _bare(strips)))


def _bare(strips: list[Strip]) -> Iterator[str]:
    return (strip.text.rstrip() for strip in strips)


def _in_colour(strips: list[Strip]) -> Iterator[str]:
    console = Console(color_system="truecolor", force_terminal=True, legacy_windows=False)
    return (strip.render(console) for strip in strips)


def frozen(name: str) -> ExitStack:
    """Clocks that stand still, and a terminal as the name has it."""
    stack = ExitStack()
    clocks = SimpleNamespace(monotonic=lambda: 1000.0, thread_time=lambda: 0.0)
    stack.enter_context(mock.patch("fbmon.ui.monitor.app.time", clocks))
    stack.enter_context(mock.patch("fbmon.ui.monitor.frames.time", clocks))
    variables = {"FBMON_ASCII": "1" if "ascii" in name else "0", "COLORTERM": "truecolor"}
    stack.enter_context(mock.patch.dict(os.environ, variables))
    return stack


@pytest.mark.parametrize("name", NAMES)
async def test_the_screen_looks_as_it_did(name: str, tmp_path: Path) -> None:
    with frozen(name):
        seen = await look(name, tmp_path)
    assert seen == (FILES / name).read_text(encoding="utf-8"), f"see {name}, or draw it anew as this file says above"


def main() -> None:
    FILES.mkdir(exist_ok=True)
    for name in NAMES:
        with frozen(name), tempfile.TemporaryDirectory() as folder:
            (FILES / name).write_text(asyncio.run(look(name, Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    main()
