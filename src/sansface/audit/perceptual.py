"""How alike pictures of different people look to a network: the paper's table of LPIPS, by a stand-in.

LPIPS (Zhang et al. 2018) takes the layers of a network trained on ImageNet, AlexNet's or VGG's, makes the
channels at each place a unit vector, and sums over layers the mean square distance over places, with learnt
weights. Its weights are no part of this project. **So this is not LPIPS**: the layers are the inner ones of a
face recogniser, their weights one. The paper's own numbers lie between 4 and 5, where LPIPS lies below 1, so
that only their ratio compares: colours over moduli, 1.10.
"""

from dataclasses import dataclass

import numpy as np

from sansface.audit.attackers.layers import InnerLayers
from sansface.audit.scores import COVERAGE, DRAWS, Rate

TINY = 1e-10
"""Added to the length of a place's channels, as LPIPS does."""


@dataclass(frozen=True)
class Perceptual:
    """Between different people.  colour, modulus: mean distances.  ratio: of the first to the second."""

    colour: float
    modulus: float
    ratio: Rate


def unit_channels(maps: dict[str, np.ndarray]) -> np.ndarray:
    """Vectors whose square distances are the perceptual ones.

    Args:
        maps: name to (n, c, h, w) float32, as `InnerLayers.maps`.

    Returns:
        (n, Σ c · h · w) float32.
    """
    parts = []
    for values in maps.values():
        length = np.linalg.norm(values, axis=1, keepdims=True) + TINY
        parts.append((values / length / np.sqrt(values[0, 0].size)).reshape(len(values), -1))
    return np.concatenate(parts, axis=1)


def perceptual_distances(network: InnerLayers, pictures: np.ndarray) -> np.ndarray:
    """(n, n) float64 between all pairs of (n, 112, 112, 3) float32 pictures in [0, 1]."""
    vectors = unit_channels(network.maps(pictures)).astype(np.float64)
    gram = vectors @ vectors.T
    squares = np.diag(gram)
    return np.maximum(squares[:, None] + squares - 2 * gram, 0)


def perceptual_ratio(
    colour: np.ndarray, modulus: np.ndarray, people: np.ndarray, rng: np.random.Generator
) -> Perceptual:
    """How much more alike different people look when protected, by a bootstrap over people.

    Args:
        colour, modulus: (n, n) distances between the same pictures, clear and protected.
        people: (n,) int64, of two at least.
        rng: draws.
    """
    who, place = np.unique(people, return_inverse=True)
    member = np.eye(len(who))[place]
    apart = (people[:, None] != people).astype(np.float64)
    # Sums over the pairs of each two people; a draw counts a pair as often as both were drawn.
    sums = [member.T @ (values * apart) @ member for values in (colour, modulus)]
    pairs = member.T @ apart @ member
    drawn = []
    while len(drawn) < DRAWS:
        often = np.bincount(rng.integers(len(who), size=len(who)), minlength=len(who))
        if np.count_nonzero(often) > 1:
            drawn.append((often @ sums[0] @ often) / (often @ sums[1] @ often))
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    clear, hidden = (float(one.sum() / pairs.sum()) for one in sums)
    return Perceptual(clear, hidden, Rate(clear / hidden, float(low), float(high), int(pairs.sum()) // 2))
