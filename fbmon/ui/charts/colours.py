"""The colours of the charts, by what they mean: those of Okabe and Ito, told apart also by colour-blind eyes.

On a light background each is darkened until it has a contrast of 4.5 to white or close to it. Every meaning has a
shape beside its colour: a marker, a dash, a sign.
"""

from collections.abc import Mapping

from fbmon import metrics

DARK_THEME, LIGHT_THEME = "textual-dark", "textual-light"
DARK: Mapping[str, str] = {
    "mark": "#d55e00", "threshold": "#d55e00", "target": "#009e73", "validation": "#e69f00", "secondary": "#cc79a7",
    "primary": "#56b4e9", "alarm": "#ff6f61", "note": "#f0e442",
    "other-0": "#009e73", "other-1": "#cc79a7", "other-2": "#e69f00", "other-3": "#f0e442",
}  # fmt: skip
LIGHT: Mapping[str, str] = {
    "mark": "#b34f00", "threshold": "#b34f00", "target": "#007a59", "validation": "#986800", "secondary": "#a8507f",
    "primary": "#0072b2", "alarm": "#b3261e", "note": "#6b6300",
    "other-0": "#007a59", "other-1": "#a8507f", "other-2": "#986800", "other-3": "#6b6300",
}  # fmt: skip
_COMPONENTS = {
    "title": "title", "axis": "axis", "cursor": "cursor", "mark": "mark", "threshold": "threshold", "target": "target",
    "memory_0": "secondary", "memory_1": "target", "busy_1": "validation",
    "spike": "alarm", "nonfinite": "alarm", "divergence": "alarm", "stall": "alarm", "clipping": "mark",
    "best": "note", "rate": "note", "edge": "note", "checkpoint": "note", "command": "note", "note": "note",
    "resume": "note", "end": "note",
    "validation": "validation",
    "run_0": "primary", "run_1": "validation", "run_2": "target", "run_3": "secondary", "run_4": "mark",
    "run_5": "note",
    "other_0": "other-0", "other_1": "other-1", "other_2": "other-2", "other_3": "other-3",
}  # fmt: skip

COMPONENTS = {f"chart--{name}" for name in (*DARK, "title", "axis", "cursor")}
CSS = (
    "ChartView {\n"
    "& > .chart--title { color: $foreground; text-style: bold; }\n"
    "&:focus > .chart--title { text-style: bold reverse; }\n"
    "& > .chart--axis { color: $text-muted; }\n"
    "& > .chart--cursor { color: $foreground; text-style: bold; }\n"
    + "".join(f"& > .chart--{name} {{ color: {colour}; }}\n" for name, colour in DARK.items())
    + "".join(f"&:light > .chart--{name} {{ color: {colour}; }}\n" for name, colour in LIGHT.items())
    + "}\n"
)


def component_of(role: str) -> str:
    """Return the component class, behind `chart--`, of a role of a drawing: a metric's own, or one of the screen's."""
    return metrics.BY_NAME[role].colour if role in metrics.BY_NAME else _COMPONENTS.get(role, "primary")


def on_paper(roles: set[str]) -> dict[str, str]:
    """Return the colours of roles on white."""
    return {role: LIGHT.get(component_of(role.split()[0]), "#1f2328") for role in roles}
