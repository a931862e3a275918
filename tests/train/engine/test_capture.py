"""What a GPU is to record as a graph never asks the host: no number is read, no constant copied, every size is known.

On torch's "meta" device, whose tensors have shapes and no numbers, the whole work of a block goes through every
operation that a GPU is asked for, and whatever would need a number fails.
"""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fbmon import recipe as recipes
from fbmon.analysis.worker.probe import random_data
from fbmon.recipe import DATA_SETS, Recipe
from fbmon.recipe.data_sets import image_form
from fbmon.train.data.blocks import batch, blocks
from fbmon.train.descent import Descent
from fbmon.train.engine.lane import Lane
from fbmon.train.engine.work import Pass
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.mean import fused
from fbmon.train.mean.mean import ExactMean
from fbmon.train.models import make_model
from fbmon.train.objective.regularize import forward_passes, make_regularizer
from fbmon.train.step_plan import Step, Update

META = torch.device("meta")
SMALL = ("data.limit=16", "gradient.block=4", "model.width=4", "data.augment=crop_flip", "penalty.strength=0.5")
MODELS = {name: (f"model.name={name}",) for name in ("resnet18", "resnet50", "densenet121", "vgg16", "mlp")}
WAYS = {
    "plain": ("data.augment=none", "gradient.accumulation=fp32"),
    "clipped": ("clip.norm=0.25", "clip.block_norm=0.5", "loss.label_smoothing=0.1", "data.augment=shift"),
    "penalized also for the full gradient": ("penalty.acc_strength=0.2", "penalty.epsilon_norm=max"),
    "central": ("penalty.method=central", "model.running_statistics=mean", "gradient.order=shuffled"),
    "autograd": ("penalty.method=autograd", "data.copies=2"),
    "float64": ("precision=float64", "gradient.accumulation=legacy"),
}
# What raises an error on CUDA by torch's documentation of use_deterministic_algorithms, as far as anybody might use it.
REFUSED = {
    "_adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward", "avg_pool3d_backward", "bincount", "cumsum",
    "embedding_bag", "grid_sampler_2d_backward", "histc", "kthvalue", "max_pool3d_with_indices_backward", "median",
    "nll_loss2d_backward", "put_", "reflection_pad2d_backward", "replication_pad2d_backward", "resize_",
    "scatter_reduce", "upsample_bilinear2d_backward",
}  # fmt: skip


class Watch(TorchDispatchMode):
    """Notes the operations that are asked for, and those that touch the host."""

    def __init__(self) -> None:
        mode: Any = super()  # typed in some releases of torch only
        mode.__init__()
        self.names: set[str] = set()
        self.on_host: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, result)) if isinstance(one, Tensor)]
        if any(one.device.type == "cpu" for one in tensors):
            self.on_host.append(str(function))
        self.names.add(function.overloadpacket.__name__)
        return result


class Constants(TorchFunctionMode):
    """Tells a watch of tensors that are made of numbers of the host, on whatever device: they are copied there."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy, Tensor.new_tensor):
            self._watch.on_host.append(function.__name__)
        return function(*args, **(kwargs or {}))


@contextmanager
def watching() -> Iterator[Watch]:
    with Watch() as watch, Constants(watch):
        yield watch


def begun(recipe: Recipe) -> tuple[Lane, Tensor]:
    """A lane that is ready for a step, and the numbers of its first block."""
    data = random_data(DATA_SETS["cifar10"], 16, 1, META)
    model = make_model(recipe.model, image_form(3, 32, 10)).to(META)
    set_precision_(model, recipe.precision)
    dtype = next(model.parameters()).dtype
    numbers = blocks(16, recipe.data, recipe.gradient, recipe.seed, 1, META)
    descent = Descent(
        recipe, model, len(numbers), lambda some, step: batch(data, recipe.data, some, recipe.seed, step, dtype)
    )
    regularizer = make_regularizer(recipe.penalty)
    needs_full = regularizer is not None and regularizer.needs_full_gradient(len(numbers))
    full = [torch.empty_like(part) for part in model.parameters()] if needs_full else None
    descent._statistics.start([0.25] * len(numbers), forward_passes(regularizer))
    descent._mean.start()
    lane = Lane(descent.network)
    update = Update(Step(1, 0.1, numbers, False), numbers)
    lane.begin(Pass(update, descent._mean, [0.25] * 4, regularizer, full), descent.network, 1)
    return lane, numbers[0]


def computed(recipe: Recipe) -> Watch:
    """What a block asks for when it is computed for the second time."""
    lane, numbers = begun(recipe)
    lane.compute(numbers, 0.25)
    with watching() as watch:
        lane.compute(numbers, 0.25)
    return watch


@pytest.mark.parametrize("settings", [*MODELS.values(), *WAYS.values()], ids=[*MODELS, *WAYS])
def test_the_work_of_a_block_never_waits_for_the_device_and_has_a_deterministic_form(settings: tuple[str, ...]) -> None:
    watch = computed(recipes.load(recipes.find("fb_clipped"), [*SMALL, "model.name=resnet8", *settings]))
    assert watch.on_host == []
    assert watch.names & REFUSED == set()
    assert {"addmm", "argmax", "_foreach_copy_"} <= watch.names, "the work was seen"


def test_the_memory_of_a_lane_is_free_as_soon_as_nobody_uses_it() -> None:
    """On a GPU that is gigabytes, which what follows needs before Python's collector comes by."""
    recipe = recipes.load(recipes.find("fb_clipped"), [*SMALL, "model.name=mlp"])
    gc.disable()
    try:
        lane = weakref.ref(begun(recipe)[0])
        assert lane() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "asking",
    [
        lambda some: float(some.sum()),
        lambda some: some[some > 0],
        lambda some: torch.ones(3, device=some.device).repeat_interleave(some.long()),
        lambda some: some * torch.tensor([1.0, 2.0, 3.0], device=some.device),
        lambda some: some.add(torch.ones(())),
    ],
    ids=["a number", "a mask", "repeats", "a constant", "a scalar of the host"],
)
def test_what_would_stop_a_capture_is_found_this_way(asking: Any) -> None:
    some = torch.ones(3, device=META)
    with watching() as watch:
        try:
            asking(some)
        except (RuntimeError, NotImplementedError):
            return
    assert watch.on_host


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="a torch built for CPUs alone has no such tensors")
def test_the_mean_of_a_gpu_never_waits_for_it(capfd: pytest.CaptureFixture[str]) -> None:
    """Its own way through `rounded`; without a GPU no gradient of one can be computed, but added up it can be."""
    fused._kernel.cache_clear()
    with FakeTensorMode():
        parameters = [torch.ones(size, device="cuda:0") for size in ((4, 3, 3, 3), (5,))]
        mean, weight = ExactMean(parameters, 4), torch.ones((), dtype=torch.float64, device="cuda:0")
        mean.start()
        mean.add(parameters, weight)
        with watching() as watch:
            mean.add([part.contiguous(memory_format=torch.preserve_format) for part in parameters], weight)
    fused._kernel.cache_clear()
    assert watch.on_host == []
    assert "_foreach_norm" in watch.names, "a GPU's way"
    assert capfd.readouterr().err.startswith("the mean is added up without Triton, which failed: ")
