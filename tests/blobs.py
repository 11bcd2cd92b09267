"""Procedural pictures that the attackers' tests share."""

import numpy as np
import torch

SIDE = 32


def blobs(n: int, seed: int = 0) -> torch.Tensor:
    """(n, 3, SIDE, SIDE) float32 in [0.1, 0.9]: coloured blobs on coloured grounds."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    pictures = np.empty((n, 3, SIDE, SIDE), np.float32)
    for picture in pictures:
        picture[:] = rng.uniform(0.1, 0.9, (3, 1, 1))
        for _ in range(4):
            distance = np.hypot(x - rng.uniform(6, 26), y - rng.uniform(6, 26)) / rng.uniform(3, 7)
            share = np.exp(-(distance**2))
            picture[:] = picture * (1 - share) + rng.uniform(0.1, 0.9, (3, 1, 1)) * share
    return torch.from_numpy(pictures)


def shown(pictures: torch.Tensor) -> np.ndarray:
    """(n, 3, h, w) as the (n, h, w, 3) of an array."""
    return pictures.permute(0, 2, 3, 1).numpy()
