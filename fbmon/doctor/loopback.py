"""The loopback, over which several devices of this machine exchange."""

from fbmon.doctor.finding import Finding, judge
from fbmon.host import loopback


def examine_loopback() -> Finding:
    """Judge whether the loopback interface is up."""
    is_up = loopback.is_up()
    advice = "run `ip link set lo up` as root: several devices exchange data over it; a single one does not need it"
    return judge("loopback", "up" if is_up else "down", advice, is_well=is_up)
