"""Several processes that train as one: their meeting, their shares of blocks, and the check that they stay alike."""
