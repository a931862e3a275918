"""The state of a training on a disk: what belongs to it, and how it is saved and restored."""
