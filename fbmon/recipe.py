"""What a user asks: the recipe, its sections and choices; strict, and every fault told at once with its line."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fbmon.errors import RecipeError, UsageError
from fbmon.text import clean

# A recipe fits on a screen; these bounds keep a hostile one from costing more than a moment.
_MAX_BYTES = 64 * 1024
_MAX_LINE = 4 * 1024
NAME_PATTERN = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"

PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
# TOML promises 64 bits; torch and JSON take no more.
PositiveInt = Annotated[int, Field(gt=0, lt=2**63)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]


class Section(BaseModel):
    """A table of a recipe: nothing unknown, nothing converted, nothing infinite, nothing changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Data(Section):
    """The images; `limit` and `val_limit` take only the first ones, so that a laptop can try a large recipe."""

    dataset: Literal["digits", "cifar10"]
    augment: Literal["none", "shift", "crop_flip"] = "none"
    limit: PositiveInt | None = None
    val_limit: PositiveInt | None = None


class Model(Section):
    """The network; `width` is the number of channels of its first stage."""

    name: Literal["resnet8", "resnet18"]
    width: PositiveInt = 64


class Gradient(Section):
    """How the data are cut into blocks; batch norm and the penalty act within a block."""

    block: PositiveInt
    order: Literal["fixed", "shuffled"] = "fixed"
    drop_last: bool = False  # true: leave out the last block if it is not full, as the authors do


class Sgd(Section):
    """Gradient descent with momentum; `weight_decay` is added to the gradient after clipping."""

    name: Literal["sgd"] = "sgd"
    lr: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 0.0


class Constant(Section):
    """A linear warm-up, then the peak learning rate."""

    name: Literal["constant"]
    warmup: NonNegativeInt = 0


class Cosine(Section):
    """A linear warm-up, then half a cosine that reaches zero `horizon` steps later."""

    name: Literal["cosine"]
    warmup: NonNegativeInt = 0
    horizon: PositiveInt


Schedule = Annotated[Constant | Cosine, Field(discriminator="name")]


class Clip(Section):
    """The full gradient is scaled down to this L2 norm whenever it is longer."""

    norm: PositiveFloat


class Penalty(Section):
    """The gradient-norm penalty of every block, by forward differences (paper, section 4)."""

    method: Literal["forward"] = "forward"
    strength: PositiveFloat
    epsilon: PositiveFloat = 0.01


class Validation(Section):
    """Validate after steps 1, 1 + every, 1 + 2 every, ... and after the last."""

    every: PositiveInt = 100


class Target(Section):
    """The accuracy reported for this setting, and where it was reported."""

    val_accuracy: Annotated[float, Field(gt=0, le=1)]
    source: str


class Recipe(Section):
    """One training run, as asked for."""

    name: Name
    steps: PositiveInt
    seed: NonNegativeInt = 0
    data: Data
    model: Model
    gradient: Gradient
    optimizer: Sgd
    schedule: Schedule
    clip: Clip | None = None
    penalty: Penalty | None = None
    validation: Validation = Validation()
    target: Target | None = None


