"""The sharpness while training: against the exact spectrum, on any number of ranks, and without a trace in the run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from fbmon import metrics, recipe
from fbmon.errors import NonFiniteError
from fbmon.events import Analysed, CommandTaken, Event, ProgressMade, StepTaken
from fbmon.recipe import Model, Recipe
from fbmon.recipe.data_sets import image_form
from fbmon.recipe.stability import stability_limit
from fbmon.train.loop import train
from fbmon.train.models import make_model
from fbmon.train.sharpness.hessian import Hessian
from fbmon.train.sharpness.lanczos import largest, start_vector
from tests.shell import DEADLINE, environment

ANALYSIS = "\n[analysis]\nsharpness_every = 2\neigenvalues = 5\nproducts = 12\n"


class Small:
    """A smooth network of 75 weights on three uneven blocks, in float64."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = make_model(Model(name="mlp", width=5), image_form(1, 2, 3)).double()
        self.parameters = list(self.model.parameters())
        self.blocks = [(torch.randn(size, 1, 2, 2).double(), torch.randint(3, (size,))) for size in (7, 7, 3)]
        self.hessian = Hessian(self.loss, self.parameters, [7, 7, 3])

    def loss(self, k: int) -> Tensor:
        inputs, labels = self.blocks[k]
        return cross_entropy(self.model(inputs), labels)

    def full_loss(self, flat: Tensor) -> Tensor:
        """Of all images at once, at these weights."""
        sizes = [parameter.numel() for parameter in self.parameters]
        parts = {
            name: part.view_as(parameter)
            for (name, parameter), part in zip(self.model.named_parameters(), torch.split(flat, sizes), strict=True)
        }
        inputs, labels = (torch.cat(part) for part in zip(*self.blocks, strict=True))
        logits: Tensor = torch.func.functional_call(self.model, parts, inputs)
        return cross_entropy(logits, labels)

    def weights(self) -> Tensor:
        return parameters_to_vector(self.parameters).detach()


def test_lanczos_finds_the_largest_eigenvalues_of_a_network_to_a_millionth() -> None:
    small = Small()
    exact = torch.linalg.eigvalsh(torch.func.hessian(small.full_loss)(small.weights())).flip(0)[:5]
    found = largest(small.hessian.product, start_vector(small.parameters, 0), 5, 75, 1e-9)
    assert found.values == pytest.approx(exact.tolist(), rel=1e-6)
    assert found.products < 75
    for value, near, residual in zip(found.values, exact.tolist(), found.residuals, strict=True):
        assert abs(value - near) <= residual + 1e-12


