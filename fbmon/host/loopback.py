"""The loopback: the network of one machine with itself, over which the processes of several devices exchange."""

import os

NAME = "lo0" if os.uname().sysname == "Darwin" else "lo"


def is_up() -> bool:
    """Say whether it is up; a new network namespace has one that nobody has set up."""
    import psutil  # not for those who only want the name

    loopback = psutil.net_if_stats().get(NAME)
    return loopback is not None and loopback.isup
