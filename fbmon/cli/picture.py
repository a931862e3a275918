"""Prints drawings: in colour in a terminal, in ASCII where braille is not to be had, as plain text in a pipe."""

import os
import shutil
import sys
from typing import TYPE_CHECKING

from fbmon.cli.output import make_console

if TYPE_CHECKING:
    from fbmon.chart import Drawing, Plot, StyledText
    from fbmon.chart.heat import Heat

_CURVES = ("#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#f0e442")
_LEVELS = ("#3b496c", "#575d6d", "#8a8678", "#c3b369", "#fde737")  # cividis, dark to light
_HEIGHT = 14
_WIDEST = 100


def print_plot(plot: "Plot") -> None:
    """Print a plot as wide as the terminal."""
    from fbmon.chart import draw

    _print(draw(plot, min(shutil.get_terminal_size().columns, _WIDEST), _HEIGHT))


def print_heat(heat: "Heat") -> None:
    """Print a heat map, two characters a number, and a line that says what the shades mean."""
    from fbmon.chart.heat import draw_heat, legend

    _print(draw_heat(heat))
    print_legend(legend(heat.bounds))


def print_legend(entries: "list[StyledText]") -> None:
    """Print a legend in as many lines as it takes."""
    from fbmon.chart import Drawing, StyledText

    room, rows = shutil.get_terminal_size().columns, [list[StyledText]()]
    for entry in entries:
        if rows[-1] and sum(len(run.text) for run in rows[-1]) + 2 + len(entry.text) > room:
            rows.append([])
        rows[-1] += [StyledText("  ", ""), entry]
    _print(Drawing(tuple(map(tuple, rows))))


def _print(drawing: "Drawing") -> None:
    from rich.text import Text

    from fbmon.chart.ascii import ascii_only, is_ascii_wanted

    console = make_console()
    is_ascii = is_ascii_wanted(os.environ) or not console.encoding.lower().startswith("utf")
    with console.capture() as captured:
        for row in drawing.rows:
            line = Text(end="")
            for run in row:
                line.append(ascii_only(run.text) if is_ascii else run.text, _style(run))
            line.rstrip()
            console.print(line)
    sys.stdout.write(captured.get())


def _style(run: "StyledText") -> str:
    name, _, rest = run.role.partition(" ")
    kind, _, number = name.partition("_")
    if kind in ("run", "heat") and number.isdecimal():
        colours = _CURVES if kind == "run" else _LEVELS
        return f"{'dim ' * (rest == 'dim')}{colours[int(number) % len(colours)]}"
    return "bold" if name == "title" else ""
