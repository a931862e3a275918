"""The state of an optimizer, whatever it is made of, as named tensors, and back.

Torch's own optimizers remember tensors for each parameter: `optimizer.KEY.PARAMETER`. Others remember lists of tensors,
of which the item comes after a slash, `optimizer.KEY/1.PARAMETER`, and plain values, kept as JSON in a tensor of bytes,
`optimizer.KEY:plain.PARAMETER`. What they note in a group of parameters beside their settings, as the number of steps,
is kept likewise: `groups.KEY:plain.0`.

The memory layout of a tensor decides about last bits of the products made with it, so it comes back too: that of the
weights where it is shaped like them, and its own, `optimizer.KEY:strides.PARAMETER`, where it is another one.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_ON_HOST = ("step", "mu_product")  # where torch keeps its counts, so that no step waits for the device
_PLAIN, _STRIDES = ":plain", ":strides"


def named_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Yield all that an optimizer remembers from step to step."""
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            for path, tensor in _flattened(key, value, parameter):
                yield f"optimizer.{path}.{name}", tensor
    for number, group in enumerate(optimizer.param_groups):
        for key in group.keys() - optimizer.defaults.keys() - {"params"}:
            yield f"groups.{key}{_PLAIN}.{number}", _as_bytes(group[key])


def make_room_(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give a new optimizer the state that `tensors` hold. Raises ValueError for what is not to be read."""
    parameters = dict(model.named_parameters())
    entries: dict[tuple[str, str], dict[str, Tensor]] = defaultdict(dict)
    for name, saved in tensors.items():
        kind, _, rest = name.partition(".")
        path, _, owner = rest.partition(".")
        if kind == "optimizer" and owner in parameters:
            entries[owner, path.partition("/")[0].partition(":")[0]][path] = saved
        elif kind == "groups":
            optimizer.param_groups[int(owner)][path.removesuffix(_PLAIN)] = _from_bytes(saved)
    for (owner, key), paths in entries.items():
        optimizer.state[parameters[owner]][key] = _whole(key, paths, parameters[owner])


def _flattened(path: str, value: Any, parameter: Tensor) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401 - of any kind
    if isinstance(value, Tensor):
        yield path, value
        if _strides(value) != _strides(_room(path, value, parameter)):
            yield path + _STRIDES, torch.tensor(value.stride())
    elif isinstance(value, list) and value and not _is_plain(value):
        for number, item in enumerate(value):
            yield from _flattened(f"{path}/{number}", item, parameter)
    else:
        yield path + _PLAIN, _as_bytes(value)


def _whole(path: str, paths: Mapping[str, Tensor], parameter: Tensor) -> Any:  # noqa: ANN401 - of any kind
    """Return the value at a path, put together again."""
    if path + _PLAIN in paths:
        return _from_bytes(paths[path + _PLAIN])
    if path not in paths:
        inner = {
            name.removeprefix(f"{path}/").partition("/")[0].partition(":")[0]
            for name in paths
            if name.startswith(f"{path}/")
        }
        return [_whole(f"{path}/{number}", paths, parameter) for number in range(len(inner))]
    saved = paths[path]
    room = _room(path, saved, parameter)
    if path + _STRIDES in paths:
        room = torch.empty_strided(saved.shape, paths[path + _STRIDES].tolist(), dtype=room.dtype, device=room.device)
    return room.copy_(saved)


def _room(path: str, value: Tensor, parameter: Tensor) -> Tensor:
    """Return memory for a tensor, in the layout of the weights if it is shaped like them, for speed."""
    if path in _ON_HOST:
        return torch.empty(value.shape, dtype=value.dtype)
    layout = parameter if value.shape == parameter.shape else torch.empty(value.shape, device="meta")
    return torch.empty_like(layout, dtype=value.dtype, device=parameter.device)


def _strides(tensor: Tensor) -> list[int]:
    """Return the strides of a tensor where they mean something: not along a single entry."""
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def _is_plain(value: object) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, list) else not isinstance(value, Tensor)


def _as_bytes(value: object) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _from_bytes(content: Tensor) -> Any:  # noqa: ANN401 - of any kind
    return json.loads(content.numpy().tobytes())
