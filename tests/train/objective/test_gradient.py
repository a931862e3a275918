"""The full-batch gradient, its penalty and its clipping against plain autograd."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fbmon.recipe import Model, Penalty
from fbmon.recipe.data_sets import image_form
from fbmon.train.engine.eager import Eager
from fbmon.train.engine.network import Network
from fbmon.train.engine.work import Pass
from fbmon.train.gradient import FullGradient, full_gradient
from fbmon.train.hardware.stopwatch import Stopwatch
from fbmon.train.mean.mean import make_mean, weights
from fbmon.train.mean.statistics import RunningStatistics
from fbmon.train.models import make_model
from fbmon.train.objective.clip import clip_
from fbmon.train.objective.loss import CrossEntropy
from fbmon.train.objective.regularize import GradientNorm, forward_passes, gradient_of, make_regularizer
from fbmon.train.step_plan import Step, Update

IMAGES, CLASSES = 22, 5
WATCH = Stopwatch(torch.device("cpu"))
Accumulation = Literal["exact", "fp32"]
Method = Literal["forward", "central", "autograd"]


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(1)
    return torch.randn(IMAGES, 1, 8, 8, generator=made).double(), torch.randint(CLASSES, (IMAGES,), generator=made)


def smooth() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.Tanh(), nn.Linear(7, CLASSES)).double()


def with_batch_norm() -> nn.Module:
    torch.manual_seed(0)
    return make_model(Model(name="resnet8", width=2), image_form(1, 8, CLASSES)).double()


def cut(*places: int) -> list[Tensor]:
    return [torch.arange(start, stop) for start, stop in pairwise((0, *places, IMAGES))]


def full(
    model: nn.Module,
    images: tuple[Tensor, Tensor],
    blocks: list[Tensor],
    penalty: Penalty | None = None,
    accumulation: Accumulation = "exact",
    on_block: Callable[[int], None] = lambda _: None,
) -> FullGradient:
    """The full gradient, its pass repeated where the mean asks for it."""
    inputs, labels = images
    parameters = list(model.parameters())
    shares = weights(accumulation, [len(block) for block in blocks])
    mean = make_mean(accumulation, parameters, len(blocks))
    statistics = RunningStatistics(model, "momentum")
    regularizer = make_regularizer(penalty)
    network = Network(model, lambda numbers, _step: (inputs[numbers], labels[numbers]), CrossEntropy())
    engine = Eager(network, statistics, WATCH)

    def one_pass() -> FullGradient:
        statistics.start(shares, forward_passes(regularizer))
        mean.start()
        work = Pass(Update(Step(1, 0.8, blocks, False), blocks), mean, shares, regularizer)
        engine.begin(work)
        return full_gradient(engine, work, statistics, on_block, WATCH)

    found = one_pass()
    if found.is_good:
        return found
    mean.adapt()
    found = one_pass()
    assert found.is_good
    return found


def averages(found: FullGradient, blocks: list[Tensor]) -> list[float]:
    """Loss, accuracy and squared block norm, weighted by images."""
    shares = torch.tensor([len(block) / IMAGES for block in blocks], dtype=torch.float64)
    return [float(value) for value in (shares @ found.rows)[:3]]


def plain_gradient(model: nn.Module, inputs: Tensor, labels: Tensor, *, graph: bool = False) -> list[Tensor]:
    loss = cross_entropy(model(inputs), labels)
    return list(torch.autograd.grad(loss, list(model.parameters()), create_graph=graph))


def flat(gradient: list[Tensor]) -> Tensor:
    return torch.cat([part.detach().flatten() for part in gradient])


@pytest.mark.parametrize("accumulation", ["exact", "fp32"])
def test_without_batch_norm_the_cut_into_blocks_does_not_matter(
    images: tuple[Tensor, Tensor], accumulation: Accumulation
) -> None:
    model = smooth()
    whole = flat(plain_gradient(model, *images))
    for blocks in (cut(), cut(11), cut(8, 16), cut(1, 2, 21)):
        found = flat(full(model, images, blocks, accumulation=accumulation).gradient)
        torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("accumulation", ["exact", "fp32"])
def test_with_batch_norm_it_is_the_mean_of_the_block_gradients_weighted_by_images(
    images: tuple[Tensor, Tensor], accumulation: Accumulation
) -> None:
    model, (inputs, labels), blocks = with_batch_norm(), images, cut(8, 16)
    found = full(model, images, blocks, accumulation=accumulation)
    assert [len(block) for block in blocks] == [8, 8, 6]
    each = [flat(plain_gradient(model, inputs[some], labels[some])) for some in blocks]
    shares = [len(some) / IMAGES for some in blocks]
    mean = sum((share * part for share, part in zip(shares, each, strict=True)), torch.zeros_like(each[0]))
    torch.testing.assert_close(flat(found.gradient), mean, rtol=1e-9, atol=1e-12)
    square = sum(share * float(part.square().sum()) for share, part in zip(shares, each, strict=True))
    assert averages(found, blocks)[2] == pytest.approx(square, rel=1e-11)


def test_loss_and_accuracy_are_the_means_over_all_images(images: tuple[Tensor, Tensor]) -> None:
    model = smooth()
    blocks = cut(8, 16)
    loss, accuracy, _ = averages(full(model, images, blocks), blocks)
    logits = model(images[0])
    assert loss == pytest.approx(float(cross_entropy(logits, images[1]).detach()), rel=1e-12)
    assert accuracy == pytest.approx(int((logits.argmax(1) == images[1]).sum()) / IMAGES, rel=1e-12)


def test_the_order_of_the_blocks_does_not_matter_to_the_last_bit(images: tuple[Tensor, Tensor]) -> None:
    model, single, blocks = with_batch_norm().float(), (images[0].float(), images[1]), cut(3, 8, 12, 13, 20)
    found = [flat(full(model, single, order).gradient) for order in (blocks, blocks[::-1], blocks[3:] + blocks[:3])]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("method", "strength", "tolerance"),
    [("forward", 0.5, 1e-4), ("forward", 3.0, 1e-4), ("central", 0.5, 1e-7), ("autograd", 0.5, 1e-12)],
)
def test_on_a_smooth_network_the_penalty_is_that_of_double_backward(
    images: tuple[Tensor, Tensor], method: Method, strength: float, tolerance: float
) -> None:
    """g + (strength * learning_rate / 4) H g, block by block, where H g is exact."""
    model, (inputs, labels), blocks = smooth(), images, cut(8, 16)
    parameters = list(model.parameters())
    found = flat(full(model, images, blocks, Penalty(method=method, strength=strength, epsilon=1e-6)).gradient)
    expected, penalties = torch.zeros_like(found), torch.zeros_like(found)
    for some in blocks:
        gradient = plain_gradient(model, inputs[some], labels[some], graph=True)
        fixed = [part.detach() for part in gradient]
        product = flat(list(torch.autograd.grad(gradient, parameters, grad_outputs=fixed)))
        expected += len(some) / IMAGES * (flat(gradient) + strength * 0.8 / 4 * product)
        penalties += len(some) / IMAGES * strength * 0.8 / 4 * product
    assert float(penalties.norm()) > 0.01 * float(expected.norm()), "the penalty is there to be seen"
    assert float((found - expected).norm()) < tolerance * float(penalties.norm())


@pytest.mark.parametrize("make", [smooth, with_batch_norm])
def test_the_penalty_leaves_every_parameter_as_it_was_to_the_last_bit(
    make: Callable[[], nn.Module], images: tuple[Tensor, Tensor]
) -> None:
    model = make().float()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    single = (images[0].float(), images[1])
    penalized = full(model, single, cut(8, 16), Penalty(strength=0.5)).gradient
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
    assert not torch.equal(flat(penalized), flat(full(model, single, cut(8, 16)).gradient))


@pytest.mark.parametrize("method", ["forward", "central", "autograd"])
def test_a_gradient_of_zero_has_a_penalty_of_zero(method: Method) -> None:
    places = [torch.ones(3, requires_grad=True), torch.ones(2, 2, requires_grad=True)]

    def flat_valley() -> Tensor:
        return torch.stack([(part - 1).square().sum() for part in places]).sum()

    plain = gradient_of(flat_valley(), places, again=True)
    found = GradientNorm(Penalty(strength=0.5, method=method)).penalize(plain, flat_valley, places, None, 0.0)
    assert [part.abs().max().item() for part in (*plain, *found)] == [0, 0, 0, 0]


def test_before_every_block_the_caller_is_asked_and_may_end_the_pass(images: tuple[Tensor, Tensor]) -> None:
    model, asked = smooth(), list[int]()

    def ask(block: int) -> None:
        asked.append(block)
        if block == 2:
            raise KeyboardInterrupt

    before = flat(list(model.parameters())).clone()
    with pytest.raises(KeyboardInterrupt):
        full(model, images, cut(5, 10, 15), on_block=ask)
    assert asked == [0, 1, 2]
    assert torch.equal(flat(list(model.parameters())), before)


def gradient_of_norm_5() -> list[Tensor]:
    return [torch.tensor([3.0, -0.0]), torch.tensor([[0.0], [4.0]])]


def test_a_long_gradient_is_scaled_to_the_threshold_and_its_norm_before_is_told() -> None:
    gradient = gradient_of_norm_5()
    assert float(clip_(gradient, 0.25)) == 5.0
    assert flat(gradient).tolist() == pytest.approx([0.15, 0, 0, 0.2], rel=1e-6)
    assert float(flat(gradient).norm()) == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize("threshold", [None, 5.0, 5.000001, 100.0])
def test_a_gradient_no_longer_than_the_threshold_is_untouched_to_the_last_bit(threshold: float | None) -> None:
    gradient = gradient_of_norm_5()
    assert float(clip_(gradient, threshold)) == 5.0
    assert flat(gradient).view(torch.int32).tolist() == flat(gradient_of_norm_5()).view(torch.int32).tolist()


def test_clipping_is_torchs_own_to_the_last_bit() -> None:
    made = torch.Generator().manual_seed(2)
    gradient = [torch.randn(shape, generator=made) for shape in ((16, 3, 3, 3), (16,), (10, 16))]
    parameters = [nn.Parameter(torch.zeros_like(part)) for part in gradient]
    for parameter, part in zip(parameters, gradient, strict=True):
        parameter.grad = part.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, 0.25, foreach=True)
    assert torch.equal(clip_(gradient, 0.25), norm)
    assert all(
        torch.equal(part, parameter.grad)
        for part, parameter in zip(gradient, parameters, strict=True)
        if parameter.grad is not None
    )
