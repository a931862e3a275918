"""The trainer: full-batch gradient descent; the only room that knows torch. Begin with loop.py."""
