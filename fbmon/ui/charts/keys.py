"""Every key of the monitor, once: what it is bound to, and what the help says of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
    """Keys that do one thing; `footer` is empty for those that only the help shows."""

    keys: str  # as Textual names them, with commas between
    action: str
    shown: str  # as people write them
    footer: str
    help: str


GROUPS: dict[str, tuple[Key, ...]] = {
    "The run": (
        Key(
            "q,ctrl+q,ctrl+c",
            "app.leave",
            "q",
            "Leave",
            "leave the screen; during a run, asks: leave, stop, stop after this step",
        ),
        Key("p", "app.pause", "p", "Pause", "pause the training at its next block, or let it go on"),
        Key("ctrl+s", "app.save", "^s", "", "save a checkpoint when the step is over"),
        Key("question_mark,h,f1", "app.help", "?", "Help", "this list (also h, F1)"),
        Key("ctrl+p", "app.command_palette", "^p", "", "find any command by name"),
        Key("o", "app.others", "o", "Runs", "overlay other runs"),
        Key("t", "app.toggle_light", "t", "", "light or dark"),
        Key("ctrl+z", "app.suspend_process", "^z", "", "go to the shell; `fg` comes back"),
        Key("ctrl+l", "app.repaint", "^l", "", "redraw the screen"),
    ),
    "Charts": (
        Key("tab", "move(1)", "tab", "Next", "the next chart"),
        Key("shift+tab", "move(-1)", "shift-tab", "", "the previous chart"),
        Key("down,j", "move_down(1)", "↓ j", "", "the chart below"),
        Key("up,k", "move_down(-1)", "↑ k", "", "the chart above"),
        Key("n,pagedown", "turn(1)", "n PgDn", "", "the next page of charts"),
        Key("N,pageup", "turn(-1)", "N PgUp", "", "the previous page of charts"),
        Key("z,enter", "full", "z", "Full", "this chart alone, and back (also enter)"),
        Key("slash", "filter", "/", "Filter", "filter the charts by a part of a name, or a regex; esc shows all"),
        Key("escape", "back", "esc", "", "one step back: from the cursor, the single chart, the filter"),
    ),
    "View": (
        Key("plus,equals_sign", "zoom(1)", "+", "", "zoom in, around the cursor if there is one"),
        Key("minus", "zoom(-1)", "-", "", "zoom out"),
        Key("left", "sideways(-1)", "← →", "", "move the cursor, or pan if there is none"),
        Key("right", "sideways(1)", "", "", ""),
        Key("shift+left", "pan(-1)", "shift-← →", "", "pan"),
        Key("shift+right", "pan(1)", "", "", ""),
        Key("r", "fit", "r", "", "show the whole run"),
        Key("f", "follow", "f", "", "follow the newest point, or stop following"),
        Key("x", "axis", "x", "Axis", "x-axis: steps, elapsed time, wall clock, passes over the data"),
        Key("l", "scale", "l", "Log", "logarithmic or linear y-axis of this chart"),
        Key("s", "smooth(1)", "s", "Smooth", "smooth more"),
        Key("S", "smooth(-1)", "S", "", "smooth less"),
        Key("0", "smooth(0)", "0", "", "do not smooth"),
    ),
    "Cursor and events": (
        Key("c", "cursor", "c", "Cursor", "put the cursor at the newest point, or remove it"),
        Key("comma", "fast(-1)", ", .", "", "move the cursor ten columns"),
        Key("full_stop", "fast(1)", "", "", ""),
        Key("home", "end(-1)", "home end", "", "move the cursor to the first or the newest point"),
        Key("end", "end(1)", "", "", ""),
        Key("left_square_bracket", "jump(-1)", "[ ]", "Events", "move the cursor to the previous or the next event"),
        Key("right_square_bracket", "jump(1)", "", "", ""),
        Key("e", "events", "e", "", "events: the main ones, all, none"),
    ),
    "Other runs, files": (
        Key("g", "app.group", "g", "", "show other seeds of the same recipe as mean and band"),
        Key("w", "write", "w", "Save", "save this chart as SVG and its series as CSV in the current folder"),
        Key("W", "write_screen", "W", "", "save the whole screen as SVG in the current folder"),
    ),
}


def bindings(groups: Mapping[str, Sequence[Key]]) -> list[Binding]:
    """Return the bindings of these keys; those with a word in the footer are shown there."""
    return [_binding(key) for keys in groups.values() for key in keys]


def app_bindings(groups: Mapping[str, Sequence[Key]]) -> list[Binding]:
    """Return those of these keys that the app has to know too, as something else than the board may have the focus."""
    return [_binding(key) for keys in groups.values() for key in keys if key.action.startswith("app.")]


def _binding(key: Key) -> Binding:
    return Binding(key.keys, key.action, key.footer or key.help, show=bool(key.footer), key_display=key.shown)
