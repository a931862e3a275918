"""What differs between the recipes of the runs that are drawn: each setting, its values, which runs have them."""

from collections.abc import Sequence

from rich.text import Text

from fbmon.compare import Run
from fbmon.compare.facts import show_plain
from fbmon.compare.fields import find
from fbmon.compare.settings import differing

_ALL_DIFFERENT = 12  # runs: of more, a setting that is another in each says little


def difference_lines(drawn: Sequence[tuple[str, Run]]) -> Text:
    """A line a setting: `optimizer.lr  0.4 △◇  0.8 □`."""
    runs = [run for _, run in drawn]
    names = differing(runs)
    if not names:
        return Text("The same recipe." if len(runs) > 1 else "One run: nothing to differ from.", "dim")
    width = max(map(len, names))
    lines = [_line(name, width, drawn) for name in names]
    return Text("\n").join(lines)


def _line(name: str, width: int, drawn: Sequence[tuple[str, Run]]) -> Text:
    markers: dict[str, str] = {}
    for marker, run in drawn:
        value = show_plain(find(name, [run]).value(run))
        markers[value] = markers.get(value, "") + marker
    line = Text(f"{name:<{width}}", "bold")
    if len(markers) == len(drawn) > _ALL_DIFFERENT:
        return line.append(f"  {len(drawn)} values", "not bold")
    for value, having in markers.items():
        line.append(f"  {value} ", "not bold").append(having, "dim not bold")
    return line