def test_a_hessian_vector_product_is_the_slope_of_the_gradient() -> None:
    small = Small()
    torch.manual_seed(1)
    direction, gradient = torch.randn(len(small.weights())).double(), torch.func.grad(small.full_loss)
    step = 1e-5
    ahead, behind = (gradient(small.weights() + side * step * direction) for side in (1, -1))
    torch.testing.assert_close(small.hessian.product(direction), (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("spectrum", "most", "expected"),
    [
        ([5.0, 3.0, 1.0, -7.0], 4, (5.0, 3.0)),
        ([5.0, 5.0, 1.0], 3, (5.0, 1.0)),  # from one vector a value is found once, however often it occurs
        ([2.0], 9, (2.0,)),
        ([0.0, 0.0], 9, (0.0,)),
    ],
)
def test_the_spectrum_of_a_quadratic_is_found_in_as_many_products_as_it_has_values(
    spectrum: list[float], most: int, expected: tuple[float, ...]
) -> None:
    diagonal = torch.tensor(spectrum, dtype=torch.float64)
    start = torch.arange(1.0, len(spectrum) + 1, dtype=torch.float64)
    found = largest(lambda vector: diagonal * vector, start, 2, most, 1e-12)
    assert found.values == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert found.products == len(set(spectrum))


def test_too_few_products_are_too_low_and_their_residual_says_so() -> None:
    diagonal = torch.linspace(0, 1, 1000, dtype=torch.float64)
    found = largest(lambda vector: diagonal * vector, start_vector([diagonal], 0), 1, 5, 1e-3)
    assert found.products == 5
    assert 0.8 < found.values[0] < 1 - 1e-3
    assert found.residuals[0] > 1e-3


@pytest.fixture
def runs(tiny: Path, tmp_path: Path) -> Callable[[str, str], tuple[Recipe, list[Event], bytes]]:
    """Trains tiny with penalty and clipping and some text more; its recipe, its events and its last tensors."""

    def run(name: str, more: str) -> tuple[Recipe, list[Event], bytes]:
        penalized = tiny.read_text() + "\n[penalty]\nstrength = 0.5\n" + more
        (tmp_path / f"{name}.toml").write_text(penalized.replace("steps = 40", "steps = 6"))
        wanted, events = recipe.load(tmp_path / f"{name}.toml"), list[Event]()
        train(wanted, "cpu", None, tmp_path / name, events.append, lambda: None)
        return wanted, events, (tmp_path / name / "step-00000006" / "tensors.safetensors").read_bytes()

    return run


def test_a_run_with_analysis_has_the_bits_of_one_without_and_tells_all_that_is_declared(
    runs: Callable[[str, str], tuple[Recipe, list[Event], bytes]],
) -> None:
    _, plain, tensors = runs("plain", "")
    wanted, events, analysed_tensors = runs("analysed", ANALYSIS)
    assert analysed_tensors == tensors
    assert losses(events) == losses(plain)
    found = [event for event in events if isinstance(event, Analysed)]
    assert [event.step for event in found if "sharpness" in event.values] == [1, 3, 5]
    assert {name for event in found for name in event.values} == {metric.name for metric in metrics.ANALYSIS}
    for event in found:
        assert None not in event.values.values()
        assert all(-1 <= value <= 1 for name, value in event.values.items() if name.endswith("cosine") and value)
        if "sharpness" in event.values:
            values = [value for value in event.values.values() if value is not None]
            assert values == sorted(values, reverse=True)
            assert event.residual is not None
    limits = {event.step: event.values["stability_limit"] for event in found if "stability_limit" in event.values}
    steps = {event.step: event.values for event in events if isinstance(event, StepTaken)}
    assert set(limits) == {3, 5}, "the first step has a learning rate of 0"
    for step, limit in limits.items():
        norm, rate = steps[step]["grad_norm"] or 0, steps[step]["learning_rate"] or 0
        assert limit == stability_limit(wanted.optimizer, rate, min(1.0, 1.0 / norm))


def losses(events: list[Event]) -> list[float | None]:
    return [event.values["loss"] for event in events if isinstance(event, StepTaken)]


def test_a_run_stopped_in_the_middle_of_an_analysis_and_resumed_tells_what_one_does_that_was_left_alone(
    runs: Callable[[str, str], tuple[Recipe, list[Event], bytes]], tmp_path: Path
) -> None:
    wanted, whole, tensors = runs("whole", ANALYSIS)
    events: list[Event] = []
    moment = ProgressMade("analysing", 3, 5, 24)

    def stop() -> CommandTaken | None:
        return CommandTaken("stop", "the test") if events[-1] == moment else None

    assert train(wanted, "cpu", None, tmp_path / "again", events.append, stop) == "stopped"
    assert max(event.step for event in events if isinstance(event, StepTaken)) == 2
    train(wanted, "cpu", None, tmp_path / "again", events.append, lambda: None, resume=True)
    assert (tmp_path / "again" / "step-00000006" / "tensors.safetensors").read_bytes() == tensors
    again, alone = values(events), values(whole)
    assert alone.pop((3, "gradient_cosine")), "the gradient of step 2 is not kept"
    assert again == alone


def values(events: list[Event]) -> dict[tuple[int, str], float | None]:
    """Everything that analyses have told, by step and name."""
    told = (event for event in events if isinstance(event, Analysed))
    return {(event.step, name): value for event in told for name, value in event.values.items()}


def test_where_the_loss_is_not_finite_the_sharpness_is_unknown_and_the_run_ends_as_it_would_without(
    tiny: Path, tmp_path: Path
) -> None:
    path = tmp_path / "wild.toml"
    path.write_text(tiny.read_text().replace("[clip]\nnorm = 1.0\n", "") + ANALYSIS)
    wanted = recipe.load(path, ["optimizer.lr=1e30", "schedule.warmup=0", "analysis.sharpness_every=1"])
    events: list[Event] = []
    with pytest.raises(NonFiniteError):
        train(wanted, "cpu", None, tmp_path / "wild", events.append, lambda: None)
    told = [
        event.values["sharpness"] for event in events if isinstance(event, Analysed) and "sharpness" in event.values
    ]
    assert told[0] is not None
    assert told[-1] is None


def test_the_sharpness_is_that_of_all_images_alike_also_of_those_in_a_last_block_that_is_short(
    tiny: Path, tmp_path: Path
) -> None:
    """Without batch norm the loss does not depend on how 70 images are cut into blocks."""
    text = tiny.read_text().replace('"resnet8"', '"mlp"').replace("limit = 64", "limit = 70", 1) + ANALYSIS
    (tmp_path / "plain.toml").write_text(text)
    found = []
    for block in (16, 70):
        events: list[Event] = []
        wanted = recipe.load(tmp_path / "plain.toml", ["steps=3", f"gradient.block={block}"])
        train(wanted, "cpu", None, tmp_path / str(block), events.append, lambda: None)
        found.append({name: value for name, value in values(events).items() if name[1] != "block_agreement"})
    in_blocks, at_once = found
    assert (1, "eigenvalue_5") in at_once
    assert in_blocks == pytest.approx(at_once, rel=1e-3)


SCRIPT = """
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from fbmon import recipe
from fbmon.events import Analysed
from fbmon.train.ranks.distribute import Ranks
from fbmon.train.loop import train

rank = int(sys.argv[1])
torch.set_num_threads(1)
dist.init_process_group("gloo", store=dist.FileStore("store", 2), rank=rank, world_size=2)
events = []
train(recipe.load(Path("shared.toml")), "cpu", None, Path("of-2"), events.append, lambda: None, ranks=Ranks(rank, 2))
Path(f"found-{rank}").write_text(repr([event.values for event in events if isinstance(event, Analysed)]))
dist.destroy_process_group()
"""


def test_two_processes_tell_the_same_bits_as_one(tiny: Path, tmp_path: Path) -> None:
    """Over five blocks, the last one short, so that the shards are uneven."""
    text = tiny.read_text().replace("limit = 64", "limit = 70", 1).replace("block = 32", "block = 16")
    (tmp_path / "shared.toml").write_text(text.replace("steps = 40", "steps = 3") + ANALYSIS)
    (tmp_path / "rank.py").write_text(SCRIPT)
    variables = environment(tmp_path)
    running = [subprocess.Popen([sys.executable, "rank.py", rank], cwd=tmp_path, env=variables) for rank in ("0", "1")]
    events: list[Event] = []
    train(recipe.load(tmp_path / "shared.toml"), "cpu", None, tmp_path / "of-1", events.append, lambda: None)
    assert [process.wait(timeout=DEADLINE) for process in running] == [0, 0]
    alone = repr([event.values for event in events if isinstance(event, Analysed)])
    assert alone.count("sharpness") == 2
    assert (tmp_path / "found-0").read_text() == (tmp_path / "found-1").read_text() == alone
