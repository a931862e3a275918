"""The largest eigenvalues of the Hessian, while it trains."""
