"""Whether protected templates of one person can be told to belong together: Gomez-Barrero et al. 2018.

*General Framework to Evaluate Unlinkability in Biometric Template Protection Systems*, IEEE TIFS 13(6). A
score s compares two templates protected with different keys; they are mated if both are of one person. With
LR(s) = p(s | mated) / p(s | not mated) and ω the ratio of the prior probabilities,

    D(s) = 2 ω LR(s) / (1 + ω LR(s)) − 1  where ω LR(s) > 1, else 0,
    D_sys = ∫ p(s | mated) D(s) ds:

0 where the two cannot be told apart, 1 where they always can.
"""

import numpy as np

BINS = 100
"""At most; the authors' own program has as many, and ten mated scores in each at least."""


def linkability(mated: np.ndarray, others: np.ndarray, omega: float = 1.0) -> float:
    """D_sys, the densities as histograms over the range of all scores.

    Samples of one distribution differ by chance, and D counts only what is above 1: so it is a little above 0
    for them. How much, shuffled labels tell.

    Args:
        mated: (n,) scores of n ≥ 20 mated pairs: similarities or distances.
        others: (m,) of pairs of different people.
        omega: probability that a pair is mated / that it is not.
    """
    if len(mated) < 20 or not len(others):
        raise ValueError(f"{len(mated)} mated scores and {len(others)} others are too few for a density")
    both = np.concatenate([mated, others])
    edges = np.linspace(both.min(), both.max(), min(BINS, len(mated) // 10) + 1)
    p, q = (np.histogram(scores, edges)[0] / len(scores) for scores in (mated, others))
    # 2 ω p / (q + ω p) − 1 = (ω p − q) / (ω p + q), which needs no ratio where nobody else is.
    weight = omega * p + q
    local = np.divide(omega * p - q, weight, out=np.zeros_like(p), where=weight > 0)
    return float(p @ np.maximum(local, 0))
