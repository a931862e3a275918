"""The fitness of this machine to train: one finding per question, and what to do about each; begin with examine.py."""
