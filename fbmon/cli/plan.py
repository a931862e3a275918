"""`fbmon plan`: what a recipe would cost, before anything starts."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fbmon.cli.options import Json
from fbmon.cli.output import aligned, make_console, mention, print_columns, print_json
from fbmon.cli.progress import staged
from fbmon.cli.run import Devices, Overrides, RecipeArgument, Seed, Steps, asked_settings

if TYPE_CHECKING:
    from fbmon.analysis.plan import Plan

_DEVICES = (2, 4, 8)
_PRECISIONS = ("float32", "bfloat16")


def plan(
    recipe: RecipeArgument,
    steps: Steps = None,
    seed: Seed = None,
    devices: Devices = "auto",
    overrides: Overrides = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="About how many seconds to measure in each precision.")
    ] = 10.0,
    json: Json = False,
) -> None:
    """Estimate what a recipe would cost on this machine: blocks, steps, FLOP, memory, hours; nothing is started.

    A few blocks are timed on random images, so no data set is needed.

    \b
    Examples:
      fbmon plan fb_strong_reg
      fbmon plan quickstart --set gradient.block=256
      fbmon plan resnet152/fb_longer --devices cuda --json
    """
    from fbmon import recipe as recipes
    from fbmon.analysis.plan import measure
    from fbmon.ranks.devices import expand, here

    loaded = recipes.load(recipes.find(recipe), asked_settings(overrides, steps, seed), mention)
    device = expand(here(devices, os.environ), os.environ)[0]
    others = [precision for precision in _PRECISIONS if precision != loaded.precision]
    with staged(f"timing blocks in {loaded.precision}", 1 + len(others)) as begin:
        estimate = measure(loaded, device, others, seconds, lambda precision: begin(f"timing blocks in {precision}"))
    if json:
        print_json(_data(estimate))
        return
    console, facts = make_console(), _facts(estimate)
    for name, fact in facts.items():
        print_columns(console, [max(map(len, facts))], name, fact)
    typer.echo("\n".join(["", *_alternatives(estimate)]))


def _facts(plan: "Plan") -> dict[str, str]:
    from fbmon.text import clean, duration

    own, least = plan.timings[0], "at least " if plan.trials else ""
    unit = "pass" if plan.trials else "step"
    facts = {
        "recipe": f"{clean(plan.recipe)}: {plan.parameters:,} parameters, {own.precision}",
        "steps": f"{plan.steps:,} of {plan.images:,} images in {plan.blocks:,} blocks of up to {plan.block:,}; "
        f"{plan.validations:,} validations of {plan.val_images:,} images",
        "FLOP": f"{least}{plan.flop:.3g} in total, {plan.step_flop:.3g} per {unit}",
        "device": f"{clean(plan.device)}; {_show_seconds(plan.seconds_per_step())} per {unit} "
        f"({own.blocks} blocks of {own.block} timed), {plan.step_flop / plan.seconds_per_step() / 1e12:.3g} TFLOP/s",
        "memory": f"{own.memory_mib + plan.data_mib:,.0f}{_of_total(plan)} MiB" + _caution(plan),
        "time": f"{least}{duration(plan.seconds())}" + _trials(plan),
    }
    if plan.emulation:
        facts["caution"] = f"{plan.emulation}: float32 is many times as fast"
    return facts | _analysis(plan)


def _trials(plan: "Plan") -> str:
    return f": a pass per step; to find its step, the optimizer makes 1 to {plan.trials}" if plan.trials else ""


def _analysis(plan: "Plan") -> dict[str, str]:
    """Return what the sharpness costs, part of the sums above."""
    from fbmon.text import duration

    if not plan.products:
        return {}
    passes = plan.analysis_passes()
    return {
        "analysis": f"up to {plan.products:,} Hessian-vector products of {plan.product_images:,} images, as costly as "
        f"{passes:,.0f} steps: {plan.analysis_flop:.3g} FLOP, {duration(passes * plan.seconds_per_step())} of the time"
    }


def _show_seconds(seconds: float) -> str:
    """Return a short time with three digits, a long one in hours and minutes."""
    from fbmon.text import duration

    return f"{seconds:.3g} s" if seconds < 100 else duration(seconds)


def _of_total(plan: "Plan") -> str:
    return f" of {plan.memory_total_mib:,.0f}" if plan.memory_total_mib else ""


def _caution(plan: "Plan") -> str:
    own = plan.timings[0]
    if own.block == plan.block:
        is_too_much = 0 < plan.memory_total_mib < own.memory_mib + plan.data_mib
        return ": more than is available here; a smaller gradient.block needs less" if is_too_much else ""
    return f" with blocks of {own.block}; those of {plan.block} need more, and would take too long to try"


def _alternatives(plan: "Plan") -> list[str]:
    """Return what other precisions and more such devices would change."""
    from fbmon.text import clean, duration

    header = ["precision", "memory", "1 device", *(f"{count} devices" for count in _DEVICES)]
    rows = [
        [timing.precision, f"{timing.memory_mib + plan.data_mib:,.0f} MiB"]
        + [duration(plan.seconds(timing, count)) for count in (1, *_DEVICES)]
        for timing in plan.timings
    ]
    return [
        *aligned([header, *rows]),
        *map(clean, plan.skipped),
        "More devices: that many equal ones sharing the blocks; the time they spend communicating is not counted.",
    ]


def _data(plan: "Plan") -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(plan)
    hours = {count: plan.seconds(devices=count) / 3600 for count in (1, *_DEVICES)}
    return facts | {"flop": plan.flop, "step_flop": plan.step_flop, "hours_by_devices": hours}
