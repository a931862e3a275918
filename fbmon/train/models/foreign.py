"""Networks of others: made by a class or function of a file beside the recipe, or of an installed package."""

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fbmon.errors import UsageError
from fbmon.recipe import Model
from fbmon.recipe.data_sets import Form
from fbmon.recipe.sources import CodeReference
from fbmon.text import clean
from fbmon.train.foreign import load_code, naming_the_line
from fbmon.train.mean.statistics import batch_norms

_MOMENTUM = 0.1  # of every batch norm's running statistics here
# What an argument of one of these names is given if the recipe does not give it.
_OUTPUTS = ("classes", "num_classes", "n_classes", "outputs", "num_outputs", "out_features")
_CHANNELS = ("channels", "in_channels", "in_chans")
_SIDE = ("side", "size", "img_size", "image_size")
_FEATURES = ("features", "in_features", "num_features")
_VOCABULARY = ("vocabulary", "vocab_size", "num_tokens", "num_embeddings")
_LENGTH = ("length", "seq_len", "max_len", "block_size", "context_length")
_SAMPLES = 2  # of the trial: batch norm needs more than one


def load_network(reference: CodeReference, section: Model, form: Form) -> nn.Module:
    """Make the network that a recipe refers to, for samples of a form; the user's own code runs here.

    Raises UsageError, naming the line at fault, if there is no such thing, if it cannot be made or does not return
    logits (B, classes, ...) where the targets are classes, and if it is something on which the promises of a training
    do not hold.
    """
    title = f'model.name = "{clean(section.name, 100)}"'
    with naming_the_line(title):
        network = _call(_factory(reference, section), reference, section.args or {}, _known_of(form))
        if not isinstance(network, nn.Module):
            raise UsageError(f"{title}: made a {type(network).__name__}, not a torch.nn.Module")
        _try(network, title, form)
    return network


def _factory(reference: CodeReference, section: Model) -> Callable[..., object]:
    is_timm = reference.place == "timm"
    return load_code(reference._replace(name="create_model") if is_timm else reference, section)


def _known_of(form: Form) -> dict[str, object]:
    """Return what is known of samples by all names that a factory may give to it."""
    known: dict[str, object] = dict.fromkeys(_OUTPUTS, form.classes or math.prod(form.target))
    if form.kind == "tokens":
        known |= dict.fromkeys(_VOCABULARY, form.vocabulary) | dict.fromkeys(_LENGTH, form.shape[0])
    else:
        known |= dict.fromkeys(_FEATURES, form.features)
    if form.is_picture:
        channels, height, width = form.shape
        known |= dict.fromkeys(_CHANNELS, channels)
        known |= dict.fromkeys(_SIDE, height if height == width else (height, width))
    return known


def _call(
    factory: Callable[..., object], reference: CodeReference, arguments: dict[str, Any], known: dict[str, object]
) -> object:
    """Call with the recipe's arguments, and what is known of the samples for which the factory has parameters."""
    if reference.place == "timm":
        of_images = {name: known[name] for name in ("num_classes", "in_chans") if name in known}
        return factory(reference.name, **of_images | arguments)
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    given = {name: value for name, value in known.items() if name in parameters}
    if takes_any and reference.place.startswith("torchvision"):
        given["num_classes"] = known["num_classes"]
    return factory(**(given | arguments))


def _try(network: nn.Module, title: str, form: Form) -> None:
    """Let two samples of zeros through and look at what comes out. Raises UsageError."""
    if not any(True for _ in network.parameters()):
        raise UsageError(f"{title}: has no parameters")
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    if frozen:
        raise UsageError(f"{title}: {frozen[0]} does not require a gradient; every parameter is trained here")
    if any(norm.momentum != _MOMENTUM for norm in batch_norms(network)):
        raise UsageError(f"{title}: has a batch norm whose momentum is not {_MOMENTUM}")
    with torch.no_grad():
        output = copy.deepcopy(network).eval()(zeros(form, _SAMPLES))
        _refuse_state(network, title, form)
    returned = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    promised = (_SAMPLES, *form.output)
    if form.classes is None:
        if not isinstance(output, Tensor) or not output.dim() or len(output) != _SAMPLES:
            raise UsageError(f"{title}: returned {returned} for {_SAMPLES} samples, not a tensor ({_SAMPLES}, ...)")
    elif returned != promised:
        are_last = isinstance(output, Tensor) and form.target and returned == (_SAMPLES, *form.target, form.classes)
        raise UsageError(
            f"{title}: returned {returned} for {_SAMPLES} times {form}, not logits {promised}",
            "put the classes second, as torch's cross_entropy has them: logits.movedim(-1, 1)" if are_last else "",
        )


def zeros(form: Form, samples: int, device: torch.device | None = None) -> Tensor:
    """Return network input of zeros: tokens int64, all else float32."""
    dtype = torch.int64 if form.kind == "tokens" else torch.float32
    return torch.zeros(samples, *form.shape, dtype=dtype, device=device)


def _refuse_state(network: nn.Module, title: str, form: Form) -> None:
    """Raise UsageError for a network that remembers something from pass to pass, which blocks on many ranks cannot."""
    twin = copy.deepcopy(network).train()
    twin(zeros(form, _SAMPLES))
    of_norms = {id(buffer) for norm in batch_norms(twin) for buffer in norm.buffers()}
    for (name, before), after in zip(network.named_buffers(), twin.buffers(), strict=True):
        if id(after) not in of_norms and not torch.equal(before, after):
            raise UsageError(f"{title}: {name} changes from pass to pass, and is not batch norm's")
