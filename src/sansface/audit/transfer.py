"""A head in another's radiance: whom does a recogniser take it for? Figure 12 of the paper.

There Facenet took each of six such heads for the one whose radiance it wears. It proves nothing of what the
geometry tells by itself, which is measured on meshes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sansface.audit.scores import Threshold, by_person, similarities

Verdict = Literal["geometry", "radiance", "somebody else", "nobody"]


@dataclass(frozen=True)
class Taken:
    """Whom a dressed head was taken for.

    Attributes:
        verdict: the person of the highest mean similarity, if that reaches the person's threshold.
        likest: the person of the highest mean similarity, whatever it is; a head in its own radiance is like
            its `radiance`.
        to_geometry, to_radiance: mean cosine distances to the two people's clear pictures.
    """

    verdict: Verdict
    likest: Verdict
    to_geometry: float
    to_radiance: float


def taken_for(
    dressed: np.ndarray,
    enrolled: np.ndarray,
    owners: np.ndarray,
    geometry: int,
    radiance: int,
    thresholds: Mapping[int, Threshold],
) -> Taken:
    """Compare the views of one dressed head with all people's clear pictures.

    Args:
        dressed: (n, d) embeddings of its views.
        enrolled: (m, d) of clear pictures.
        owners: (m,) int64, whose; `geometry` and `radiance` are among them.
        thresholds: of a match with each person.
    """
    scores, people = by_person(similarities(dressed, enrolled), owners)
    mean = scores.mean(axis=0)
    best = int(np.argmax(mean))
    likest_person = int(people[best])
    known: dict[int, Verdict] = {geometry: "geometry", radiance: "radiance"}
    likest = known.get(likest_person, "somebody else")

    def distance(person: int) -> float:
        return float(1 - mean[people == person][0])

    matches = mean[best] >= thresholds[likest_person].value
    return Taken(likest if matches else "nobody", likest, distance(geometry), distance(radiance))
