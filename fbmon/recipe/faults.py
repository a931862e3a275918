"""Explains what is wrong with a recipe: where, which key, which value, and the nearest right thing."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from fbmon.recipe.schema import known_keys
from fbmon.text import clean


def lines(text: str) -> dict[str, int]:
    """The line of every `section` and `section.key`; enough to point at a fault."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\]]+)\]", line):  # linear in the line, which may be hostile
            section = header[1].strip("[ \t\"'")
            lines.setdefault(section, number)
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            name = key[1].strip("\"'")
            lines.setdefault(f"{section}.{name}" if section else name, number)
    return lines


def line_of(message: str) -> int:
    """The line that an explanation names; 0 if it names none, so that it comes first."""
    match = re.match(r"[^:]*:(\d+): ", message)
    return int(match[1]) if match else 0


def explain(fault: Mapping[str, Any], source: str, places: Mapping[str, str]) -> str:
    """One fault as `file:line: key = value: what is wrong; the nearest right thing`."""
    if fault["type"] == "value_error":  # one of the schema's own sentences; it begins with the key
        sentence = str(fault["ctx"]["error"])
        key = sentence.partition(" ")[0]
        return f"{places.get(key) or places.get(key.partition('.')[0]) or source}: {sentence}"
    location = [part for part in fault["loc"] if isinstance(part, str)]  # without the places within a list
    if len(location) == 3:  # schedule.cosine.warmup: pydantic names the choice, the file has no such level
        del location[1]
    key = clean(".".join(location))
    origin = places.get(key) or places.get(location[0]) or source
    match fault["type"]:
        case "missing":
            return f"{origin}: {key} is missing"
        case "extra_forbidden":
            return f"{origin}: unknown key {key}{_nearest(key)}"
        case "union_tag_not_found":
            return f"{origin}: {key}.name is missing"
        case "union_tag_invalid":
            origin = places.get(f"{key}.name", origin)
            choices = fault["ctx"]["expected_tags"].replace("'", '"')
            return f"{origin}: {key}.name = {_toml_value(fault['ctx']['tag'])}: must be one of {choices}"
        case _:
            return f"{origin}: {key} = {_toml_value(fault['input'])}: {_reason(fault)}"


def _reason(fault: Mapping[str, Any]) -> str:
    context = fault.get("ctx", {})
    reasons = {
        "greater_than": "must be greater than {gt:g}",
        "greater_than_equal": "must be at least {ge:g}",
        "less_than": "must be less than {lt:g}",
        "less_than_equal": "must be at most {le:g}",
        "finite_number": "must be a finite number",
        "float_type": "must be a number",
        "int_type": "must be a whole number",
        "bool_type": "must be true or false",
        "string_type": "must be a string",
        "list_type": "must be a list",
        "model_type": "must be a section",
        "model_attributes_type": "must be a section",
        "literal_error": "must be {expected}",
        "string_pattern_mismatch": "must be 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit",
    }
    reason = reasons.get(fault["type"])
    return reason.format(**context).replace("'", '"') if reason else str(fault["msg"])


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "a section"
    try:
        text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    except (RecursionError, ValueError):  # nested 1,000 deep, or 0xfff... of more than 4,300 decimal digits
        return "a value too large to show"
    return clean(text, 60)


# What other trainers call it.
_SYNONYMS = {
    "learning_rate": "lr",
    "batch_size": "block",
    "epochs": "steps",
    "warmup_steps": "warmup",
    "max_norm": "norm",
}


def _nearest(key: str) -> str:
    section, _, name = key.rpartition(".")
    name = _SYNONYMS.get(name, name)
    others = [parts.rpartition(".") for parts in known_keys() if parts != key]
    beside = {last: parts for *parts, last in others if parts[0] == section}
    near = difflib.get_close_matches(name, beside, n=1)
    if near:
        return f"; did you mean {''.join(beside[near[0]])}{near[0]}?"
    # The right name in the wrong section.
    return next((f"; did you mean {''.join(parts)}?" for parts in others if parts[2] == name), "")
