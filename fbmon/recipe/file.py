"""TOML files to a Recipe and back: strict, bounded, every fault told at once."""

import difflib
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import tomli
import tomli_w
from pydantic import ValidationError

from fbmon.errors import RecipeError, UsageError
from fbmon.recipe import sources
from fbmon.recipe.faults import explain, line_of, lines
from fbmon.recipe.own_data import facts_without_code
from fbmon.recipe.schema import FOLDER, NetworkName, Recipe, sections_in
from fbmon.text import clean, clean_path

# A recipe fits on a screen; these bounds keep a hostile one from costing more than a moment.
_MAX_BYTES = 64 * 1024
_MAX_LINE = 4 * 1024
_MAX_BASES = 8
# What a recipe does not take over from the one it extends: its name, and what was reported for that very setting.
_OWN = ("name", "target")
_MISSING = ("missing", "union_tag_not_found")

Table = dict[str, Any]


def shipped() -> dict[str, Path]:
    """The recipes that come with fbmon, by name; those in subfolders are named like digits/sgd."""
    here = Path(__file__).parents[1]
    # A wheel carries them inside the package; in a checkout they stand beside it.
    folder = here / "recipes" if (here / "recipes").is_dir() else here.parent / "recipes"
    paths = sorted(folder.rglob("*.toml"), key=lambda path: (len(path.parts), path))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


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
    recipes = shipped()
    named = recipes | {name.replace("/", "-"): path for name, path in recipes.items()}  # as runs of it are called
    if given in named:
        return named[given]
    near = difflib.get_close_matches(given.removesuffix(".toml"), recipes, n=1)
    hint = f"did you mean {near[0]}?" if near else "`fbmon recipe list` names those that fbmon ships"
    kind = "is a folder, not a recipe" if path.is_dir() else "no such recipe file, and no shipped recipe of that name"
    raise UsageError(f"{clean(given)}: {kind}", hint)


def load(path: Path, overrides: Iterable[str] = (), say: Callable[[str], None] = lambda _: None) -> Recipe:
    """Return the recipe in `path`, with `overrides` of the form "section.key=value" laid over it.

    A recipe may build on another: `extends = "other.toml"`, a path seen from its own folder, or the name of a shipped
    one. It takes over everything but the name and the target. If an override chooses another optimizer or schedule, the
    settings that the new one does not have are dropped, and `say` is called with a line about them. Raises RecipeError
    with one line per fault: file, line, key, value and the nearest right key.
    """
    table, places, wrong_bases = _with_bases(path)
    for override in overrides:
        key, value = _override(override)
        _assign(table, key, value)
        if dropped := _drop_others(table, key, value):
            say(f"--set {clean(override)}: dropped {', '.join(dropped)}, which it does not have")
        places[key] = f"--set {clean(override)}"
        places.setdefault(key.partition(".")[0], places[key])
    faults = dict.fromkeys([*wrong_bases, *_faults(table, str(path), places, is_whole=not wrong_bases)])
    if faults:
        raise RecipeError("\n".join(sorted(faults, key=line_of)))
    recipe = Recipe.model_validate(table)
    _locate_(recipe, path, places)
    return _with_own_data(recipe, path, places)


def _faults(table: Table, source: str, places: dict[str, str], *, is_whole: bool) -> list[str]:
    """Explain all that is wrong with a table. What is missing in one that is not whole may be in what it extends."""
    try:
        Recipe.model_validate(table)
    except ValidationError as error:
        errors = [fault for fault in error.errors() if is_whole or fault["type"] not in _MISSING]
    else:
        return []
    faults = [explain(fault, source, places) for fault in errors]
    for fault in errors:
        if fault["type"] == "union_tag_invalid":
            faults += _beside_choice(table, str(fault["loc"][0]), source, places)
    return faults


