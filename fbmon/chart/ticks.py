"""The numbers a reader counts by: round ones, few, and in few characters."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from fbmon.chart.axes import Axis

_FINER = (2, 4, 8)
_ROUNDING = 1e-9  # of a logarithm at an end of the axis
_DIGITS_DECADES = 3  # on a longer axis there are powers of ten enough


class Tick(NamedTuple):
    """A labelled place on an axis, in axis units."""

    units: float
    label: str


Fitting = Callable[[list[Tick]], list[Tick]]  # keeps the ticks that have room; earlier ones take precedence


def ticks(axis: Axis, apart: float, fitting: Fitting = list) -> list[Tick]:
    """Return the ticks that fit, at least a fraction `apart` of the axis from each other.

    2 and 5 on a log axis may be closer. So may all ticks if fewer than two would fit: a single one shows no scale.
    """
    return fitted(_choices(axis, min(apart, 0.5)), fitting)


def fitted(choices: Iterable[list[Tick]], fitting: Fitting) -> list[Tick]:
    """Return the first choice of which two have room; else what has room of the first that has any."""
    first: list[Tick] = []
    for choice in choices:
        for order in (choice, sorted(choice)):
            if len(kept := fitting(order)) >= 2:
                return kept
            first = first or kept
    return first


def _choices(axis: Axis, apart: float) -> Iterator[list[Tick]]:
    """Yield the ticks as they should be, then more and more of them."""
    if axis.scale == "log":
        yield _logarithmic(axis, apart)
        yield _digits(axis, range(1, 10)) if axis.high - axis.low < _DIGITS_DECADES else []
        yield from (_logarithmic(axis, apart / finer) for finer in _FINER)
    yield from (_round_numbers(axis, apart / finer) for finer in (1, *_FINER))


def _linear(low: float, high: float, apart: float) -> list[Tick]:
    step = _round_step((high - low) * apart)
    values = [count * step for count in _multiples(low, high, step)]
    largest = max(map(abs, values), default=0.0)
    return [Tick(value, _label(value, step, largest)) for value in values]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = math.floor(math.log10(least))
    return next(
        (step for digit in (1, 2, 5) if (step := float(f"{digit}e{power}")) >= least * (1 - 1e-9)),
        float(f"1e{power + 1}"),
    )


def _multiples(low: float, high: float, step: float) -> range:
    """Return the whole n with n * step in [low, high], including an end missed by rounding."""
    return range(math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) + 1)


def _label(value: float, step: float, largest: float) -> str:
    """Return `value` with the digits that tell neighbours `step` apart, in the unit that suits the `largest`."""
    if value == 0:
        return "0"
    power, suffix = _unit(value, largest)
    digits = f"{value / float(f'1e{power}'):.{max(0, power - _power_of_ten(step))}f}"
    if suffix.startswith("e") and "." in digits:
        digits = digits.rstrip("0").rstrip(".")  # nothing to line up where each label has its own exponent
    return digits + suffix


def _unit(value: float, largest: float) -> tuple[int, str]:
    """Return the power of ten to divide by, and its suffix: one for a whole axis, or each its own if extreme."""
    power = _power_of_ten(largest)
    if -3 <= power < 4:
        return 0, ""
    if 4 <= power < 15:
        return power // 3 * 3, "kMGT"[power // 3 - 1]
    own = _power_of_ten(abs(value))
    return own, f"e{own}"


def _power_of_ten(number: float) -> int:
    return math.floor(math.log10(number) + 1e-9)


def _logarithmic(axis: Axis, apart: float) -> list[Tick]:
    """Return powers of ten, then 2 and 5 between them if those are few; round numbers where that is too coarse."""
    decades = max(1, math.ceil(_round_step((axis.high - axis.low) * apart)))
    candidates = [_power(1, count * decades) for count in _multiples(axis.low, axis.high, decades)]
    if len(candidates) >= 3 or decades > 1:
        return candidates
    candidates += _digits(axis, (2, 5))
    return candidates if len(candidates) >= 2 else _round_numbers(axis, apart)


def _digits(axis: Axis, digits: Iterable[int]) -> list[Tick]:
    """Return these digits of every decade of a log axis."""
    between = [_power(digit, power) for power in _multiples(axis.low - 1, axis.high, 1) for digit in digits]
    return [tick for tick in between if axis.low - _ROUNDING <= tick.units <= axis.high + _ROUNDING]


def _power(digit: int, power: int) -> Tick:
    units = math.log10(digit) + power
    if -3 < power < 4:
        return Tick(units, f"{float(f'{digit}e{power}'):g}")
    return Tick(units, f"{digit}{'0' * (power - 3)}k" if 4 <= power < 6 else f"{digit}e{power}")


def _round_numbers(axis: Axis, apart: float) -> list[Tick]:
    """Return linear ticks, also on a log axis that is too short for powers of ten."""
    if axis.scale == "linear":
        return _linear(axis.low, axis.high, apart)
    if not -290 < axis.low < axis.high < 290:
        return []
    linear = _linear(10.0**axis.low, 10.0**axis.high, apart)
    return [Tick(math.log10(tick.units), tick.label) for tick in linear if tick.units > 0]
