"""The verdict on whether a training can be repeated bit by bit: the comparisons made, and their results."""

import msgspec

from fbmon.ranks.rank import Rank

WARNING = "warning: "  # begins a line that the command passes on and that is not a stage of the work


class Compared(msgspec.Struct, frozen=True):
    """A gradient computed again in another way, beside the first one."""

    way: str
    is_promised: bool  # whether fbmon promises the same bits
    numbers: int
    equal: int  # of them, to the last bit
    ulps: int  # the greatest distance, in steps from one float to the next
    difference: float  # the greatest, as a number
    cosine: float

    @property
    def agrees(self) -> bool:
        """Say whether the two gradients agree to the last bit."""
        return self.equal == self.numbers


class Repeated(msgspec.Struct, frozen=True):
    """A number of a step that was taken again, beside the number in the journal."""

    step: int
    name: str
    told: float | None
    found: float | None

    @property
    def agrees(self) -> bool:
        return self.told == self.found


class Verdict(msgspec.Struct, frozen=True):
    """The report of a verification; `skipped` says what could not be tried, and why."""

    step: int  # of the checkpoint whose gradient was compared
    device: str
    compared: tuple[Compared, ...]
    since: int = 0  # the step from which steps were taken again
    repeated: tuple[Repeated, ...] = ()
    skipped: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()  # of this machine, from the one that those steps were trained on

    @property
    def agrees(self) -> bool:
        """Say whether everything promised to have the same bits has them."""
        return all(gradient.agrees for gradient in self.compared if gradient.is_promised) and all(
            number.agrees for number in self.repeated
        )


class Ask(msgspec.Struct, frozen=True):
    """The order to a process that verifies."""

    folder: str
    step: int
    since: int
    steps: int  # to be taken again
    devices: tuple[str, ...]  # the first for the gradient alone, all of them for the one of several ranks
    precision: str


class Share(msgspec.Struct, frozen=True):
    """The order to a process that computes the same gradient as one of several ranks."""

    ask: Ask
    rank: Rank
    goal: str  # the folder in which the first rank leaves the gradient
