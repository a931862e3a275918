"""Code of the user's own: a class or function of a file beside the recipe, or of an installed package."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fbmon.errors import UsageError
from fbmon.recipe.section import CodeSection
from fbmon.recipe.sources import CodeReference

_SHORT = {"torchvision": "torchvision.models"}


def load_code(reference: CodeReference, section: CodeSection) -> Callable[..., object]:
    """Return the class or function that a section of a recipe refers to; the code of its module runs here."""
    return _from_file(reference, section.folder) if reference.is_file else _from_package(reference)


@contextmanager
def naming_the_line(title: str) -> Iterator[None]:
    """Raise UsageError for whatever code of the user's own raises: what it was asked for, and where it failed."""
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{title}: {_in_one_line(error)}") from error


def _from_package(reference: CodeReference) -> Callable[..., object]:
    module = importlib.import_module(_SHORT.get(reference.place, reference.place))
    made: Callable[..., object] = getattr(module, "create_model" if reference.place == "timm" else reference.name)
    return made


def _from_file(reference: CodeReference, folder: Path) -> Callable[..., object]:
    """Run a file as a module of its own; files beside it can be imported, and nothing is written there."""
    path = folder / reference.place
    name = f"fbmon_model_{path.stem}"  # its own name may be that of a module that others need
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
        sys.path.append(str(path.parent))  # for what it imports later, behind what all others mean by a name
        sys.dont_write_bytecode = before
    made: Callable[..., object] = getattr(module, reference.name)
    return made


def _in_one_line(error: BaseException) -> str:
    """Return an error of another's code in one line, with the line in which it was raised if that is theirs."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    origin = "" if last.filename == __file__ else f" ({Path(last.filename).name}:{last.lineno})"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{origin}"
