"""Looks at trained weights: the loss around them, and whether their training can be repeated bit by bit."""
