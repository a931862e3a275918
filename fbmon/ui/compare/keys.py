"""Every key of the comparison, once; those of the charts are the monitor's."""

from fbmon.ui.charts.keys import GROUPS as MONITOR
from fbmon.ui.charts.keys import Key

_SAME = {key.action: key for keys in MONITOR.values() for key in keys}
_NOT_HERE = ("app.group", "events", "write", "back", "move(1)", "move(-1)")  # these have words of their own

TABLE: dict[str, tuple[Key, ...]] = {
    "The comparison": (
        Key("q,ctrl+q,ctrl+c", "app.leave", "q", "Leave", "leave; trainings in progress go on"),
        *(
            _SAME[action]
            for action in (
                "app.help",
                "app.command_palette",
                "app.toggle_light",
                "app.suspend_process",
                "app.repaint",
            )
        ),
        Key("f5", "app.read_again", "F5", "", "look for runs again, with the same query"),
        Key("d", "panel", "d", "", "differences and events: show both, either or neither"),
    ),
    "The table": (
        Key("space", "mark", "space", "Mark", "mark or unmark this run: only marked runs are drawn (also enter)"),
        Key("u", "unmark", "u", "", "unmark all runs: the first in the table are drawn"),
        Key("H,delete", "hide", "H", "Hide", "hide this run, from the table too (also delete)"),
        Key("U", "unhide", "U", "", "show all hidden runs again"),
        Key("greater_than_sign", "sort(1)", "< >", "Sort", "sort by the next or the previous column"),
        Key("less_than_sign", "sort(-1)", "", "", ""),
        Key("i", "invert", "i", "", "reverse the order"),
        Key("C", "columns", "C", "Columns", "choose the columns"),
        Key("g", "group", "g", "Seeds", "one row and a band for runs that differ only in the seed, or a row per run"),
    ),
}
CHARTS: dict[str, tuple[Key, ...]] = {
    "Charts": (
        Key("tab", "move(1)", "tab", "Next chart", "move from the table to the charts, from chart to chart, and back"),
        Key("shift+tab", "move(-1)", "shift-tab", "", "the same in reverse"),
        *(key for key in MONITOR["Charts"] if key.action not in _NOT_HERE),
        Key("escape", "back", "esc", "", "one step back: from the cursor, the single chart, the charts to the table"),
    ),
    "View": tuple(
        key._replace(help=f"the table's columns; in the charts {key.help}") if key.action == "sideways(-1)" else key
        for key in MONITOR["View"]
    ),
    "Cursor and events": (
        *(key for key in MONITOR["Cursor and events"] if key.action not in _NOT_HERE),
        Key("e", "events", "e", "", "events of the run at the table's cursor: the main ones, all, none"),
        Key("w", "write", "w", "Save", "save this chart as SVG and its curves as CSV in the current folder"),
    ),
}
GROUPS = TABLE | CHARTS
