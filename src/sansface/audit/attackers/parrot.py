"""Parrot, closed set: the attacker protects his own gallery with the same operator, and fits on that.

Of each descriptor three models are fitted (`linear`): ridge regression, ridge regression with a Gaussian
kernel, and linear discriminants. Each one's strength of regularisation, and how much each counts in the end,
follow from photographs of the gallery that were left out; no probe decides anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sansface.audit.attackers import linear
from sansface.audit.attackers.calibration import calibrated, log_loss, log_posteriors
from sansface.errors import SansfaceError

MODELS = ("ridge", "kernel ridge", "discriminant")


@dataclass(frozen=True)
class ParrotSettings:
    """What is tried on the gallery."""

    strengths: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    """Of the regularisation, in units of the mean variance along a direction of the gallery."""
    folds: int = 4
    """Parts of the gallery that are left out in turn, for the discriminants; ridge leaves out each
    photograph."""


@dataclass(frozen=True, eq=False)
class Fit:
    """One model on one descriptor.

    Attributes:
        name: of descriptor and model.
        strength: of the regularisation, the best one on photographs left out.
        left_out: (n, people) standardised scores of the gallery's photographs, each left out of its own fit;
            of the only photograph of a person NaN by discriminants, and of no use by the others.
        scores: (m, people) standardised scores of the probes.
    """

    name: str
    strength: float
    left_out: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Named:
    """What the attacker says of the probes.

    Attributes:
        fits: all models on all descriptors.
        weights: (fits,) ≥ 0, each one's share in `scores`.
        scores: (m, people) float64 logarithms of probabilities, calibrated on photographs left out.
    """

    fits: tuple[Fit, ...]
    weights: np.ndarray
    scores: np.ndarray


def name_people(
    gallery: Mapping[str, np.ndarray],
    labels: np.ndarray,
    probes: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    settings: ParrotSettings | None = None,
) -> Named:
    """Fit on a protected gallery, and say who is in protected probes.

    Args:
        gallery: name of a descriptor to (n, copies, d) float32; a photograph's copies are mirrored or moved.
            A recogniser's or a student's features are descriptors like any other.
        labels: (n,) int64, whose photograph: 0 to people − 1, each at least once, most at least twice.
        probes: the same names to (m, copies, d); the scores of a probe's copies are averaged.
        rng: divides the gallery into folds.

    Raises:
        SansfaceError: other descriptors for the probes than for the gallery, or one person or nobody with two
            photographs.
    """
    settings = settings or ParrotSettings()
    people = int(labels.max(initial=-1)) + 1
    counts = np.bincount(labels, minlength=people)
    if set(gallery) != set(probes) or not gallery:
        raise SansfaceError("gallery and probes have no, or other, descriptors; describe both alike.")
    if people < 2 or counts.min() < 1 or counts.max() < 2:
        raise SansfaceError(
            "the gallery has one person only, or nobody with two photographs; enrol more photographs."
        )
    fold = linear.folds(labels, np.arange(len(labels)), settings.folds, rng)
    fits = []
    for name, known in gallery.items():
        fits += _fits(name, known, labels, fold, probes[name], people, settings)
    return weighed(fits, labels)


def weighed(fits: Sequence[Fit], labels: np.ndarray) -> Named:
    """What models say together, or some of them: each counts as photographs left out of its fit tell."""
    told = np.bincount(labels)[labels] > 1
    weights = calibrated(np.stack([fit.left_out[told] for fit in fits]), labels[told])
    return Named(
        tuple(fits),
        weights,
        log_posteriors(np.stack([fit.scores for fit in fits]), weights),
    )


def _fits(
    name: str,
    known: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    asked: np.ndarray,
    people: int,
    settings: ParrotSettings,
) -> list[Fit]:
    """All models on one descriptor."""
    (n, copies), (m, shown) = known.shape[:2], asked.shape[:2]
    x, y = linear.coordinates(known.reshape(n * copies, -1), asked.reshape(m * shown, -1))
    owners, photographs = labels.repeat(copies), np.arange(n).repeat(copies)
    strengths = settings.strengths
    every = {
        "ridge": linear.ridge(x @ x.T, y @ x.T, owners, photographs, people, strengths),
        "kernel ridge": linear.ridge(*linear.gaussian_kernel(x, y), owners, photographs, people, strengths),
        "discriminant": (
            linear.discriminant_left_out(x, owners, fold.repeat(copies), people, strengths),
            linear.discriminant(x, owners, y, people, strengths),
        ),
    }
    result = []
    for model in MODELS:
        left_out, scores = (
            linear.standardised(one.reshape(len(strengths), -1, number, people).mean(axis=2))
            for one, number in zip(every[model], (copies, shown), strict=True)
        )
        told = fold >= 0
        losses = [log_loss(one[None, told], labels[told]) for one in left_out]
        best = int(np.argmin(losses))
        result.append(Fit(f"{name}, {model}", strengths[best], left_out[best], scores[best]))
    return result
