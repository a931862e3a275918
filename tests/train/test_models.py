"""The networks of the paper: their sizes, and one step of each."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from fbmon.recipe import Model
from fbmon.train.models import make_model

# Parameters for 10 classes, from the paper's code by arithmetic.
SIZES = {
    "resnet18": 11_173_962,
    "resnet50": 23_520_842,
    "resnet152": 58_156_618,
    "densenet121": 6_956_298,
    "vgg16": 14_728_266,
}


@pytest.mark.parametrize(("name", "parameters"), SIZES.items())
def test_a_network_has_as_many_parameters_as_the_authors(name: str, parameters: int) -> None:
    model = make_model(Model.model_validate({"name": name}), channels=3, classes=10)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("name", [*SIZES, "resnet8", "resnet34", "resnet101"])
def test_every_parameter_of_a_network_takes_part(name: str) -> None:
    torch.manual_seed(0)
    model = make_model(Model.model_validate({"name": name, "width": 8}), channels=3, classes=10)
    loss = cross_entropy(model(torch.randn(2, 3, 32, 32)), torch.tensor([1, 7]))
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)
