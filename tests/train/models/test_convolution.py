"""Small maps that a CPU convolves side by side: the same convolution, and only where it is faster."""

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torch.profiler import ProfilerActivity, profile

from fbmon.recipe import Model
from fbmon.recipe.data_sets import image_form
from fbmon.train.hardware.precision import logits_of
from fbmon.train.models import convolution, make_model
from fbmon.train.models.convolution import Convolution, side_by_side


@pytest.mark.parametrize(
    ("count", "height", "width", "stride"),
    [(32, 4, 4, 1), (16, 8, 8, 2), (18, 3, 1, 1), (20, 2, 2, 1), (3, 5, 5, 2), (17, 4, 7, 2), (1, 1, 1, 1)],
)
def test_maps_side_by_side_give_the_convolution_and_its_gradients(
    count: int, height: int, width: int, stride: int
) -> None:
    torch.manual_seed(0)
    images = torch.randn(count, 3, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, dtype=torch.float64, requires_grad=True)
    plain, beside = conv2d(images, weight, bias, stride, 1), side_by_side(images, weight, bias, stride)
    torch.testing.assert_close(beside, plain, rtol=1e-12, atol=1e-12)
    above = torch.randn_like(plain)
    expected, given = (torch.autograd.grad(out, (images, weight, bias), above) for out in (plain, beside))
    torch.testing.assert_close(given, expected, rtol=1e-12, atol=1e-12)


def test_maps_side_by_side_have_second_derivatives() -> None:
    """Which the sharpness and the penalty by double backward take."""
    torch.manual_seed(0)
    images = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda *of: side_by_side(of[0], of[1], None, 2).tanh(), (images, weight))


def shapes_convolved(images: Tensor, stride: int) -> list[list[int]]:
    """Of what the layer really convolves."""
    layer = Convolution(images.shape[1], 2, stride).to(images.dtype)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        layer(images)
    events = profiled.events() or []
    return [event.input_shapes[0] for event in events if event.name == "aten::conv2d"]


def test_they_lie_so_where_the_processor_is_faster_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "_HAS_AMX", True)
    monkeypatch.setattr(convolution, "_HAS_AVX512", True)
    small = torch.zeros(20, 256, 4, 4)
    assert shapes_convolved(small.bfloat16(), 1) == [[2, 256, 4, 16 * 5]]
    assert shapes_convolved(small.bfloat16(), 2) == [[2, 256, 4, 16 * 6]]
    assert shapes_convolved(small, 1) == [[2, 256, 4, 16 * 5]]
    assert shapes_convolved(small.double(), 1) == [list(small.shape)]
    few, large = torch.zeros(20, 32, 4, 4), torch.zeros(1, 256, 12, 12)
    for images in (few, few.bfloat16(), large, large.bfloat16()):
        assert shapes_convolved(images, 1) == [list(images.shape)]
    monkeypatch.setattr(convolution, "_HAS_AMX", False)
    monkeypatch.setattr(convolution, "_HAS_AVX512", False)
    for images in (small, small.bfloat16()):
        assert shapes_convolved(images, 1) == [list(small.shape)]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "vgg16"])
def test_in_bfloat16_every_layer_but_the_first_sees_the_dtype_in_which_it_will_compute(
    name: Literal["resnet18", "resnet50", "densenet121", "vgg16"],
) -> None:
    """The rule goes by the images; those of the first layer have too few channels for it."""
    network = make_model(Model(name=name, width=8), image_form(3, 32, 10))
    seen: list[torch.dtype] = []
    for layer in network.modules():
        if isinstance(layer, Convolution):
            layer.register_forward_pre_hook(lambda _, images: seen.append(images[0].dtype))
    logits_of(network, torch.randn(2, 3, 32, 32), "bfloat16")
    assert (seen[0], set(seen[1:])) == (torch.float32, {torch.bfloat16})
