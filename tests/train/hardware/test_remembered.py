"""A machine is measured once; FLOP are counted as torch counts them; the kernel has the bits of torch."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from fbmon import recipe as recipes
from fbmon.recipe import Penalty
from fbmon.recipe.data_sets import image_form
from fbmon.train.data.load import load
from fbmon.train.flop import _count_by_dispatch, count
from fbmon.train.hardware import remembered, threads
from fbmon.train.hardware.threads import choose_threads_
from fbmon.train.models import make_model
from fbmon.train.objective.regularize import make_regularizer
from fbmon.train.ranks.distribute import ALONE


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: str(tmp_path / "cache"))
    return tmp_path / "cache" / "machine.json"


def test_what_a_machine_attains_is_the_most_it_ever_did(cache: Path) -> None:
    assert [remembered.highest("a", number) for number in (2.0, 1.0, 3.0, 2.0)] == [2.0, 2.0, 3.0, 3.0]
    cache.write_text("{")
    assert remembered.highest("a", 1.0) == 1.0


def test_a_number_is_measured_once_and_again_when_the_file_is_damaged(cache: Path) -> None:
    measured = iter((1.0, 2.0, 3.0, 4.0))
    assert [remembered.remembered(name, lambda: next(measured)) for name in ("a", "b", "a")] == [1.0, 2.0, 1.0]
    cache.write_text("{")
    assert [remembered.remembered(name, lambda: next(measured)) for name in ("a", "b", "a")] == [3.0, 4.0, 3.0]


def test_where_nothing_can_be_kept_the_number_is_measured_again(cache: Path) -> None:
    cache.parent.write_text("a file where the folder should be")
    assert [remembered.remembered("a", value.conjugate) for value in (1.0, 2.0)] == [1.0, 2.0]


@pytest.mark.parametrize(("times", "chosen"), [({1: 1.0, 2: 0.7}, 1), ({1: 1.0, 2: 0.6}, 2), ({1: 0.2, 2: 0.4}, 1)])
def test_more_threads_are_taken_where_they_are_worth_it_and_the_number_is_kept(
    times: dict[int, float], chosen: int, cache: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    wanted = recipes.load(tiny)
    data = load(wanted.data, None, torch.device("cpu"), lambda _: None)
    model = make_model(wanted.model, image_form(1, 8, 10))
    before = torch.get_num_threads()
    try:
        for seconds in (lambda *_: times[torch.get_num_threads()], None):  # the second time nothing is measured
            torch.set_num_threads(2)
            monkeypatch.setattr(threads, "_seconds", seconds)
            choose_threads_(wanted, model, data, ALONE)
            assert torch.get_num_threads() == chosen
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "penalty"),
    [
        ("resnet18", None),
        ("resnet18", Penalty(strength=0.5, method="central")),
        ("resnet50", Penalty(strength=0.5)),
        ("densenet121", None),
        ("vgg16", Penalty(strength=0.5)),
    ],
)
def test_flop_are_counted_as_torch_counts_them(name: str, penalty: Penalty | None) -> None:
    form = image_form(3, 32, 10)
    model = make_model(recipes.Model.model_validate({"name": name, "width": 8}), image_form(3, 32, 10))
    regularizer = make_regularizer(penalty)
    assert count(model, form, regularizer) == _count_by_dispatch(model, form, regularizer)
    assert model.training


def test_the_kernel_rounds_and_adds_with_the_bits_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Triton's interpreter, which computes on the CPU what a GPU would."""
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.delitem(sys.modules, "fbmon.train.mean.kernels", raising=False)
    kernels = importlib.import_module("fbmon.train.mean.kernels")
    del sys.modules[
        "fbmon.train.mean.kernels"
    ]  # other tests want it for a GPU; what was there comes back with the variable
    generator = torch.Generator().manual_seed(0)
    magic = 1.5 * 2.0**52 * torch.exp2(torch.randint(-60, -6, (2500,), generator=generator)).double()
    weight = torch.tensor(1 / 390, dtype=torch.float64)
    found, expected = torch.zeros(2, 2500, dtype=torch.float64)
    for _ in range(3):
        terms = torch.randn(2500, generator=generator)
        kernels.add_rounded_(found, terms, magic, weight)
        expected += (terms.double() * weight + magic) - magic
    assert found.abs().min() == 0, "some are smaller than half a unit"
    assert torch.equal(found, expected)
