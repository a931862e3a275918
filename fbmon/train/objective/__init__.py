"""The function to minimize: the loss, the penalties on its gradient, and the clipping of what comes of them."""
