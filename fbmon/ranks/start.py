"""Everything that a supervisor gives a rank on its way."""

import msgspec

from fbmon.ranks.rank import Rank


class Start(msgspec.Struct, frozen=True):
    """One argument of JSON."""

    rank: Rank
    device: str
    heartbeat: int  # descriptor of the page that the supervisor reads
    queue: int | None = None  # descriptor of the pipe to the screen
