"""`fbmon`, also as `python -m fbmon`: before all else, signals that come before a run has begun get their meaning."""

import sys

from fbmon.host.signals import leave_at_signals

_TRAINING = ("run", "resume", "reproduce")  # the commands that batch systems start, and that signals therefore reach


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in _TRAINING:
        leave_at_signals()
    from fbmon.cli import main  # a fifth of a second of imports

    main()


if __name__ == "__main__":
    main()
