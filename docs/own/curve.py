"""Write curve.npz beside this file: points (x0, x1) between -2 and 2, and sin(x0) * cos(x1) there."""

from pathlib import Path

import numpy as np

if __name__ == "__main__":
    x = np.random.default_rng(0).uniform(-2, 2, (1200, 2)).astype(np.float32)
    y = np.sin(x[:, 0]) * np.cos(x[:, 1])
    np.savez(Path(__file__).with_name("curve.npz"), x=x[:1000], y=y[:1000], x_val=x[1000:], y_val=y[1000:])
