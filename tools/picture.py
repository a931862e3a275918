"""Takes a picture of a screen: `python tools/picture.py RUN OUT.svg --size 120x40 --at-step 120 --press c z`.

Attaches to a real run, live or ended, as `fbmon watch` does, waits for the step, presses keys, saves the screen as SVG;
with --compare shows the runs that RUN means in a query, as `fbmon compare` does.
"""

import argparse
import asyncio
from pathlib import Path

from fbmon.compare import select
from fbmon.compare.columns import DEFAULT_COLUMNS, columns_for
from fbmon.compare.sheet import Sheet
from fbmon.process.launch import attach
from fbmon.run import find
from fbmon.ui.charts.save import without_downloads
from fbmon.ui.compare.app import CompareApp
from fbmon.ui.monitor.app import MonitorApp


async def take(app: MonitorApp, size: tuple[int, int], step: int, keys: list[str]) -> str:
    """The screen as SVG as soon as the run has taken `step` steps or is gone and the keys are pressed."""
    async with app.run_test(size=size) as pilot:
        while app.store.ended is None and app.store.step < step:
            await pilot.pause(0.1)
        await pilot.pause(1.5)
        await pilot.press(*keys)
        await pilot.pause(0.5)
        return app.export_screenshot(title="fbmon watch")


async def take_comparison(app: CompareApp, size: tuple[int, int], keys: list[str]) -> str:
    """The screen as SVG as soon as all curves are drawn and the keys are pressed."""
    async with app.run_test(size=size) as pilot:
        await pilot.pause(2.0)
        await pilot.press(*keys)
        await pilot.pause(1.0)
        return app.export_screenshot(title="fbmon compare")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--at-step", type=int, default=1_000_000_000)
    parser.add_argument("--press", nargs="*", default=[], help="keys, as Textual names them")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    columns, rows = map(int, arguments.size.split("x"))
    if arguments.compare:
        runs = select(arguments.runs_dir, arguments.run.split())
        sheet = Sheet(runs, columns_for(runs, None, DEFAULT_COLUMNS, with_settings=True))
        svg = asyncio.run(take_comparison(CompareApp(sheet), (columns, rows), arguments.press))
    else:
        app = MonitorApp(attach(find(arguments.runs_dir, arguments.run)))
        svg = asyncio.run(take(app, (columns, rows), arguments.at_step, arguments.press))
    arguments.out.write_text(without_downloads(svg))


if __name__ == "__main__":
    main()
