"""The function to minimize: the loss, the penalties on its gradient, and the clipping of the result."""
