"""Imported by every interpreter that the tests start: lets a fork of a server do its work, where one has it.

The interpreter finds this by its name on PYTHONPATH, before it looks for the module that it is to run.
"""

import os
import sys

if "FBMON_TEST_FORKS" in os.environ:
    from tests.forks.names import server_of

    if name := server_of(sys.orig_argv):
        from tests.forks.stand_in import stand_in

        stand_in(f"{os.environ['FBMON_TEST_FORKS']}-{name}")
