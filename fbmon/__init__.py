"""fbmon trains a network without stochasticity and shows the training live in a terminal."""

__version__ = "0.1.0"
