"""The trainer against a trajectory that the authors' code computed in float64: three penalized, clipped steps."""

import json
from pathlib import Path

from benchmarks.replay import replay

MINI = Path(__file__).parents[1] / "golden" / "mini.json"


def test_every_series_agrees_with_the_authors_code_to_ten_digits() -> None:
    deviations = replay(json.loads(MINI.read_text()), folder=None)
    assert {name for name, deviation in deviations.items() if not deviation < 1e-10} == set()
    assert len(deviations) == 13
