"""The query language: what each term means, and that terms combine as logic does."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbmon.compare.query import Query, Term, keep, number, parse
from fbmon.compare.run import Run
from fbmon.errors import UsageError
from fbmon.events import RunStarted
from fbmon.store.summary import Digest, Summary


def run(name: str, recipe: str, state: str, accuracy: float | None, **settings: object) -> Run:
    digests = (
        {} if accuracy is None else {"val_accuracy": Digest(accuracy, 0.1, 1, accuracy + 0.01, 7, ((1, accuracy),))}
    )
    began = RunStarted(name, recipe, 9, "1", 1)
    summary = Summary(began=began, step=8, clipped_count=2, elapsed=5400.0, metrics=digests)
    made = Run(name, Path("/runs") / name, summary, state, 1.0)
    vars(made)["settings"] = {key.replace("__", "."): value for key, value in settings.items()}  # as if read before
    return made


RUNS = [
    run("fb-1", "fb_clipped", "finished", 0.95, optimizer__lr=0.4, clip__norm=0.25, optimizer__nesterov=True, seed=0),
    run("fb-2", "fb_longer", "killed", 0.90, optimizer__lr=0.8, seed=1),
    run("debug-fb", "fb_clipped", "finished", None, optimizer__lr=0.1, model__name="resnet18", seed=10),
    run("sgd", "fixed-sgd", "running", 0.84, optimizer__lr=0.1, seed=1),
]


def found(*arguments: str) -> list[str]:
    """The names of the runs for which the terms hold."""
    (query,) = parse(arguments)
    return [each.name for each in keep(RUNS, query.terms)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("recipe:fb_* optimizer.lr>=0.4 state:finished best.val_accuracy>0.95 -name:debug", ["fb-1"]),
        ("recipe:fb_*", ["fb-1", "fb-2", "debug-fb"]),
        ("recipe:sgd", ["sgd"]),
        ("recipe=sgd", []),
        ("recipe:FB_CLIPPED", ["fb-1", "debug-fb"]),
        ("-recipe:fb_*", ["sgd"]),
        ("!recipe:fb_*", ["sgd"]),
        ("name:debug", ["debug-fb"]),
        ("seed=1", ["fb-2", "sgd"]),
        ("seed:1", ["fb-2", "debug-fb", "sgd"]),
        ("seed!=1", ["fb-1", "debug-fb"]),
        ("val_accuracy>=0.9", ["fb-1", "fb-2"]),
        ("val_accuracy>=90%", ["fb-1", "fb-2"]),
        ("-val_accuracy>=0.9", ["debug-fb", "sgd"]),
        ("best_step.val_accuracy=7", ["fb-1", "fb-2", "sgd"]),
        ("min.val_accuracy<0.2 max.val_accuracy>0.9", ["fb-1", "fb-2"]),
        ("clip.norm>0", ["fb-1"]),
        ("clip.norm!=0.25", ["fb-2", "debug-fb", "sgd"]),
        ("optimizer.nesterov=true", ["fb-1"]),
        ("optimizer.lr=4e-1", ["fb-1"]),
        ("time>1h clipped=25%", ["fb-1", "fb-2", "debug-fb", "sgd"]),
        ("time<90m", []),
        ('model.name:"resnet18"', ["debug-fb"]),
        ("model.name:*1[89]", ["debug-fb"]),
    ],
)
def test_a_query_finds_the_runs_that_it_describes(query: str, names: list[str]) -> None:
    assert found(*query.split()) == names
    assert found(query) == names


def test_words_are_names_bars_part_alternatives_and_quotes_hold_blanks_together() -> None:
    assert parse(["fb-1 state:finished", "|", "sgd"]) == [
        Query(("fb-1",), (Term("state", ":", "finished"),)),
        Query(("sgd",)),
    ]
    assert parse(['reason:"no disk"', "a|b"]) == [Query(("a|b",), (Term("reason", ":", "no disk"),))]


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("clippd>0.5", "unknown field 'clippd'", "did you mean clipped?"),
        (
            "best.val_acuracy>0.5",
            "unknown field 'best.val_acuracy'",
            "did you mean best.val_accuracy?",
        ),
        ("optimizer.learning:1", "unknown field 'optimizer.learning'", ""),
        ("seed>many", "seed>many: many is not a number", "for example seed>0.5; units are % s m h d"),
        ("seed>", "seed>: nothing is not a number", "for example seed>0.5; units are % s m h d"),
        ("seed>1 |", "|: needs a condition on either side", "for example state:running | state:paused"),
    ],
)
def test_a_term_that_makes_no_sense_is_refused_with_the_nearest_that_does(query: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        found(query)
    assert refused.value.message == message
    assert hint in refused.value.hint


def test_a_setting_that_no_run_has_is_unknown_of_all_and_no_error() -> None:
    assert found("ema.momentum>0") == []
    assert found("-ema.momentum>0") == [each.name for each in RUNS]


FIELDS = st.sampled_from(
    ["run", "recipe", "state", "seed", "optimizer.lr", "clip.norm", "val_accuracy", "best.val_accuracy", "clipped"]
)
WORDS = st.text(st.sampled_from("abfgs019_-*?[]. "), max_size=6)
NUMBERS = st.floats(-2, 2).map(lambda value: f"{value:g}") | st.sampled_from(["50%", "2h", "1e-1"])
TERMS = st.builds(Term, FIELDS, st.sampled_from([":", "=", "!="]), WORDS | NUMBERS, st.booleans()) | st.builds(
    Term, FIELDS, st.sampled_from([">", "<", ">=", "<="]), NUMBERS, st.booleans()
)


@given(st.lists(TERMS, max_size=5))
def test_a_query_reads_back_from_its_own_text(terms: Sequence[Term]) -> None:
    assert parse(map(str, terms)) == [Query((), tuple(terms))]


@given(TERMS)
def test_a_run_matches_a_term_or_its_negation_and_never_both(term: Term) -> None:
    negated = Term(term.field, term.operator, term.operand, not term.negated)
    with_term, without = keep(RUNS, [term]), keep(RUNS, [negated])
    assert sorted(run.name for run in with_term + without) == sorted(run.name for run in RUNS)


@given(st.lists(TERMS, max_size=5))
def test_terms_together_find_what_each_finds_alone(terms: Sequence[Term]) -> None:
    alone = [{run.name for run in keep(RUNS, [term])} for term in terms]
    assert {run.name for run in keep(RUNS, terms)} == {run.name for run in RUNS}.intersection(*alone)


@given(st.text(max_size=30))
def test_any_text_is_a_query_or_is_refused_in_words(text: str) -> None:
    with suppress(UsageError):
        for query in parse([text]):
            keep(RUNS, query.terms)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_is_written(value: float) -> None:
    assert number(repr(value)) == value
