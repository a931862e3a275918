"""Networks of others: made by a class or function of a file beside the recipe, or of an installed package."""

import copy
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fbmon.errors import UsageError
from fbmon.recipe import Model
from fbmon.recipe.sources import CodeReference
from fbmon.text import clean
from fbmon.train.mean.statistics import batch_norms

_SHORT = {"torchvision": "torchvision.models"}
_MOMENTUM = 0.1  # of every batch norm's running statistics here
# What an argument of one of these names is given if the recipe does not give it.
_CLASSES = ("classes", "num_classes", "n_classes")
_CHANNELS = ("channels", "in_channels", "in_chans")
_SIDE = ("side", "size", "img_size", "image_size")
_IMAGES = 2  # of the trial: batch norm needs more than one


def load_network(reference: CodeReference, section: Model, channels: int, classes: int, side: int) -> nn.Module:
    """Make the network that a recipe refers to; the user's own code runs here.

    Raises UsageError, naming the line at fault, if there is no such thing, if it cannot be made or does not return
    logits (B, classes), and if it is something on which the promises of a training do not hold.
    """
    title = f'model.name = "{clean(section.name, 100)}"'
    try:
        factory = _from_file(reference, section.folder) if reference.is_file else _from_package(reference)
        of_images = dict.fromkeys(_CLASSES, classes) | dict.fromkeys(_CHANNELS, channels) | dict.fromkeys(_SIDE, side)
        network = _call(factory, reference, section.args or {}, of_images)
        if not isinstance(network, nn.Module):
            raise UsageError(f"{title}: made a {type(network).__name__}, not a torch.nn.Module")
        _try(network, title, (channels, side, side), classes)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # whatever another's code raises
        raise UsageError(f"{title}: {_told(error)}") from error
    return network


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


def _call(
    factory: Callable[..., object], reference: CodeReference, arguments: dict[str, Any], of_images: dict[str, int]
) -> object:
    """Call with the recipe's arguments, and those of the images for which the factory has parameters."""
    if reference.place == "timm":
        return factory(
            reference.name, **{"num_classes": of_images["num_classes"], "in_chans": of_images["in_chans"], **arguments}
        )
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    given = {name: value for name, value in of_images.items() if name in parameters}
    if takes_any and reference.place.startswith("torchvision"):
        given["num_classes"] = of_images["num_classes"]
    return factory(**(given | arguments))


def _try(network: nn.Module, title: str, shape: tuple[int, int, int], classes: int) -> None:
    """Let two black images through and look at what comes out. Raises UsageError."""
    if not any(True for _ in network.parameters()):
        raise UsageError(f"{title}: has no parameters")
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    if frozen:
        raise UsageError(f"{title}: {frozen[0]} does not require a gradient; every parameter is trained here")
    if any(norm.momentum != _MOMENTUM for norm in batch_norms(network)):
        raise UsageError(f"{title}: has a batch norm whose momentum is not {_MOMENTUM}")
    with torch.no_grad():
        logits = copy.deepcopy(network).eval()(torch.zeros(_IMAGES, *shape))
        _refuse_state(network, title, shape)
    returned = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if returned != (_IMAGES, classes):
        raise UsageError(
            f"{title}: returned {returned} for {_IMAGES} images of {shape}, not logits ({_IMAGES}, {classes})"
        )


def _refuse_state(network: nn.Module, title: str, shape: tuple[int, int, int]) -> None:
    """Raise UsageError for a network that remembers something from pass to pass, which blocks on many ranks cannot."""
    twin = copy.deepcopy(network).train()
    twin(torch.zeros(_IMAGES, *shape))
    of_norms = {id(buffer) for norm in batch_norms(twin) for buffer in norm.buffers()}
    for (name, before), after in zip(network.named_buffers(), twin.buffers(), strict=True):
        if id(after) not in of_norms and not torch.equal(before, after):
            raise UsageError(f"{title}: {name} changes from pass to pass, and is not batch norm's")


def _told(error: BaseException) -> str:
    """Return an error of another's code in one line, with the line in which it was raised if that is theirs."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    origin = "" if last.filename == __file__ else f" ({Path(last.filename).name}:{last.lineno})"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{origin}"
