"""Answers to probes: the loss of a trained network at moved weights, which are put back afterwards."""

import math
from dataclasses import replace
from functools import cache
from typing import assert_never

import torch

from fbmon.analysis import Answer, Ascent, Point, Probe, Radius, Setting
from fbmon.analysis.worker.direction import move_, random_direction, straight_line
from fbmon.analysis.worker.weights import Tensors, Trained, read_weights
from fbmon.run import as_path
from fbmon.train.evaluate import evaluate
from fbmon.train.hardware.precision import autocast, logits_of
from fbmon.train.mean.mean import weights as shares_of
from fbmon.train.mean.statistics import RunningStatistics
from fbmon.train.measure import norm_of
from fbmon.train.objective.loss import make_objective
from fbmon.train.objective.regularize import gradient_of
from fbmon.train.randomness import seed_block_

FARTHEST = 4.0  # a radius is not looked for beyond
_STRIDE = 0.1  # of the search outwards: the loss may have a wall, and fall behind it
_HALVINGS = 7  # of the stride that the loss is passed in: to 0.0008


class Landscape:
    """A trained network in one setting, to be probed."""

    def __init__(self, trained: Trained, setting: Setting) -> None:
        self._trained = trained
        self._setting = setting
        self._model = trained.model
        self._objective = make_objective(trained.recipe.loss)
        self._data = trained.data
        if setting.data == "train":  # not augmented, so that every look is at the same images
            self._data = replace(trained.data, val=trained.data.train)
        self._direction = cache(self._make_direction)
        self._statistics = RunningStatistics(self._model, "mean") if setting.statistics == "fresh" else None

    def answer(self, probe: Probe) -> Answer:
        """Answer a probe; the weights are the trained ones again afterwards."""
        try:
            match probe:
                case Point(directions=directions, at=at):
                    return Answer(probe, self._at([self._direction(number) for number in directions], at))
                case Radius(direction=number, threshold=threshold):
                    return Answer(probe, {"radius": self._radius(self._direction(number), threshold)})
                case Ascent(rho=rho):
                    return Answer(probe, self._at([self._uphill()], (rho,)))
                case _:
                    assert_never(probe)
        finally:
            self._move([], ())

    def _at(self, directions: list[Tensors], at: tuple[float, ...]) -> dict[str, float | None]:
        """Return the mean loss, None if it is not finite, and accuracy at the moved weights."""
        self._move(directions, at)
        if self._statistics:
            self._renew(self._statistics)
        with autocast(self._trained.recipe.precision, self._trained.device):
            values = evaluate(self._model, self._data, self._objective)
        loss = values["val_loss"]
        return {"loss": loss if math.isfinite(loss) else None, "accuracy": values.get("val_accuracy")}

    def _radius(self, direction: Tensors, threshold: float) -> float:
        """Return the reach up to which the loss is low, as seen in steps of `_STRIDE`; just beyond it is high."""
        near = 0.0
        while near < FARTHEST and self._is_low(direction, near, threshold):
            near += _STRIDE
        if near in (0.0, FARTHEST) or near > FARTHEST:
            return min(near, FARTHEST)
        near, far = near - _STRIDE, near
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            near, far = (middle, far) if self._is_low(direction, middle, threshold) else (near, middle)
        return near

    def _is_low(self, direction: Tensors, reach: float, threshold: float) -> bool:
        loss = self._at([direction], (reach,))["loss"]
        return loss is not None and loss <= threshold

    def _uphill(self) -> Tensors:
        """Return the gradient over all images in evaluation mode, scaled to length 1: the steepest way up.

        It is computed in the run's precision and with the setting's statistics, which are held fixed, fresh ones too.
        """
        self._move([], ())
        precision = self._trained.recipe.precision
        if self._statistics:
            self._renew(self._statistics)
        data, parameters = self._data, dict(self._model.named_parameters())
        total = {name: torch.zeros_like(parameter, dtype=torch.float64) for name, parameter in parameters.items()}
        dtype = next(iter(parameters.values())).dtype
        self._model.eval()
        for numbers in data.val.split(500):
            inputs, targets = data.read(data.val, numbers, dtype)
            loss = self._objective.total(logits_of(self._model, inputs, precision), targets)
            for name, gradient in zip(parameters, gradient_of(loss, list(parameters.values())), strict=True):
                total[name] += gradient
        length = norm_of(list(total.values())).clamp_min(torch.finfo(torch.float64).tiny)
        return {name: (part / length).to(dtype) for name, part in total.items()}

    @torch.no_grad()
    def _renew(self, statistics: RunningStatistics) -> None:
        """Set batch norm's statistics to the mean over the training blocks at the present weights."""
        recipe, data = self._trained.recipe, self._trained.data
        parts = data.train.split(recipe.gradient.block)
        statistics.start(shares_of("exact", [len(part) for part in parts]), 1)
        self._model.train()
        for numbers in parts:
            statistics.next_block(join=lambda: None)
            if recipe.model.reference:  # another's may be random, and each look at it is the same
                seed_block_(recipe.seed, 0, numbers)
            inputs, _ = data.read(data.train, numbers, next(self._model.parameters()).dtype)
            logits_of(self._model, inputs, recipe.precision)
            statistics.take()
        statistics.finish()

    def _move(self, directions: list[Tensors], at: tuple[float, ...]) -> None:
        move_(self._model.state_dict(), self._trained.weights, directions, at)

    def _make_direction(self, number: int) -> Tensors:
        if self._setting.towards:
            return straight_line(self._trained.weights, read_weights(as_path(self._setting.towards), self._model))
        return random_direction(self._trained.weights, self._setting.seed, number)
