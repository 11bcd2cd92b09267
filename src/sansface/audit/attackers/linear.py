"""Linear models that name a person: ridge regression and linear discriminants, from few pictures of each.

There are far more numbers in a descriptor than pictures, so all models work in the principal coordinates of
the gallery, in which nothing of it is lost. A model is fitted for several strengths of its regularisation at
once; which one counts is decided by photographs of the gallery that were left out, never by a probe.

Features (n, d) float; labels (n,) int64 in [0, people), each person at least once; photographs (n,) int64:
rows of equal number are copies of one photograph (mirrored, shifted) and are left out together.
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh, svd

Scores = tuple[np.ndarray, np.ndarray]
"""(strengths, n, people) of the gallery's rows, each left out of its own fit, and (strengths, m, people) of
the probes; float64, more is likelier."""


def coordinates(gallery: np.ndarray, probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal coordinates of a gallery: the same inner products, at most n numbers each.

    What of a probe is perpendicular to the whole gallery is lost; no model here could use it.

    Args:
        gallery: (n, d).
        probes: (m, d).

    Returns:
        (n, r) and (m, r) float64, r ≤ n, of variance falling from left to right, mean 0 over the gallery;
        both are divided by the gallery's root mean square length.
    """
    mean = gallery.mean(axis=0, dtype=np.float64).astype(gallery.dtype)
    centred = gallery - mean
    values, vectors = eigh((centred @ centred.T).astype(np.float64))
    # The mean is 0, so one value at least is nothing but rounding.
    kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1]
    spread, vectors = np.sqrt(values[kept]), vectors[:, kept]
    unit = np.sqrt(values[kept].sum() / len(gallery))
    across = ((probes - mean) @ centred.T).astype(np.float64) @ (vectors / spread)
    return vectors * spread / unit, across / unit


def ridge(
    gram: np.ndarray,
    across: np.ndarray,
    labels: np.ndarray,
    photographs: np.ndarray,
    people: int,
    strengths: Sequence[float],
) -> Scores:
    """Ridge regression to one number a person (Hoerl and Kennard 1970), from inner products or any kernel.

    Y is 1 for the person and 0 for others, the intercept is free, λ the strength times the mean eigenvalue
    of the centred K. What is said of a photograph whose copies are left out follows without refitting: with
    H = K (K + λ)⁻¹ + 1/n, so that H Y is fitted, the residual is the fit's times the inverse of their own
    rows and columns of 1 − H (Allen 1974 for single rows). Keeping all rows' mean would give away the one
    left out.

    Args:
        gram: (n, n) of the gallery with itself.
        across: (m, n) of the probes with the gallery.
    """
    n = len(labels)
    target = np.eye(people)[labels]
    values, vectors = eigh(gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean())
    moment, turned = vectors.T @ (target - target.mean(axis=0)), (across - gram.mean(axis=0)) @ vectors
    own = [np.flatnonzero(photographs == one) for one in np.unique(photographs)]
    left_out, scores = [], []
    for step in _steps(values, strengths):
        dual = moment / (values + step)[:, None]
        half = vectors * np.sqrt(step / (values + step))
        residual, out = step * (vectors @ dual), np.empty_like(target)
        for rows in own:
            kept = half[rows] @ half[rows].T - 1 / n
            out[rows] = target[rows] - np.linalg.solve(kept, residual[rows])
        left_out.append(out)
        scores.append(turned @ dual + target.mean(axis=0))
    return np.stack(left_out), np.stack(scores)


def gaussian_kernel(features: np.ndarray, probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """exp(−‖x − y‖² / h), h the gallery's mean square distance: (n, n) and (m, n), for `ridge`."""
    squares = [np.square(one).sum(axis=1) for one in (features, probes)]
    near, far = (
        square[:, None] + squares[0] - 2 * one @ features.T
        for square, one in zip(squares, (features, probes), strict=True)
    )
    spread = near.mean() or 1.0  # of a gallery of one and the same descriptor, too
    return np.exp(-near / spread), np.exp(-far / spread)


def discriminant(
    features: np.ndarray, labels: np.ndarray, probes: np.ndarray, people: int, strengths: Sequence[float]
) -> np.ndarray:
    """Cosines to the people's means in the space of linear discriminants (Fisher 1936).

    The covariance within people is S + λ s, s its mean variance a direction. Where it is the unit, the space
    that the people's means span is that of the discriminants; whatever lies outside says nothing.
    """
    mean = features.mean(axis=0)
    means = np.stack([features[labels == person].mean(axis=0) for person in range(people)])
    values, vectors = eigh(np.cov((features - means[labels]).T, bias=True))
    turned = [(one - mean) @ vectors for one in (means, probes)]
    result = []
    for step in _steps(values, strengths):
        known, asked = (one / np.sqrt(values + step) for one in turned)
        basis, weights, _ = svd((known - known.mean(axis=0)).T, full_matrices=False)
        basis = basis[:, weights > 1e-9 * weights[0]]
        result.append(directions(asked @ basis) @ directions(known @ basis).T)
    return np.stack(result)


def folds(labels: np.ndarray, photographs: np.ndarray, largest: int, rng: np.random.Generator) -> np.ndarray:
    """A fold for each row: a photograph's copies together, each person's photographs spread over the folds.

    A person of a single photograph is in fold −1, which is never left out: nothing else tells of that person.

    Returns:
        (n,) int64, −1 or 0 to at most `largest` − 1.
    """
    result = np.full(len(labels), -1)
    for person in np.unique(labels):
        own = rng.permutation(np.unique(photographs[labels == person]))
        for place, photograph in enumerate(own if len(own) > 1 else ()):
            result[photographs == photograph] = place % largest
    return result


def discriminant_left_out(
    features: np.ndarray, labels: np.ndarray, fold: np.ndarray, people: int, strengths: Sequence[float]
) -> np.ndarray:
    """(strengths, n, people): cosines of each row to the means of the other folds; NaN in fold −1."""
    result = np.full((len(strengths), len(labels), people), np.nan)
    for one in range(fold.max() + 1):
        out = fold == one
        result[:, out] = discriminant(features[~out], labels[~out], features[out], people, strengths)
    return result


def standardised(scores: np.ndarray) -> np.ndarray:
    """Each probe's scores less their mean, over their deviation: (…, people)."""
    centred = scores - scores.mean(axis=-1, keepdims=True)
    return centred / np.maximum(centred.std(axis=-1, keepdims=True), 1e-12)


def _steps(values: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
    return np.asarray(strengths) * max(float(values.mean()), 1e-12)


def directions(vectors: np.ndarray) -> np.ndarray:
    """(n, d) of length 1; of length 0 where they are."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
