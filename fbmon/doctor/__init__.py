"""The fitness of this machine to train: one finding a question, and what to do about each; begin with examine.py."""
