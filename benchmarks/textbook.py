"""The loop that a textbook has for a full-batch step: block after block, eager, gradients added up in `.grad`."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fbmon.recipe import Penalty, Recipe, Sam
from fbmon.train.data.data import DataSet
from fbmon.train.models import make_model


class Textbook:
    """One full-batch step a call, over the blocks that `blocks` gives, without anything that fbmon does to be fast."""

    def __init__(
        self, recipe: Recipe, data: DataSet, device: torch.device, blocks: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.model: nn.Module = make_model(recipe.model, data.form).to(device)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
        self._device = device
        if isinstance(recipe.penalty, Sam):
            raise TypeError("the textbook's loop has the gradient norm's penalty alone")
        self._penalty = recipe.penalty
        self._clip = recipe.clip.norm if recipe.clip else None
        self._blocks = blocks

    def step(self) -> float:
        """The mean loss; the device has done all when this returns."""
        self.model.train()
        self._optimizer.zero_grad()
        losses = []
        for inputs, labels in self._blocks():
            losses.append(self._add(inputs.to(self._device), labels.to(self._device)))
        parameters = list(self.model.parameters())
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad /= len(losses)
        if self._clip:
            torch.nn.utils.clip_grad_norm_(parameters, self._clip)
        self._optimizer.step()
        return torch.stack(losses).mean().item()

    def _add(self, inputs: Tensor, labels: Tensor) -> Tensor:
        if self._penalty is None:
            loss = cross_entropy(self.model(inputs), labels)
            torch.autograd.backward(loss)
            return loss.detach()
        parameters = list(self.model.parameters())
        loss = cross_entropy(self.model(inputs), labels)
        plain = torch.autograd.grad(loss, parameters)
        for parameter, part in zip(parameters, self._penalized(inputs, labels, plain, self._penalty), strict=True):
            parameter.grad = part if parameter.grad is None else parameter.grad + part
        return loss.detach()

    def _penalized(self, inputs: Tensor, labels: Tensor, plain: Sequence[Tensor], penalty: Penalty) -> list[Tensor]:
        """The forward difference of the paper's code, parameter by parameter."""
        parameters = list(self.model.parameters())
        reach = penalty.epsilon / torch.stack([part.norm() for part in plain]).norm().clamp_min(1e-12)
        with torch.no_grad():
            for parameter, part in zip(parameters, plain, strict=True):
                parameter.add_(reach * part)
        ahead = torch.autograd.grad(cross_entropy(self.model(inputs), labels), parameters)
        with torch.no_grad():
            for parameter, part in zip(parameters, plain, strict=True):
                parameter.sub_(reach * part)
        factor = penalty.strength * 1e-3 / 4 / reach
        return [part + factor * (after - part) for part, after in zip(plain, ahead, strict=True)]


def from_loader(data: DataSet, block: int, count: int, workers: int) -> Callable[[], Iterable[tuple[Tensor, Tensor]]]:
    """Blocks as torchvision makes them on the CPU: image by image, random crop and flip, by a DataLoader's workers."""
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import v2

    transform = v2.Compose([
        v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(data.facts.mean, data.facts.std),
    ])  # fmt: skip
    pictures, labels = data.train.inputs[:].cpu(), data.train.targets.cpu()

    class Pictures(Dataset[tuple[Tensor, Tensor]]):
        def __len__(self) -> int:
            return min(block * count, len(labels))

        def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
            return transform(pictures[number]), labels[number]

    loader = DataLoader(
        Pictures(), block, num_workers=workers, drop_last=True, pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )  # fmt: skip
    return lambda: loader


def from_memory(data: DataSet, block: int, count: int) -> Callable[[], Iterable[tuple[Tensor, Tensor]]]:
    """Blocks that are ready before the clock starts."""
    pictures = data.prepare(data.train.inputs[: block * count], torch.float32)
    made = list(zip(torch.split(pictures, block), torch.split(data.train.targets[: block * count], block), strict=True))
    return lambda: made
