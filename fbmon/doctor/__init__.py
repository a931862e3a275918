"""Whether this machine is fit to train: one finding a question, and what to do about each; begin with examine.py."""
