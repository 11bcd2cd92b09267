"""How like the clear pictures are to those that an attacker drew, beside the attacker who knows nothing.

PSNR and SSIM (Wang et al. 2004, with its Gaussian window of 1.5 pixels), by scikit-image. The trivial
attacker returns the mean training face, whatever he is given. Whoever does not beat him has learnt nothing
from the protected picture. Both say how the picture looks, not whom it names: that takes a recogniser.
"""

from dataclasses import dataclass

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

WITHIN = 0.95
"""Share of the draws inside an interval."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """Of n pairs. psnr: (n,) float64 dB, inf for equal pictures.  ssim: (n,) float64, at most 1."""

    psnr: np.ndarray
    ssim: np.ndarray


@dataclass(frozen=True)
class Interval:
    """A mean over people and its bootstrap interval, which holds `WITHIN` of the draws."""

    mean: float
    low: float
    high: float


def likeness(drawn: np.ndarray, clear: np.ndarray) -> Likeness:
    """Compare pictures one by one.

    Args:
        drawn: (n, h, w, 3) float32 sRGB values in [0, 1], or (h, w, 3), one for all.
        clear: (n, h, w, 3).
    """
    psnr, ssim = [], []
    for one, other in zip(np.broadcast_to(drawn, clear.shape), clear, strict=True):
        equal = np.array_equal(one, other)
        psnr.append(np.inf if equal else peak_signal_noise_ratio(other, one, data_range=1.0))
        ssim.append(
            structural_similarity(
                other,
                one,
                data_range=1.0,
                channel_axis=2,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )
    return Likeness(np.array(psnr, dtype=np.float64), np.array(ssim, dtype=np.float64))


def advantage(
    values: np.ndarray, trivial: np.ndarray, people: np.ndarray, rng: np.random.Generator, draws: int = 2000
) -> Interval:
    """How much better than the trivial attacker, by a paired bootstrap over people.

    Each draw takes as many people as there are, with replacement, and of each all pictures: those of one
    person are no independent trials. The attacker counts as better if `low` is above 0.

    Args:
        values, trivial: (n,) of the same pictures, larger being better.
        people: (n,) int64, whose picture it is.
    """
    _, owner = np.unique(people, return_inverse=True)
    pictures = np.bincount(owner)
    gains = np.bincount(owner, weights=values - trivial)
    drawn = rng.integers(len(pictures), size=(draws, len(pictures)))
    means = gains[drawn].sum(axis=1) / pictures[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - WITHIN) / 2, (1 + WITHIN) / 2])
    return Interval(float(gains.sum() / pictures.sum()), float(low), float(high))
