"""Several processes that train as one: how they meet, share their blocks, and stay alike."""
