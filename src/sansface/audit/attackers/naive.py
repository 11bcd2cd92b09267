"""Naive: enrolled with clear photographs, the recogniser as it is, the probe as it was uploaded.

The weakest attacker, and the one that the papers test. He knows where the face lies (a bundle has the
cameras), enlarges the picture to what the recogniser takes, and stretches its values; he trains nothing.
"""

from collections.abc import Callable

import numpy as np

from sansface.audit.scores import similarities
from sansface.recognise.align import Placing
from sansface.recognise.recogniser import Recogniser

SHOWN = {"as it is": False, "as a drawing": True}
"""How he shows a protected picture: bright lines on black, or dark ones on white, as one draws a face."""


def naive(
    recogniser: Recogniser, clear: np.ndarray, probes: np.ndarray, placed: Placing, drawing: bool = False
) -> np.ndarray:
    """How like each probe is to each clear photograph.

    Args:
        recogniser: as it is.
        clear: (m, d) its embeddings of the clear photographs enrolled.
        probes: (n, h, w) float32, protected.
        placed: where the face lies in them.
        drawing: see `as_pictures`.

    Returns:
        (n, m) float64.
    """
    pictures = recogniser.placing.again(as_pictures(probes, drawing), placed)
    return similarities(recogniser.embed(pictures), clear)


def seen(
    probes: np.ndarray, placed: Placing, detects: Callable[[np.ndarray, np.ndarray], bool]
) -> dict[str, np.ndarray]:
    """Of each way in `SHOWN`, (n,) bool: does a detector find the face?

    Args:
        probes, placed: as for `naive`.
        detects: whether there is a face in a (h, w, 3) uint8 picture at (5, 2) landmarks.
    """
    found = {}
    for shown, drawing in SHOWN.items():
        codes = np.rint(255 * as_pictures(probes, drawing)).astype(np.uint8)
        found[shown] = np.array([detects(one, placed.landmarks) for one in codes])
    return found


def as_pictures(modulus: np.ndarray, drawing: bool = False) -> np.ndarray:
    """Grey pictures in three channels, each one's values stretched from black to white.

    Args:
        modulus: (n, h, w) float32.
        drawing: dark lines on white, as one draws a face, in place of bright ones on black. Recognisers of
            photographs take these better for faces: benchmarks/audit_lfw.py has both.

    Returns:
        (n, h, w, 3) float32 in [0, 1].
    """
    most = modulus.max(axis=(1, 2), keepdims=True)
    bright = modulus / np.where(most > 0, most, 1)
    return np.repeat((1 - bright if drawing else bright)[..., None], 3, axis=3)
