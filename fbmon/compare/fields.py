"""The words of queries, columns and sorting: `final.val_accuracy`, `optimizer.lr`, `state`, `time`, ...

Of a metric there are `final.`, `best.`, `min.`, `max.`, `last.` (the mean of its last 10 values) and `best_step.`;
its bare name means `final.`. Everything with another dot is a setting of the recipe.
"""

import difflib
from collections.abc import Callable, Collection, Iterable

from fbmon import metrics
from fbmon.compare.differing import differing
from fbmon.compare.facts import FACTS, Field, Value, show_plain
from fbmon.compare.run import Run
from fbmon.errors import UsageError
from fbmon.store.summary import RECENT, Digest
from fbmon.text import clean

_ALIASES = {"name": "run", "id": "run"}
VARIANT = "variant"

AGGREGATES: dict[str, Callable[[Digest, bool], Value]] = {  # of a digest, and whether the highest value is the best
    "final": lambda digest, _: digest.final,
    "best": lambda digest, highest: digest.highest if highest else digest.lowest,
    "best_step": lambda digest, highest: (digest.highest_step if highest else digest.lowest_step) or None,
    "min": lambda digest, _: digest.lowest,
    "max": lambda digest, _: digest.highest,
    "last": lambda digest, _: digest.window_mean(),
}


def find(name: str, runs: Collection[Run] = ()) -> Field:
    """Return the field of this name; settings are those that the runs have. Raises UsageError with the nearest name."""
    name = _ALIASES.get(name, name)
    if name in FACTS:
        return FACTS[name]
    if name == VARIANT:
        return _variant(runs)
    aggregate, _, metric = name.rpartition(".")
    is_told = metric in metrics.BY_NAME or any(metric in run.summary.metrics for run in runs)
    if is_told and (aggregate in AGGREGATES or not aggregate):
        return _of_metric(name, aggregate or "final", metric)
    settings = dict.fromkeys(key for run in runs for key in run.settings)
    if name in settings or _is_setting(name):
        return _of_setting(name)
    near = difflib.get_close_matches(name, _every_name(settings), n=1)
    hint = f"did you mean {near[0]}?" if near else "`fbmon compare --list-columns` lists all fields"
    raise UsageError(f"unknown field '{clean(name)}'", hint)


def every() -> list[tuple[str, str]]:
    """Return all names except those of settings, each with what it means."""
    aggregates = [
        ("final.METRIC, or METRIC", "the newest value"),
        ("best.METRIC", "the highest accuracy or speed, the lowest of anything else"),
        ("best_step.METRIC", "the first step with the best value"),
        ("min.METRIC, max.METRIC", "the lowest and the highest value"),
        ("last.METRIC", f"the mean of the last {RECENT} values"),
    ]
    of_metrics = [(metric.name, f"a metric: {metric.chart.title} ({metric.label})") for metric in metrics.METRICS]
    setting = ("SECTION.KEY", "a setting of the recipe, such as optimizer.lr; also seed and precision")
    variant = (VARIANT, "the recipe, and the settings other than the seed in which its runs differ")
    return [*((name, field.about) for name, field in FACTS.items()), variant, *aggregates, *of_metrics, setting]


def _show_step(value: Value) -> str:
    return f"{value:.0f}" if isinstance(value, float | int) else "–"


def _every_name(settings: Iterable[str]) -> list[str]:
    of_metrics = [f"{prefix}{name}" for name in metrics.BY_NAME for prefix in ("", "best.", "final.", "last.")]
    return [*FACTS, VARIANT, *settings, *of_metrics]


def _is_setting(name: str) -> bool:
    from fbmon.recipe.schema import known_keys  # pydantic takes a while to import, and is needed only here

    return name in known_keys()


def _variant(runs: Collection[Run]) -> Field:
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(run.recipe, []).append(run)
    names = {recipe: [name for name in differing(members) if name != "seed"] for recipe, members in alike.items()}
    every_name = {name for differing_names in names.values() for name in differing_names}

    def value(run: Run) -> Value:
        settings = (f"{name}={show_plain(_of_setting(name).value(run))}" for name in names.get(run.recipe, []))
        return " ".join([run.recipe, *settings])

    def show(value: Value) -> str:
        return " ".join(_brief(word, every_name) for word in show_plain(value).split(" "))

    return Field(VARIANT, VARIANT, value, show, is_number=False, is_right=False)


def _brief(word: str, names: Collection[str]) -> str:
    """Shorten `optimizer.lr=0.4` to `lr=0.4`, unless another named setting would then be called the same."""
    name, equals, value = word.partition("=")
    key = name.rpartition(".")[2]
    is_alone = name in names and sum(key == other.rpartition(".")[2] for other in names) == 1
    return f"{key}{equals}{value}" if is_alone else word


def _of_setting(name: str) -> Field:
    def value(run: Run) -> Value:
        setting = run.settings.get(name)
        return setting if setting is None or isinstance(setting, str | float | int) else str(setting)

    return Field(name, name, value, show_plain, is_number=False)


def _of_metric(name: str, aggregate: str, metric: str) -> Field:
    highest = metric in metrics.HIGHEST_IS_BEST
    value = AGGREGATES[aggregate]

    def of_run(run: Run) -> Value:
        digest = run.summary.metrics.get(metric)
        return value(digest, highest) if digest else None

    def show(value: Value) -> str:
        return metrics.show(metric, float(value) if isinstance(value, float | int) else None)

    if aggregate == "best_step":
        return Field(name, "at step", of_run, _show_step)
    short = metric.replace("val_", "val ").replace("accuracy", "acc").replace("_", " ")
    descending = aggregate == "max" or (highest and aggregate != "min")
    heading = {"final": short, "last": f"mean of last {RECENT} {short}"}.get(aggregate, f"{aggregate} {short}")
    return Field(name, heading, of_run, show, "descending" if descending else "ascending")
