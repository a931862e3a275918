"""The largest eigenvalues of the Hessian, measured during the training."""
