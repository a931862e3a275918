"""The training data: data sets as two tensors on a device, cut into blocks, augmented by indexing."""
