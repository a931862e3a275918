"""Code that a recipe names: a file beside it, something of an installed package; found and read here, never run."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

_FORM = re.compile(r"(?P<place>[^:]+):(?P<name>[A-Za-z_]\w*)", re.ASCII)


class CodeReference(NamedTuple):
    """A class or function by its `name` in a file (a path that ends with .py) or a package or module."""

    place: str
    name: str

    @property
    def is_file(self) -> bool:
        return self.place.endswith(".py")

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"


def parse(text: str) -> CodeReference | None:
    """Return what `text` refers to: FILE.py:NAME or PACKAGE.MODULE:NAME; None if it has another form."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    reference = CodeReference(match["place"], match["name"])
    is_module = all(part.isidentifier() for part in reference.place.split("."))
    return reference if reference.is_file or is_module else None


def fault(reference: CodeReference, folder: Path) -> str:
    """Return what is wrong with a file that is looked for in `folder`; empty if it is there and defines the name."""
    path = folder / reference.place
    if Path(reference.place).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        return "must lie beside the recipe or below it"
    try:
        module = ast.parse(path.read_bytes())
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (SyntaxError, ValueError) as error:
        return f"is no Python: {error}"
    names = _defined(module)
    if reference.name not in names:
        return f"defines no {reference.name}" + (f", but {', '.join(names[:8])}" if names else "")
    return ""


def closure(reference: CodeReference, folder: Path) -> dict[str, bytes]:
    """Return the file referred to and those beside it that it imports, by their paths as seen from `folder`."""
    files: dict[str, bytes] = {}
    waiting = [folder / reference.place]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(folder).as_posix()
        if name not in files:
            files[name] = path.read_bytes()
            waiting += _imported(files[name], (folder / reference.place).parent)
    return files


def _defined(module: ast.Module) -> list[str]:
    names: list[str] = []
    for node in module.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.append(name)
            case ast.Assign(targets=targets):
                names += [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names += [alias.asname or alias.name for alias in aliases]
            case _:
                pass
    return names


def _imported(source: bytes, folder: Path) -> list[Path]:
    """Return the files in `folder` that a module imports, as Python would find them there."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                modules += [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module), level=0, names=aliases):
                modules += [module, *(f"{module}.{alias.name}" for alias in aliases)]
            case _:
                pass
    paths: dict[Path, None] = {}
    for module in modules:
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            inner = folder.joinpath(*parts[:end])
            paths |= dict.fromkeys(path for path in (inner.with_suffix(".py"), inner / "__init__.py") if path.is_file())
    return list(paths)
