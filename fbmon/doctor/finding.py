"""The answer to one question about the machine."""

from typing import Literal

import msgspec

# A warning costs time or comfort, or will cost a run one day; a failure prevents training.
Verdict = Literal["ok", "warning", "failure"]


class Finding(msgspec.Struct, frozen=True):
    """One aspect of the machine: what was observed, and what to do if that is not well."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def judge(name: str, observation: str, advice: str, *, is_well: bool) -> Finding:
    """Return ok, or a warning with its advice."""
    return Finding(name, "ok", observation) if is_well else Finding(name, "warning", observation, advice)
