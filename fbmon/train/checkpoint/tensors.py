"""The learnt state of a run as named tensors in one sequence of bytes, and back."""

from collections.abc import Iterator
from dataclasses import dataclass

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from fbmon.errors import DataError, UsageError
from fbmon.text import clean
from fbmon.train.average import Average
from fbmon.train.checkpoint.optimizer import make_room_, named_state
from fbmon.train.descent import Descent

_MODEL = "model."


@dataclass(frozen=True)
class Learnt:
    """The parts of a run that change from step to step."""

    model: nn.Module
    average: Average
    descent: Descent

    def dump(self) -> bytes | None:
        """Return the bytes of a safetensors file; None if a number in it is not finite."""
        tensors = dict(self._named())
        if not _are_finite(list(tensors.values())):
            return None
        return safetensors.torch.save({name: value.cpu().contiguous() for name, value in tensors.items()})

    def load_(self, content: bytes) -> None:
        """Restore every tensor from `dump`. Raises DataError if they are those of another model or optimizer."""
        try:
            tensors = safetensors.torch.load(content)
            make_room_(self.model, self.descent.optimizer, tensors)
            _refuse_others(dict(self._named()), tensors)
            with torch.no_grad():
                for name, value in self._named():
                    value.copy_(tensors[name])
        except (SafetensorError, ValueError) as error:
            raise DataError(f"not a readable checkpoint: {error}") from None

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in self.model.state_dict().items():
            yield f"{_MODEL}{name}", value
        if self.average.model is not self.model:
            for name, value in self.average.model.state_dict().items():
                yield f"average.{name}", value
        yield from named_state(self.model, self.descent.optimizer)
        for name, value in self.descent.units().items():
            yield f"units.{name}", value


def load_weights_(model: nn.Module, content: bytes) -> None:
    """Set a network's weights and buffers to those of another run's checkpoint, from `Learnt.dump`.

    Raises UsageError with the first that does not fit.
    """
    tensors = safetensors.torch.load(content)
    others = {name.removeprefix(_MODEL): value for name, value in tensors.items() if name.startswith(_MODEL)}
    own = model.state_dict()
    for name in own | others:
        here, there = (None if tensors is None else _kind(tensors) for tensors in (own.get(name), others.get(name)))
        if here != there:
            said = f"{clean(name)} is {there or 'missing'} there and {here or 'missing'} here"
            raise UsageError(f"--from: the weights are those of another network: {said}")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(others[name])


def _refuse_others(own: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    """Raise DataError for a missing or extra tensor, or another shape or dtype: copying would convert it."""
    for name in own | others:
        here, there = (_kind(tensors.get(name)) for tensors in (own, others))
        if here != there:
            raise DataError(f"the checkpoint of another model: {clean(name)} is {there} in it and {here} here")


def _kind(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _are_finite(tensors: list[Tensor]) -> bool:
    finite = [value.isfinite().all() for value in tensors if value.is_floating_point() and value.numel()]
    on_device = [flag for flag in finite if flag.device.type != "cpu"]
    together = torch.stack(on_device).all().item() if on_device else True  # a single read from the device
    return bool(together) and all(bool(flag) for flag in finite if flag.device.type == "cpu")
