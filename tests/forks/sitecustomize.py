"""Imported by every interpreter that the tests start: lets a fork of the server do the work of one that needs torch.

The interpreter finds this by its name on PYTHONPATH, before it looks for the module that it is to run.
"""

import os
import sys

if "FBMON_TEST_FORKS" in os.environ:
    from tests.forks.names import is_served

    if is_served(sys.orig_argv):
        from tests.forks.stand_in import stand_in

        stand_in(os.environ["FBMON_TEST_FORKS"])
