"""KID: do hidden faces look like photographs? (Bińkowski et al. 2018, sec. 4)

The squared maximum mean discrepancy, without bias, of the kernel k(x, y) = (x·y / d + 1)³ between features of
hidden pictures and of clear photographs of other people: 0 in the mean for pictures of one kind, so at times
below it. (Clear photographs of the same people would not do, for the two are not drawn independently.)

The paper's FID and others' KID take Inception's pooled features. Its weights are no part of this project, so
the backbone here is **a stand-in**, the inner layers of a face recogniser: numbers compare with each other
alone, not with a paper's. With an ONNX file of Inception it is KID as published.
"""

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from sansface.audit.attackers.layers import inner_layers
from sansface.audit.attackers.linear import directions
from sansface.recognise.align import Placing
from sansface.recognise.onnx import OnnxRecogniser, edgeface

FLOOR = 0.1
"""Of the median deviation."""
SUBSETS, SIZE = 100, 100
"""Drawn for the spread, and pictures in each."""
FACE = Placing()
"""How the stand-in's faces are cut out."""
INCEPTION = Placing(299)
"""What Inception takes, of the whole picture."""


class Backbone(Protocol):
    """From a picture to numbers.  name: for tables.  standard: does its KID compare with other people's?"""

    name: str
    standard: bool

    def features(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(d,) float64 of a (h, w, 3) uint8 picture, of whose face (5, 2) landmarks are known."""
        ...


class StandIn:
    """A recogniser's inner layers of the face cut out, each channel's mean and deviation over the places."""

    standard = False

    def __init__(self, recogniser: OnnxRecogniser | None = None) -> None:
        chosen = recogniser or edgeface()
        self._layers = inner_layers(chosen)
        self.name = f"inner layers of {chosen.name}, a stand-in"

    def features(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """See `Backbone`."""
        maps = self._layers.maps(FACE.cut(picture, landmarks)[None]).values()
        parts = [part for one in maps for part in (one[0].mean(axis=(1, 2)), one[0].std(axis=(1, 2)))]
        return np.concatenate(parts).astype(np.float64)


class OnnxBackbone:
    """A network of the user's own, such as Inception: (n, 3, 299, 299), (byte − 127.5) / 127.5, to (n, d).

    Raises:
        SansfaceError: as for `OnnxRecogniser`.
    """

    standard = True

    def __init__(self, weights: Path) -> None:
        self._network = OnnxRecogniser(weights, placing=INCEPTION)
        self.name = weights.stem

    def features(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """See `Backbone`."""
        scale = INCEPTION.side / max(picture.shape[:2])
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        values = cv2.resize(picture, (INCEPTION.side, INCEPTION.side), interpolation=way)
        return self._network.embed(values[None].astype(np.float32) / 255)[0].astype(np.float64)


def standardised(clear: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of a stand-in, which may be of any size, brought to the kernel: (n, d) and (m, d).

    Each number less its mean over clear photographs, over its deviation there, or over a tenth of the median
    deviation if that is more; then each picture's vector of length √d, so that x·y / d is a cosine. What lies
    far from all photographs would otherwise, by the third power, count for everything.
    """
    deviation = clear.std(axis=0)
    scale = np.maximum(deviation, max(FLOOR * float(np.median(deviation)), 1e-12))
    both = (directions((one - clear.mean(axis=0)) / scale) for one in (clear, other))
    first, second = (np.sqrt(clear.shape[1]) * one for one in both)
    return first, second


def kid(one: np.ndarray, other: np.ndarray) -> float:
    """Of features (n, d) and (m, d), n and m ≥ 2."""
    n, m, d = len(one), len(other), one.shape[1]
    own, others, across = ((a @ b.T / d + 1) ** 3 for a, b in ((one, one), (other, other), (one, other)))
    within = (own.sum() - np.trace(own)) / (n * (n - 1)) + (others.sum() - np.trace(others)) / (m * (m - 1))
    return float(within - 2 * across.mean())


def kid_spread(one: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> float:
    """Standard deviation of KID over subsets of `SIZE` pictures, or of half of them where there are fewer."""
    count = max(2, min(SIZE, len(one) // 2, len(other) // 2))
    drawn = [
        kid(*(x[rng.choice(len(x), count, replace=False)] for x in (one, other))) for _ in range(SUBSETS)
    ]
    return float(np.std(drawn))
