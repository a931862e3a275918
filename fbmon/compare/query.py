"""The query language: `recipe:fb_* optimizer.lr>=0.4 state:finished best.val_accuracy>0.95 -name:debug`.

A query is a list of terms, all of which must hold; ` | ` between two lists means either. A term is

    field:pattern     the text of the field matches: a glob as a whole if there is one of * ? [ in it, else any part
    field=value       equal, as numbers where both are; !=  not equal
    field>=number     also > < <=; a number may have a unit: 50%  90s  5m  2h  1d
    word              the run's name: the whole of it, how it begins, a glob, or a path
    -term             does not hold (or !term)

Upper and lower case are the same; "double quotes" hold blanks together. What is not known of a run equals nothing and
is neither more nor less than anything.
"""

import difflib
import fnmatch
import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from fbmon.compare import fields
from fbmon.compare.facts import STATES, Value
from fbmon.compare.run import Run
from fbmon.errors import UsageError
from fbmon.text import clean

_TERM = re.compile(
    r"(?P<no>[-!]?)(?P<field>[A-Za-z_][\w]*(?:\.[\w]+)*)(?P<operator>>=|<=|!=|[:=<>])(?P<operand>.*)", re.S
)
_WORDS = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)([%smhd]?)", re.IGNORECASE)
_UNITS = {"": 1.0, "%": 0.01, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ALIKE = {"!=": "=", "=": "=", ":": ":"}  # the test that any state has to pass
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True)
class Term:
    """A condition on a field."""

    field: str
    operator: str
    operand: str
    negated: bool = False

    def __str__(self) -> str:
        operand = f'"{self.operand}"' if re.search(r"\s", self.operand) or not self.operand else self.operand
        return f"{'-' if self.negated else ''}{self.field}{self.operator}{operand}"


@dataclass(frozen=True)
class Query:
    """Names of runs, any of which is meant (none: all), and the terms that must hold for each."""

    names: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()


def parse(arguments: Iterable[str]) -> list[Query]:
    """Return the alternatives of a query given as one or more arguments. Raises UsageError for a senseless term."""
    alternatives: list[list[str]] = [[]]
    for argument in arguments:
        for word in _WORDS.findall(argument):
            if word == "|":
                alternatives.append([])
            else:
                alternatives[-1].append(word)
    if not all(alternatives) and len(alternatives) > 1:
        raise UsageError("|: needs a condition on either side", "for example state:running | state:paused")
    return [_query(words) for words in alternatives]


def is_term(word: str) -> bool:
    """Say whether a word is a condition and not the name of a run."""
    return _TERM.fullmatch(word) is not None


def keep(runs: Sequence[Run], terms: Sequence[Term]) -> list[Run]:
    """Return the runs for which all terms hold. Raises UsageError for a field that neither they nor any recipe has."""
    tests = [(term, fields.find(term.field, runs).value) for term in terms]
    return [run for run in runs if all(_holds(term, value(run)) != term.negated for term, value in tests)]


def refuse_unknown_state(term: Term) -> None:
    """Raise UsageError for a condition on a state that does not exist: it would match nothing, or everything."""
    is_state = term.field == "state" and term.operator in _ALIKE
    if is_state and not any(_holds(replace(term, operator=_ALIKE[term.operator]), state) for state in STATES):
        near = difflib.get_close_matches(term.operand, STATES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the states are {', '.join(STATES)}"
        raise UsageError(f"{clean(str(term))}: no such state", hint)


def number(text: str) -> float | None:
    """Return the number that a text stands for, with or without a unit; None if it is not a number."""
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    value = float(match[1]) * _UNITS[match[2].lower()]
    return value if math.isfinite(value) else None


def matches_text(pattern: str, text: str) -> bool:
    """Say whether a text matches a glob as a whole, or contains a pattern that is no glob, whatever the case."""
    pattern, text = pattern.lower(), text.lower()
    return fnmatch.fnmatchcase(text, pattern) if is_glob(pattern) else pattern in text


def is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _query(words: list[str]) -> Query:
    terms = tuple(_term(word) for word in words if is_term(word))
    return Query(tuple(word.replace('"', "") for word in words if not is_term(word)), terms)


def _term(word: str) -> Term:
    match = _TERM.fullmatch(word)
    assert match
    operand = match["operand"].replace('"', "")
    if match["field"] == "recipe":
        operand = operand.replace("/", "-")  # digits/sgd, as it is shipped, calls itself digits-sgd
    term = Term(match["field"], match["operator"], operand, bool(match["no"]))
    if term.operator in _ORDERS and number(term.operand) is None:
        raise UsageError(
            f"{clean(word)}: {clean(term.operand) or 'nothing'} is not a number",
            f"for example {term.field}{term.operator}0.5; units are % s m h d",
        )
    return term


def _holds(term: Term, value: Value) -> bool:
    if term.operator == "!=":
        return not _is_equal(term.operand, value)
    if value is None:
        return False
    if term.operator == ":":
        return matches_text(term.operand, _text(value))
    if term.operator == "=":
        return _is_equal(term.operand, value)
    limit = number(term.operand)
    assert limit is not None
    return isinstance(value, float | int) and not isinstance(value, bool) and _ORDERS[term.operator](value, limit)


def _is_equal(operand: str, value: Value) -> bool:
    if value is None:
        return False
    expected = number(operand)
    if expected is not None and isinstance(value, float | int) and not isinstance(value, bool):
        return math.isclose(value, expected, rel_tol=1e-12)
    return operand.lower() == _text(value).lower()


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
