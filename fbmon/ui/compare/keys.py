"""Every key of the comparison, once; those of the charts are the monitor's."""

from fbmon.ui.charts.keys import GROUPS as MONITOR
from fbmon.ui.charts.keys import Key

_SAME = {key.action: key for keys in MONITOR.values() for key in keys}
_NOT_HERE = ("app.group", "events", "write", "back", "move(1)", "move(-1)")  # these have words of their own

TABLE: dict[str, tuple[Key, ...]] = {
    "The comparison": (
        Key("q,ctrl+q,ctrl+c", "app.leave", "q", "Leave", "leave; runs that are running go on"),
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
        Key("d", "panel", "d", "", "what differs and what happened: both or one of them, or neither"),
    ),
    "The table": (
        Key("space", "mark", "space", "Mark", "draw only marked runs: mark this one, or no longer (also enter)"),
        Key("u", "unmark", "u", "", "unmark all runs: the first of the table are drawn"),
        Key("H,delete", "hide", "H", "Hide", "hide this run, from the table too (also delete)"),
        Key("U", "unhide", "U", "", "show all hidden runs again"),
        Key("greater_than_sign", "sort(1)", "< >", "Sort", "sort by the next column, or by the one before"),
        Key("less_than_sign", "sort(-1)", "", "", ""),
        Key("i", "invert", "i", "", "sort the other way round"),
        Key("C", "columns", "C", "Columns", "choose the columns"),
        Key("g", "group", "g", "Seeds", "one row and a band for runs alike in all but the seed, or a row a run"),
    ),
}
CHARTS: dict[str, tuple[Key, ...]] = {
    "Charts": (
        Key("tab", "move(1)", "tab", "Next chart", "from the table to the charts, the next one, to the table again"),
        Key("shift+tab", "move(-1)", "shift-tab", "", "the other way round"),
        *(key for key in MONITOR["Charts"] if key.action not in _NOT_HERE),
        Key("escape", "back", "esc", "", "one step back: from the cursor, the single chart, the charts to the table"),
    ),
    "What is in sight": tuple(
        key._replace(help=f"the table's columns; in the charts {key.help}") if key.action == "sideways(-1)" else key
        for key in MONITOR["What is in sight"]
    ),
    "Cursor and events": (
        *(key for key in MONITOR["Cursor and events"] if key.action not in _NOT_HERE),
        Key("e", "events", "e", "", "events of the run at the table's cursor: the main ones, all, none"),
        Key("w", "write", "w", "Save", "save this chart as SVG and its curves as CSV in the current folder"),
    ),
}
GROUPS = TABLE | CHARTS
