"""Processes that answer with torch: the loss around weights, a step repeated bit by bit, the cost of a recipe."""
