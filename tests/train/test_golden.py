"""The trainer against a trajectory that the authors' code computed in float64: penalized, clipped steps."""

import json
from pathlib import Path

import pytest

from tools.replay import replay

MINI = Path(__file__).parents[1] / "golden" / "mini.json"


@pytest.mark.parametrize(
    ("steps", "series"), [(1, 10), pytest.param(None, 13, marks=pytest.mark.slow)], ids=["first step", "all"]
)
def test_every_series_agrees_with_the_authors_code_to_ten_digits(steps: int | None, series: int) -> None:
    deviations = replay(json.loads(MINI.read_text()), folder=None, steps=steps)
    assert {name for name, deviation in deviations.items() if not deviation < 1e-10} == set()
    assert len(deviations) == series