def _beside_choice(table: Table, section: str, source: str, places: dict[str, str]) -> list[str]:
    """Explain what is wrong with a section beside its unknown choice: by the nearest choice, else by all of them."""
    choices = sections_in(Recipe.model_fields[section].annotation)
    names = [name for choice in choices for name in get_args(choice.model_fields["name"].annotation)]
    near = difflib.get_close_matches(str(table[section]["name"]), names, n=1)
    by_choice = []
    for name in near or names:
        chosen = {**table, section: {**table[section], "name": name}}
        by_choice.append(
            [
                fault
                for fault in _faults(chosen, source, places, is_whole=False)
                if f": {section}." in fault or f" key {section}." in fault
            ]
        )
    return [fault for fault in by_choice[0] if all(fault in others for others in by_choice)]


def _with_own_data(recipe: Recipe, path: Path, places: dict[str, str]) -> Recipe:
    """Return a recipe that names its file or folder of data from the root, seen before from the file that names it."""
    if recipe.data.source not in ("npz", "folder"):
        return recipe
    origin, folder = _named_in("data.dataset", path, places)
    name, prefix = recipe.data.dataset, FOLDER if recipe.data.source == "folder" else ""
    dataset = f"{prefix}{(folder / name.removeprefix(prefix)).absolute()}"
    data = recipe.data.model_copy(update={"dataset": dataset})
    try:
        facts = facts_without_code(data)
        if facts:
            recipe.refuse_misfits(facts)
    except ValueError as error:
        raise RecipeError(f'{origin}: data.dataset = "{clean(name, 200)}": {error}') from None
    return recipe.model_copy(update={"data": data})


def _named_in(key: str, path: Path, places: dict[str, str]) -> tuple[str, Path]:
    """Return where a key stands, as `file:line`, and the folder of that file; for --set that of the recipe."""
    origin = places.get(key, str(path))
    file, _, line = origin.rpartition(":")
    return origin, Path(file).parent if line.isdecimal() else path.parent


def _locate_(recipe: Recipe, path: Path, places: dict[str, str]) -> None:
    """Note where the code of a recipe lies: as seen from the file that names it. Raises RecipeError."""
    faults = []
    for key, section in recipe.code.items():
        reference = section.reference
        if reference is None or not reference.is_file:
            continue
        origin, folder = _named_in(key, path, places)
        if wrong := sources.fault(reference, folder):
            faults.append(f'{origin}: {key} = "{clean(str(reference), 60)}": {reference.place} {wrong}')
        section.locate_(folder)
    if faults:
        raise RecipeError("\n".join(faults))


def _with_bases(path: Path, depth: int = 0) -> tuple[Table, dict[str, str], list[str]]:
    """The table of a recipe laid over that of the one it extends, `file:line` of every key, and what is wrong there.

    Raises RecipeError for a file that cannot be read or is not TOML.
    """
    text = _read(path)
    table = _parse(text, str(path))
    places = {key: f"{path}:{line}" for key, line in lines(text).items()}
    extends = table.pop("extends", None)
    if extends is None:
        return table, places, []
    fault = f"{places.get('extends', path)}: extends = {clean(str(extends), 60)}"
    try:
        if depth == _MAX_BASES:
            raise RecipeError(
                f"{fault}: one of more than {_MAX_BASES} recipes that build on each other, or on themselves"
            )
        base_table, base_places, faults = _with_bases(_base(extends, path, fault), depth + 1)
    except RecipeError as error:  # what is wrong with this file is to be told too
        return table, places, [error.message]
    inherited = {key: value for key, value in base_table.items() if key not in _OWN}
    return _overlay(inherited, table), base_places | places, faults


