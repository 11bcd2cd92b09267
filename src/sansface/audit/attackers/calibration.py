"""From scores to probabilities: several models' scores weighed, and all views of one person put together.

With weights w ≥ 0 for the models' scores s, p(person) = softmax(Σ w s): logistic regression (Brümmer and du
Preez 2006) fitted on pictures that the models were not fitted on. Of a single model w is one over a
temperature.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax


def calibrated(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The weights under which the true people are likeliest.

    Args:
        scores: (models, n, people) of pictures left out of the models' fits.
        labels: (n,) int64 in [0, people).

    Returns:
        (models,) float64 ≥ 0.
    """
    return _minimum(scores, labels)[0]


def log_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean −log p of the true person under the best weights; arguments as for `calibrated`."""
    return _minimum(scores, labels)[1]


def log_posteriors(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """log softmax(Σ w s): (n, people) float64, of (models, n, people) and (models,)."""
    return log_softmax(np.tensordot(weights, scores, axes=1), axis=1)


def fused_views(posteriors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Who is in all views of one person: the views' log posteriors summed, as if independent.

    Args:
        posteriors: (views, people) logarithms of probabilities, calibrated: an unsure view then counts
            little.
        groups: (views,) int64, 0 to g − 1: views of equal number show the same person.

    Returns:
        (g, people) float64 logarithms of probabilities.
    """
    total = np.zeros((groups.max(initial=-1) + 1, posteriors.shape[1]))
    np.add.at(total, groups, posteriors)
    return log_softmax(total, axis=1)


def _minimum(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    rows = np.arange(len(labels))
    true = scores[:, rows, labels]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        posteriors = log_posteriors(scores, weights)
        expected = np.einsum("mnp,np->mn", scores, np.exp(posteriors))
        return -float(posteriors[rows, labels].mean()), (expected - true).mean(axis=1)

    start = np.full(len(scores), 1 / len(scores))
    bounds = [(0.0, None)] * len(scores)
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return result.x, float(result.fun)
