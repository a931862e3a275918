"""The data that are trained on: data sets as two tensors on a device, cut into blocks, augmented by indexing."""
