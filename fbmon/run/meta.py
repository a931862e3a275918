"""The note of a run as it is started."""

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """The run and the step whose weights another one begins with, and the SHA-256 of their file."""

    run: str
    step: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.run}@{self.step}"


class Meta(msgspec.Struct, frozen=True):
    """meta.json: where, when, by what and on what a run was started. Paths are as `written` has them."""

    name: str
    created: str  # ISO 8601, UTC
    host: str
    user: str
    command: list[str]
    directory: str
    recipe_file: str
    devices: str  # as asked: "auto", "cpu", "cuda:0"
    data_dir: str | None
    versions: dict[str, str]
    git: str  # commit of the directory, with "+" when it had changes; empty outside a repository
    job: str = ""  # the batch job that started it
    stall_seconds: float | None = None  # given up after so long without a sign
    is_tracked: bool = False  # trained by another program, which tells of it
    origin: Origin | None = None  # the weights of another run with which it began
    code: dict[str, str] = {}  # the SHA-256 of each file of another's network, which lie beside this one
