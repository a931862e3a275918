"""Optimizers that look for each step: at the loss and its gradient wherever they like, each look a pass over the data.

A look sees the loss of all images at the weights as they are just then, so it is a pure function of the weights, with
the same bits on any number of ranks, and every rank takes the same turns. The look that a step ends with is the one
that the next begins with: it is part of the optimizer's state, and of every checkpoint. Batch norm's running statistics
are those of accepted looks alone, as if the others had not been.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from fbmon.recipe import GradientDescent, Lbfgs, LineSearch
from fbmon.train.measure import Measures, norm_of
from fbmon.train.objective.regularize import Gradient

_KEPT_GRADIENT, _KEPT_MEASURES = "kept_gradient", "kept_measures"


class Backtracking(torch.optim.Optimizer):
    """Gradient descent by the longest learning rate of a falling series with which the loss falls enough.

    That is L(θ - τ g) <= L(θ) - c τ ‖g‖² (Armijo 1966), with c the recipe's `decrease`.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], section: GradientDescent) -> None:
        super().__init__(parameters, {"lr": section.lr})
        self._section = section
        self._parameters = parameters

    @torch.no_grad()
    def step(self, closure: Callable[[], float]) -> float:  # type: ignore[override]
        """Take a step, or none; the first call of `closure` is for the weights as they are."""
        closure = torch.enable_grad()(closure)
        section, state = self._section, self.state[self._parameters[0]]
        loss = closure()
        gradient = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        slope = norm_of(gradient).item() ** 2
        begin = [parameter.clone() for parameter in self._parameters]
        rate = state.get("next_rate", section.lr)
        for _ in range(section.trials):
            torch._foreach_copy_(list(self._parameters), begin)
            torch._foreach_add_(list(self._parameters), gradient, alpha=-rate)
            if closure() <= loss - section.decrease * rate * slope:  # not so a loss that is not a number
                state["t"], state["next_rate"] = rate, rate * section.grow
                return loss
            rate *= section.shrink
        torch._foreach_copy_(list(self._parameters), begin)
        state["t"], state["next_rate"] = 0.0, rate
        return loss


def make_searching(parameters: Sequence[nn.Parameter], section: LineSearch) -> torch.optim.Optimizer:
    """Make an optimizer whose `step` takes a closure."""
    match section:
        case GradientDescent():
            return Backtracking(parameters, section)
        case Lbfgs():
            return torch.optim.LBFGS(
                parameters,
                lr=section.lr,
                max_iter=1,
                max_eval=section.trials,
                history_size=section.history,
                line_search_fn="strong_wolfe",
            )


@dataclass(frozen=True)
class _Look:
    weights: list[Tensor]
    statistics: list[Tensor]  # batch norm's, after the pass
    gradient: Gradient  # without weight decay
    measures: Measures

    def is_at(self, weights: Sequence[Tensor]) -> bool:
        return all(torch.equal(own, other) for own, other in zip(self.weights, weights, strict=True))


class Search:
    """The looks of an optimizer that searches; the accepted one is kept among that optimizer's state."""

    def __init__(self, optimizer: torch.optim.Optimizer, model: nn.Module, section: LineSearch) -> None:
        self.looks = 0  # that the last step has made
        self._optimizer = optimizer
        self._parameters = list(model.parameters())
        self._buffers = list(model.buffers())  # in which `RunningStatistics` has put its own before
        self._decay = section.weight_decay
        self._decayed = [section.decay_on == "all" or parameter.dim() > 1 for parameter in self._parameters]

    @property
    def passes(self) -> int:
        """The number of looks so far."""
        return int(self._state.get("passes", 0))

    @property
    def rate(self) -> float:
        """The learning rate of the last step, for L-BFGS how far along its direction it went; 0 if it went nowhere."""
        return float(self._state.get("rate", 0.0))

    def step_(self, look: Callable[[bool], tuple[Gradient, Measures]]) -> Measures:
        """Take a step; return the measures at the weights from which it was taken.

        `look` makes a pass at the present weights; it is told whether what it measures must be finite.
        """
        self.looks = 0
        must_be_finite = not isinstance(self._optimizer, Backtracking)  # for which infinity is no fall of the loss
        first = self._kept() or self._seen(look(True))
        looks: list[_Look] = []

        def closure() -> float:
            if looks:
                self._put_statistics_(first)
                looks.append(self._seen(look(must_be_finite)))
                looks[1:-1] = [min(looks[1:-1], key=self._loss)] if looks[1:-1] else []
            else:
                looks.append(first)
            for parameter, part in zip(self._parameters, self._gradient(looks[-1]), strict=True):
                parameter.grad = part
            return self._loss(looks[-1])

        self._optimizer.step(closure)
        accepted = next((seen for seen in reversed(looks) if seen.is_at(self._parameters)), None)
        self._put_statistics_(accepted or first)
        self._keep_(accepted)
        self._state["rate"] = 0.0 if accepted is first else float(self._state["t"])
        for parameter, part in zip(self._parameters, first.gradient, strict=True):
            parameter.grad = part
        return first.measures

    @property
    def _state(self) -> dict[str, Any]:
        """The state of the search, beside that of torch's L-BFGS."""
        state: dict[str, Any] = self._optimizer.state[self._parameters[0]]
        return state

    def _seen(self, result: tuple[Gradient, Measures]) -> _Look:
        self.looks += 1
        self._state["passes"] = self.passes + 1
        return _Look(_copies(self._parameters), _copies(self._buffers), *result)

    def _loss(self, seen: _Look) -> float:
        return seen.measures.loss + self._decay / 2 * seen.measures.decayed_norm**2

    def _gradient(self, seen: _Look) -> Gradient:
        """Return the gradient with that of weight decay, each part contiguous, as torch's L-BFGS wants it."""
        whole = [
            part.add(weight, alpha=self._decay) if self._decay and is_decayed else part
            for part, weight, is_decayed in zip(seen.gradient, seen.weights, self._decayed, strict=True)
        ]
        return [part.contiguous() for part in whole]

    def _put_statistics_(self, seen: _Look) -> None:
        if self._buffers:
            torch._foreach_copy_(self._buffers, seen.statistics)

    def _keep_(self, accepted: _Look | None) -> None:
        """Keep the accepted look for the next step; none if the search has ended where it looked long before."""
        if accepted is None:
            self._state.pop(_KEPT_MEASURES, None)
        else:
            self._state[_KEPT_MEASURES] = _packed(accepted.measures)
        for number, parameter in enumerate(self._parameters):
            if accepted is None:
                self._optimizer.state[parameter].pop(_KEPT_GRADIENT, None)
            else:
                self._optimizer.state[parameter][_KEPT_GRADIENT] = accepted.gradient[number]

    def _kept(self) -> _Look | None:
        if _KEPT_MEASURES not in self._state:
            return None
        gradient = [self._optimizer.state[parameter][_KEPT_GRADIENT] for parameter in self._parameters]
        measures = _unpacked(self._state[_KEPT_MEASURES])
        return _Look(_copies(self._parameters), _copies(self._buffers), gradient, measures)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def _packed(measures: Measures) -> list[float]:
    """Return measures as numbers, the norms of the blocks last."""
    numbers = [getattr(measures, field.name) for field in fields(Measures) if field.name != "block_norms"]
    return [*numbers, *measures.block_norms]


def _unpacked(numbers: Sequence[float]) -> Measures:
    names = [field.name for field in fields(Measures) if field.name != "block_norms"]
    return Measures(**dict(zip(names, numbers, strict=False)), block_norms=tuple(numbers[len(names) :]))  # type: ignore[arg-type]
