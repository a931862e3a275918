"""fbmon from Python: `read` the numbers of a run, `start` one, `track` a training of your own."""