def _base(extends: object, path: Path, fault: str) -> Path:
    """Return the recipe that is extended: a path seen from the folder of `path`, or the name of a shipped one."""
    recipes = shipped()
    if not isinstance(extends, str):
        raise RecipeError(f"{fault}: must be the path of a .toml file or the name of a shipped recipe")
    if not extends.endswith(".toml"):
        if extends in recipes:
            return recipes[extends]
        near = difflib.get_close_matches(extends, recipes, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; `fbmon recipe list` names those that fbmon ships"
        raise RecipeError(f"{fault}: neither a .toml file nor the name of a shipped recipe{hint}")
    if not (path.parent / extends).is_file():
        raise RecipeError(f"{fault}: there is no such file")
    return path.parent / extends


def _overlay(base: Table, table: Table) -> Table:
    """Each section key by key; one with another `name`, say another schedule, as a whole."""
    merged = dict(base)
    for key, value in table.items():
        old = merged.get(key)
        is_same = (
            isinstance(old, dict) and isinstance(value, dict) and value.get("name", old.get("name")) == old.get("name")
        )
        merged[key] = old | value if is_same else value
    return merged


def dump(recipe: Recipe) -> str:
    """The whole recipe as TOML, defaults included; `load` reads it back equal."""
    return tomli_w.dumps(recipe.model_dump(exclude_none=True))


def whole(path: Path) -> str:
    """The text of a recipe; of one that extends another its opening comments, then all that it comes to."""
    text = path.read_text("utf-8", "replace")
    if "extends" not in lines(text):
        return text
    comments = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join([*comments, dump(load(path))])


def flatten(recipe: Recipe) -> dict[str, Any]:
    """The settings as `section.key` -> value, in the order of the schema."""
    flat: dict[str, Any] = {}
    for key, value in recipe.model_dump(exclude_none=True).items():
        if isinstance(value, dict):
            flat |= _flattened(key, value)
        else:
            flat[key] = value
    return flat


def _drop_others(table: Table, key: str, value: object) -> list[str]:
    """Take the settings out of a section that a choice just made by `section.name` does not have; return them."""
    section, _, last = key.partition(".")
    if key == "model.name":  # fbmon's own networks have a width, those of others arguments
        foreign = "args" if value in get_args(NetworkName) else "width"
        dropped = [foreign] if foreign in table[section] else []
    else:
        dropped = _of_other_choices(table[section], section, last, value)
    for name in dropped:
        del table[section][name]
    return [f"{section}.{name}" for name in dropped]


def _of_other_choices(table: Table, section: str, key: str, value: object) -> list[str]:
    """Return the settings of a section that other choices have, but not the one just made, if it was made."""
    choices = sections_in(Recipe.model_fields[section].annotation) if section in Recipe.model_fields else []
    if key != "name" or len(choices) < 2:
        return []
    chosen = [choice for choice in choices if value in get_args(choice.model_fields["name"].annotation)]
    others = {key for choice in choices for key in choice.model_fields}
    return [key for key in table if chosen and key in others - set(chosen[0].model_fields)]


def _flattened(prefix: str, table: Table) -> Table:
    flat: Table = {}
    for key, value in table.items():
        flat |= _flattened(f"{prefix}.{key}", value) if isinstance(value, dict) else {f"{prefix}.{key}": value}
    return flat


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise UsageError(f"{clean_path(path)}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: not TOML: not UTF-8 text") from None
    if len(raw) > _MAX_BYTES:
        raise RecipeError(f"{path}: larger than {_MAX_BYTES // 1024} KiB, so not a recipe")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _MAX_LINE:
            raise RecipeError(f"{path}:{number}: a line of more than {_MAX_LINE} characters, so not a recipe")
    return text


def _parse(text: str, source: str) -> Table:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise RecipeError(f"{source}:{error.lineno}: not TOML: {clean(error.msg)}") from None
    except (RecursionError, ValueError):  # nested 500 deep, or a number of 5,000 digits
        raise RecipeError(f"{source}: not TOML that a recipe needs") from None


def _override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"\w+(\.\w+)?|(data|model|optimizer)\.args\.\w+", key, re.ASCII):
        raise UsageError(f"--set {clean(text)}: must read section.key=value", "for example --set optimizer.lr=0.4")
    if re.search("[\ud800-\udfff]", text):  # how Python holds arguments that are not UTF-8; no file takes them
        raise UsageError(f"--set {clean(text)}: not UTF-8 text")
    if len(value) > _MAX_LINE:
        raise UsageError(f"--set {clean(text, 60)}: the value is too long")
    try:
        return key, tomli.loads(f"value = {value}")["value"]
    except (tomli.TOMLDecodeError, RecursionError, ValueError):
        return key, value.strip()  # a bare word: --set model.name=resnet18


def _assign(table: Table, key: str, value: Any) -> None:  # noqa: ANN401 - TOML values are of any type
    *sections, last = key.split(".")
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {clean(key)}: {section} is not a section", "for example --set optimizer.lr=0.4")
        table = inner
    table[last] = value
