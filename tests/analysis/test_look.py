"""What is seen around a minimum: directions, points and radii, against what is known in closed form."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from fbmon.analysis import Ascent, Point, Radius, Setting
from fbmon.analysis.worker.direction import random_direction
from fbmon.analysis.worker.look import FARTHEST, Landscape
from fbmon.analysis.worker.weights import Tensors, Trained, load_trained
from fbmon.run import RunFolder, checkpoint
from fbmon.run.checkpoints import path_of

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = Point((0,), (0.0,))


def test_every_filter_of_a_random_direction_is_as_long_as_the_weights_own_and_nothing_else_moves(
    trained: RunFolder,
) -> None:
    weights = load_trained(trained, 40, "cpu").weights
    direction = random_direction(weights, 0, 0)
    assert set(direction) == {name for name, weight in weights.items() if weight.dim() > 1}
    assert 0 < len(direction) < len(weights)
    for name, part in direction.items():
        torch.testing.assert_close(part.flatten(1).norm(dim=1), weights[name].flatten(1).norm(dim=1))
        cosine = (part * weights[name]).sum() / part.norm() / weights[name].norm()
        assert abs(cosine) < 0.5
    same, other, seeded = (random_direction(weights, *which)["fc.weight"] for which in ((0, 0), (0, 1), (1, 0)))
    assert torch.equal(same, direction["fc.weight"])
    assert not torch.equal(other, same)
    assert not torch.equal(seeded, same)


def test_a_point_is_the_loss_and_accuracy_of_the_moved_weights_and_leaves_the_network_as_it_was(
    trained: RunFolder,
) -> None:
    found = load_trained(trained, 40, "cpu")
    look = Landscape(found, Setting(40))
    answer = look.answer(Point((0, 3), (0.5, -0.25))).values

    directions = [random_direction(found.weights, 0, number) for number in (0, 3)]
    moved = {
        name: weight + 0.5 * directions[0][name] - 0.25 * directions[1][name] if name in directions[0] else weight
        for name, weight in found.weights.items()
    }
    images = found.data.prepare(found.data.train.inputs[:], torch.float32)
    with torch.no_grad():
        logits = torch.func.functional_call(found.model.eval(), moved, images)
    labels = found.data.train.targets
    assert answer["loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-5)
    assert answer["accuracy"] == (logits.argmax(1) == labels).double().mean().item()
    assert all(torch.equal(value, found.weights[name]) for name, value in found.model.state_dict().items())
    assert (look.answer(HERE).values["loss"] or 9) < (answer["loss"] or 0)
    assert look.answer(Point((0,), (1e30,))).values["loss"] is None


def test_uphill_the_loss_rises_by_the_length_of_the_gradient(trained: RunFolder) -> None:
    found = load_trained(trained, 40, "cpu")
    images = found.data.prepare(found.data.train.inputs[:], torch.float32)
    loss = cross_entropy(found.model.eval()(images), found.data.train.targets)
    slope = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(found.model.parameters()))]).norm()
    look = Landscape(found, Setting(40))
    uphill, here = (look.answer(probe).values["loss"] or 0 for probe in (Ascent(1e-2), HERE))
    assert uphill - here == pytest.approx(1e-2 * slope.item(), rel=0.15)


def test_with_fresh_statistics_those_that_the_run_has_left_matter_for_no_probe(trained: RunFolder) -> None:
    answers = []
    for wrong in (1, 9):
        found = load_trained(trained, 40, "cpu")
        for name, value in found.weights.items():
            if name.endswith("running_var"):
                value.mul_(wrong)
        look = Landscape(found, Setting(40, statistics="fresh"))
        answers.append([look.answer(probe).values for probe in (HERE, Ascent(0.05))])
    assert answers[0] == answers[1]


def test_every_pass_is_in_the_precision_of_the_run(trained: RunFolder) -> None:
    found = load_trained(trained, 40, "cpu")
    recipe = found.recipe.model_copy(update={"precision": "bfloat16"})
    seen: set[torch.dtype] = set()
    found.model.get_submodule("fc").register_forward_hook(lambda _layer, _inputs, out: seen.add(out.dtype))
    Landscape(replace(found, recipe=recipe), Setting(40, statistics="fresh")).answer(Ascent(0.05))
    assert seen == {torch.bfloat16}


def test_the_scale_of_filters_before_batch_norm_matters_with_the_runs_statistics_and_not_with_fresh_ones(
    trained: RunFolder, tmp_path: Path
) -> None:
    """All filters doubled, and the statistics not: with fresh ones the loss is known, it is the same."""
    doubled = _with_doubled_filters(trained, tmp_path / "doubled")
    losses = {}
    for statistics in ("run", "fresh"):
        setting = Setting(40, statistics=statistics, towards=str(doubled))
        look = Landscape(load_trained(trained, 40, "cpu"), setting)
        losses[statistics] = [look.answer(Point((0,), (at,))).values["loss"] or 0 for at in (0.0, 1.0)]
    assert losses["fresh"][1] == pytest.approx(losses["fresh"][0], rel=1e-3)
    assert losses["run"][1] > 1.2 * losses["run"][0]


def _with_doubled_filters(folder: RunFolder, goal: Path) -> Path:
    from safetensors.torch import load, save

    state, content = checkpoint.read(path_of(folder.checkpoints, 40))
    tensors = load(content)
    changed = {name: 2 * value if value.dim() == 4 else value for name, value in tensors.items()}
    return checkpoint.save(goal, state, save(changed))


class Bowl(Landscape):
    """A quadratic ½ 8 r² in place of the network's loss, infinite from 3 on."""

    def _at(self, directions: list[Tensors], at: tuple[float, ...]) -> dict[str, float | None]:
        return {"loss": 4 * at[0] ** 2 if at[0] < 3 else None, "accuracy": 1.0}


@pytest.mark.parametrize(
    ("threshold", "radius"),
    [(4.0, 1.0), (0.5, 0.125**0.5), (0.0, 0.0), (-1.0, 0.0), (1e9, 3.0)],
)
def test_the_radius_of_a_quadratic_is_the_root_of_twice_the_threshold_by_its_curvature(
    trained: RunFolder, threshold: float, radius: float
) -> None:
    found = Bowl(_any(trained), Setting(40)).answer(Radius(0, threshold)).values["radius"]
    assert found is not None
    assert radius - 1e-3 <= found <= radius + 1e-9


def test_a_radius_is_not_looked_for_beyond_the_farthest(trained: RunFolder) -> None:
    class Plain(Landscape):
        def _at(self, directions: list[Tensors], at: tuple[float, ...]) -> dict[str, float | None]:
            return {"loss": 0.0, "accuracy": 1.0}

    assert Plain(_any(trained), Setting(40)).answer(Radius(0, 1.0)).values == {"radius": FARTHEST}


def _any(folder: RunFolder) -> Trained:
    return load_trained(folder, 40, "cpu")
