"""Pictures of many people as an attacker describes and compares them, those from one side with each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.audit.attackers.calibration import fused_views
from sansface.audit.attackers.descriptors import describe
from sansface.audit.attackers.layers import InnerLayers, describe_layers
from sansface.audit.attackers.linear import directions
from sansface.audit.attackers.parrot import name_people
from sansface.audit.people import STANDARD
from sansface.audit.scores import by_person, similarities
from sansface.recognise.recogniser import Recogniser


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures and what is known of them.

    Attributes:
        labels: (n,) int64, whom each shows, 0 to people − 1.
        groups: (n,) int64: only pictures of one group are compared, such as those from one side.
        described: name of a descriptor to (n, d) float32.
    """

    labels: np.ndarray
    groups: np.ndarray
    described: Mapping[str, np.ndarray]

    def only(self, kept: np.ndarray) -> "Views":
        """Those of a (n,) bool."""
        return Views(self.labels[kept], self.groups[kept], {k: v[kept] for k, v in self.described.items()})


def of_modulus(pictures: np.ndarray, layers: Mapping[str, InnerLayers]) -> dict[str, np.ndarray]:
    """Descriptors of protected faces, the parrot's own and a recogniser's inner layers.

    Args:
        pictures: (n, 64, 64) float32 ≥ 0, placed as `STANDARD` says.
    """
    return describe(pictures) | describe_layers(layers, pictures, STANDARD.eyes)


def of_silhouettes(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Descriptors of (n, h, w) float32 coverage in [0, 1], of whole heads: coverage, and how far the outline.

    The distance is signed, in pixels, cut off at an eighth of the picture.
    """
    most = pictures.shape[1] / 8
    distances = np.stack([_signed_distance(one).clip(-most, most) for one in pictures])
    return {"coverage": _flat(pictures), "outline": _flat(distances / most)}


def of_colour(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Descriptors of whole pictures, (n, h, w, 3) float32 in [0, 1]: small copies, and those of grey."""
    small = np.stack([cv2.resize(one, (16, 16), interpolation=cv2.INTER_AREA) for one in pictures])
    return {"colours": _flat(small)} | describe(pictures.mean(axis=3))


def of_faces(faces: np.ndarray, recognisers: Sequence[Recogniser]) -> dict[str, np.ndarray]:
    """Descriptors of faces that a recogniser takes as they are: its embeddings, and those of grey.

    Args:
        faces: (n, 112, 112, 3) float32 in [0, 1], placed as `CLEAR` says.
    """
    found = {one.name: directions(one.embed(faces)) for one in recognisers}
    small = np.stack([cv2.resize(one.mean(axis=2), (64, 64), interpolation=cv2.INTER_AREA) for one in faces])
    return found | describe(small)


def named(gallery: Views, probes: Views, rng: np.random.Generator) -> np.ndarray:
    """Who is in each probe, after the parrot's linear models, fitted for each group on its own.

    Args:
        gallery: of each group every person at least once, and somebody twice.
        rng: divides the gallery into folds.

    Returns:
        (probes, people) float64 logarithms of probabilities.
    """
    people = int(gallery.labels.max()) + 1
    scores = np.zeros((len(probes.labels), people))
    for group in np.unique(probes.groups):
        known, asked = gallery.only(gallery.groups == group), probes.groups == group
        shown = probes.only(asked)
        scores[asked] = name_people(
            {name: values[:, None] for name, values in known.described.items()},
            known.labels,
            {name: shown.described[name][:, None] for name in known.described},
            rng,
        ).scores
    return scores


def alike(gallery: Views, probes: Views, name: str) -> np.ndarray:
    """How like each probe is to a person's pictures of its group: mean cosines of one descriptor.

    Returns:
        (probes, people) float64.
    """
    people = int(gallery.labels.max()) + 1
    scores = np.zeros((len(probes.labels), people))
    for group in np.unique(probes.groups):
        known, asked = gallery.only(gallery.groups == group), probes.groups == group
        cosines = similarities(probes.described[name][asked], known.described[name])
        scores[asked], _ = by_person(cosines, known.labels)
    return scores


def together(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(people, people): the scores of all pictures of a person, summed; for log probabilities, fused."""
    return fused_views(scores, labels)


def _signed_distance(coverage: np.ndarray) -> np.ndarray:
    inside = (coverage >= 0.5).astype(np.uint8)
    out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return (cv2.distanceTransform(inside, cv2.DIST_L2, 5) - out).astype(np.float32)


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.reshape(len(values), -1), dtype=np.float32)