def shipped() -> dict[str, Path]:
    """The recipes that come with fbmon, by name."""
    here = Path(__file__).parent
    # A wheel carries them inside the package; in a checkout they stand beside it.
    folder = here / "recipes" if (here / "recipes").is_dir() else here.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(given: str) -> Path:
    """The file meant by `given`: a path, or the name of a shipped recipe.

    Raises UsageError when there is neither.
    """
    path = Path(given)
    try:
        if path.is_file():
            return path
    except OSError as error:  # a name too long, a folder that may not be entered
        raise UsageError(f"{clean(given)}: cannot be read: {error.strerror}") from None
    known = shipped()
    if given in known:
        return known[given]
    near = difflib.get_close_matches(path.stem, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"fbmon ships: {', '.join(known)}"
    kind = "is a folder, not a recipe" if path.is_dir() else "no such recipe file, and no shipped recipe of that name"
    raise UsageError(f"{clean(given)}: {kind}", hint)


def load(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe in `path`, with `overrides` of the form "section.key=value" laid over it.

    Raises RecipeError with one line per fault: file, line, key, value and the nearest right key.
    """
    text = _read(path)
    table = _parse(text, str(path))
    places = {key: f"{path}:{line}" for key, line in _lines(text).items()}
    for override in overrides:
        key, value = _override(override)
        _assign(table, key, value)
        places[key] = f"--set {clean(override)}"
        places.setdefault(key.partition(".")[0], places[key])
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        faults = [_fault(fault, str(path), places) for fault in error.errors()]
        raise RecipeError("\n".join(dict.fromkeys(faults))) from None


def dump(recipe: Recipe) -> str:
    """The whole recipe as TOML, defaults included; `load` reads it back equal."""
    return tomli_w.dumps(recipe.model_dump(exclude_none=True))


def flatten(recipe: Recipe) -> dict[str, Any]:
    """The settings as `section.key` -> value, in the order of the schema."""
    flat: dict[str, Any] = {}
    for key, value in recipe.model_dump(exclude_none=True).items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": setting for inner, setting in value.items()}
        else:
            flat[key] = value
    return flat


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise UsageError(f"{clean(str(path))}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: not TOML: not a text in UTF-8") from None
    if len(raw) > _MAX_BYTES:
        raise RecipeError(f"{path}: larger than {_MAX_BYTES // 1024} KiB, so not a recipe")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _MAX_LINE:
            raise RecipeError(f"{path}:{number}: a line of more than {_MAX_LINE} characters, so not a recipe")
    return text


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise RecipeError(f"{source}:{error.lineno}: not TOML: {clean(error.msg)}") from None
    except (RecursionError, ValueError):  # nested 500 deep, or a number of 5,000 digits
        raise RecipeError(f"{source}: not TOML that a recipe needs") from None


def _override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"\w+(\.\w+)?", key, re.ASCII):
        raise UsageError(f"--set {clean(text)}: must read section.key=value", "for example --set optimizer.lr=0.4")
    if len(value) > _MAX_LINE:
        raise UsageError(f"--set {clean(text, 60)}: the value is too long")
    try:
        return key, tomli.loads(f"value = {value}")["value"]
    except (tomli.TOMLDecodeError, RecursionError, ValueError):
        return key, value.strip()  # a bare word: --set model.name=resnet18


def _assign(table: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - TOML values are of any type
    *sections, last = key.split(".")
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            return  # the fault is in the file, and validation names it
        table = inner
    table[last] = value


def _lines(text: str) -> dict[str, int]:
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


def _fault(fault: Mapping[str, Any], source: str, places: Mapping[str, str]) -> str:
    """One fault as `file:line: key = value: what is wrong; the nearest right thing`."""
    # A discriminated union puts its tag into the path (schedule.cosine.warmup); the file has no such level.
    location = [str(part) for part in fault["loc"]]
    if location[:1] == ["schedule"] and len(location) == 3:
        del location[1]
    key = clean(".".join(location))
    section = location[0]
    place = places.get(key) or places.get(section) or source
    if fault["type"] == "missing":
        return f"{place}: {key} is missing"
    value = clean(_toml_value(fault["input"]), 60)
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key {key}{_nearest(key)}"
    if fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag = fault["input"].get("name") if isinstance(fault["input"], dict) else None
        place = places.get(f"{key}.name", place)
        wanted = 'must be "constant" or "cosine"'
        return (
            f"{place}: {key}.name is missing: {wanted}"
            if tag is None
            else (f"{place}: {key}.name = {clean(_toml_value(tag), 60)}: {wanted}")
        )
    return f"{place}: {key} = {value}: {_reason(fault)}"


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
        "model_type": "must be a section",
        "model_attributes_type": "must be a section",
        "literal_error": "must be {expected}",
        "string_pattern_mismatch": "must be 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit",
    }
    reason = reasons.get(fault["type"])
    return reason.format(**context).replace("'", '"') if reason else str(fault["msg"])


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    try:
        return "a section" if isinstance(value, dict) else str(value)
    except (RecursionError, ValueError):  # nested 1,000 deep, or 0xfff... of more than 4,300 decimal digits
        return "a value too large to show"


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
    beside = [known for known in known_keys() if known.rpartition(".")[0] == section]
    near = difflib.get_close_matches(f"{section}.{name}" if section else name, beside, n=1, cutoff=0.7)
    if not near:  # the right name in the wrong section
        near = [known for known in known_keys() if known.rpartition(".")[2] == name][:1]
    return f"; did you mean {near[0]}?" if near else ""


def known_keys() -> list[str]:
    """Every `key` and `section.key` that a recipe may hold."""
    sections: dict[str, tuple[type[Section], ...]] = {
        "data": (Data,), "model": (Model,), "gradient": (Gradient,), "optimizer": (Sgd,),
        "schedule": (Constant, Cosine), "clip": (Clip,), "penalty": (Penalty,), "validation": (Validation,),
        "target": (Target,),
    }  # fmt: skip
    keys = list(Recipe.model_fields)
    for section, models in sections.items():
        keys += dict.fromkeys(f"{section}.{field}" for model in models for field in model.model_fields)
    return keys
