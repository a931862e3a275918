"""What a plan counts is what the networks are known to take, and what it times is the real loop."""

import platform
from pathlib import Path

import pytest
import torch

from fbmon import recipe as recipes
from fbmon.analysis.plan import Plan, Timing, measure
from fbmon.analysis.worker.cost import make_plan
from fbmon.host.limits import memory
from fbmon.recipe import Model, Penalty
from fbmon.recipe.data_sets import image_form
from fbmon.train.flop import count, count_forward, count_product
from fbmon.train.models import convolution, make_model
from fbmon.train.objective.regularize import make_regularizer


def plan_of(name: str, *settings: str) -> Plan:
    return make_plan(recipes.load(recipes.find(name), settings), torch.device("cpu"), "float32", 0.01)


def test_resnet18_takes_the_operations_it_is_known_for_and_the_penalty_doubles_them() -> None:
    recipe, form = recipes.load(recipes.find("fb_strong_reg")), image_form(3, 32, 10)
    model = make_model(recipe.model, image_form(3, 32, 10))
    forward, plain, penalized = (
        count_forward(model, form),
        count(model, form, None),
        count(model, form, make_regularizer(recipe.penalty)),
    )

    # 0.5564e9 multiplications of convolutions and the last product for one 32x32 image, and as many additions.
    assert forward == pytest.approx(2 * 0.5564e9, rel=2e-3)
    # Backward twice as many again, but for the gradient with respect to the image.
    assert plain == pytest.approx(3 * forward, rel=5e-3)
    assert penalized == pytest.approx(2 * plain, rel=1e-9)


def test_a_plan_of_the_papers_recipe_has_its_steps_images_blocks_and_validations_and_counts_its_penalty() -> None:
    small = ("model.name=resnet8", "model.width=4", "gradient.block=16")
    plain, penalized = plan_of("fb_clipped", *small), plan_of("fb_strong_reg", *small)

    assert plain.parameters == 5214
    assert (plain.steps, plain.images, plain.val_images, plain.validations) == (3000, 50_000, 10_000, 31)
    assert (plain.blocks, penalized.blocks) == (3125, 3125)
    assert penalized.flop_per_image == pytest.approx(2 * plain.flop_per_image, rel=1e-9)


def test_a_search_is_planned_by_the_pass_as_nobody_knows_how_many_a_step_will_take(tmp_path: Path) -> None:
    recipe = tmp_path / "search.toml"
    recipe.write_text(
        'name = "search"\nsteps = 9\n[data]\ndataset = "digits"\nlimit = 64\n[model]\nname = "mlp"\nwidth = 4\n'
        '[gradient]\nblock = 32\n[optimizer]\nname = "lbfgs"\ntrials = 7\n[schedule]\nname = "constant"\n'
    )
    plan = plan_of(str(recipe))

    assert plan.trials == 7
    assert plan.flop - plan.validations * 360 * plan.val_flop_per_image == pytest.approx(9 * 64 * plan.flop_per_image)


def test_copies_limits_and_dropped_blocks_count_as_the_run_would_cut_them() -> None:
    plan = plan_of(
        "digits/fb_clipped", "data.copies=3", "data.limit=100", "gradient.block=64", "gradient.drop_last=true"
    )

    assert (plan.blocks, plan.images, plan.block) == (4, 256, 64)
    assert plan.flop == pytest.approx(
        300 * 256 * plan.flop_per_image + plan.validations * 360 * plan.val_flop_per_image
    )


def test_the_sharpness_costs_two_backward_passes_and_a_forward_one_through_each_block_and_is_in_the_sums() -> None:
    settings = ("steps=101", "gradient.block=100", "data.limit=250", "analysis.products=30", "analysis.blocks=2")
    plain = plan_of("digits/edge", *settings, "analysis.sharpness_every=1000000")
    plan = plan_of("digits/edge", *settings, "analysis.sharpness_every=50")

    assert (plain.products, plan.products, plan.product_images) == (30, 3 * 30, 200)
    # Of a product of matrices: itself, its two derivatives, and of those three the derivatives that are asked for.
    assert 2 * plan.flop_per_image < plan.product_flop_per_image < 4 * plan.flop_per_image
    more = 60 * 200 * plan.product_flop_per_image
    assert plan.flop == pytest.approx(plain.flop + more)
    assert plan.analysis_passes() == pytest.approx(90 * 200 * plan.product_flop_per_image / plan.step_flop)
    timing = Timing("float32", 10, 2, 0.5, 0.25, 1.0)
    timed = Plan("r", 4, 3, 30, 10, 8, 2, 1, 2.0, 1.0, 1.0, "cpu", (timing,), 10, 20, 6.0)
    assert timed.seconds() == (4 + 10 * 20 * 6 / (30 * 2)) * 30 * 0.5 + 2 * 8 * 0.25


def test_what_takes_a_pass_more_where_there_are_several_blocks_is_timed_with_several() -> None:
    """However short the time: of a single block its own gradient is the full one."""
    for limit, timed in ((64, 2 * 2), (16, 2 * 1)):
        settings = [f"data.limit={limit}", "gradient.block=16", "model.width=2", "penalty.acc_strength=0.1"]
        plan = make_plan(recipes.load(recipes.find("quickstart"), settings), torch.device("cpu"), "float32", 1e-6)
        assert plan.timings[0].blocks == timed


def test_what_is_counted_is_the_same_on_every_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where small maps lie side by side, with columns between them that are multiplied too."""
    model, form = make_model(Model(name="resnet8", width=64), image_form(3, 16, 10)), image_form(3, 16, 10)
    doubly = make_regularizer(Penalty(method="autograd", strength=0.5))
    counted = []
    for has in (True, False):
        monkeypatch.setattr(convolution, "_HAS_AMX", has)
        monkeypatch.setattr(convolution, "_HAS_AVX512", has)
        counted.append(
            (
                convolution._is_faster_side_by_side(torch.zeros(2, 256, 4, 4), 1),
                [
                    count_product(model, form),
                    count(model, form, doubly),
                    count_forward(model, form),
                ],
            )
        )
    assert [is_faster for is_faster, _ in counted] == [True, False]
    assert counted[0][1] == counted[1][1]


def test_time_is_shared_among_devices_by_whole_blocks() -> None:
    timing = Timing("float32", 10, 2, 0.5, 0.25, 1.0)
    plan = Plan("r", 4, 3, 30, 10, 8, 2, 1, 1.0, 1.0, 1.0, "cpu", (timing,))

    assert plan.seconds() == 4 * 30 * 0.5 + 2 * 8 * 0.25
    assert plan.seconds(devices=2) == 4 * 20 * 0.5 + 2 * 8 * 0.25
    assert plan.seconds(devices=8) == 4 * 10 * 0.5 + 2 * 8 * 0.25


def test_a_plan_is_measured_in_a_process_of_its_own_and_gives_up_a_precision_that_the_processor_emulates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}.items():
        monkeypatch.setenv(name, value)  # as on a processor that has no more
    recipe = recipes.load(recipes.find("digits/fb_baseline"), ["optimizer.lr=0.1"])
    plan = measure(recipe, precisions=["bfloat16"], seconds=0.1)

    assert plan.timings[0].precision == "float32"
    if platform.machine() == "x86_64":
        assert plan.skipped == ("bfloat16 is emulated by this processor: not measured",)
    assert plan.memory_total_mib == memory().total / 2**20
    assert all(timing.seconds_per_image > 0 and timing.memory_mib > 50 for timing in plan.timings)
    assert (plan.blocks, plan.images) == (8, 512)
