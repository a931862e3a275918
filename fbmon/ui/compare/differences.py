"""The differences between the recipes of the runs that are drawn: each setting, its values, which runs have them."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from fbmon.compare import Run
from fbmon.compare.differing import differing
from fbmon.compare.facts import show_plain
from fbmon.compare.fields import find
from fbmon.text import clean

_ALL_DIFFERENT = 12  # runs: of more, a setting that is another in each says little


def difference_lines(drawn: Mapping[str, Sequence[Run]]) -> Text:
    """A line a setting: `optimizer.lr  0.4 △◇  0.8 □`. `drawn` are the runs behind each marker."""
    names = differing([run for runs in drawn.values() for run in runs])
    values = {name: _by_value(name, drawn) for name in names}
    differing_values = {name: by_value for name, by_value in values.items() if len(by_value) > 1}
    if not differing_values:
        return Text("The same recipe." if len(drawn) > 1 else "One run is drawn: nothing to compare it with.", "dim")
    width = max(map(len, differing_values))
    return Text("\n").join(
        _line(f"{name:<{width}}", by_value, len(drawn)) for name, by_value in differing_values.items()
    )


def _by_value(name: str, drawn: Mapping[str, Sequence[Run]]) -> dict[str, str]:
    """The markers that each value has; that of several runs is all of theirs."""
    markers: dict[str, str] = {}
    for marker, runs in drawn.items():
        values = dict.fromkeys(show_plain(find(name, [run]).value(run)) for run in runs)
        value = ", ".join(sorted(values))
        markers[value] = markers.get(value, "") + marker
    return markers


def _line(name: str, by_value: Mapping[str, str], traces: int) -> Text:
    line = Text(clean(name), "bold")
    if len(by_value) == traces > _ALL_DIFFERENT:
        return line.append(f"  {traces} values", "not bold")
    for value, markers in by_value.items():
        line.append(f"  {clean(value, 60)} ", "not bold").append(markers, "dim not bold")
    return line
