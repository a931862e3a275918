"""Everything that a supervisor gives a rank on its way."""

import msgspec


class Start(msgspec.Struct, frozen=True):
    """One argument of JSON."""

    device: str
    rank: int
    ranks: int
    beats: int  # descriptor of the page that the supervisor reads
    store: str  # the file in the run folder by which the ranks find each other; empty where they do it in another way
    queue: int | None = None  # descriptor of the pipe to the screen
    address: str = ""  # where the ranks find each other without a file
    listener: int | None = None  # descriptor at which the first of them listens there
