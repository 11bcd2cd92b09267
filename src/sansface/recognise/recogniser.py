"""What is asked of a recogniser.

Whatever detector it came with: faces are found by YuNet (`sansface.recognise.detect`) and cut out before.
"""

from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sansface.recognise.align import Placing


@runtime_checkable
class Recogniser(Protocol):
    """From faces to vectors that are alike for one person.

    Attributes:
        name: for tables.
        digest: SHA-256 of its weights in hexadecimal; empty where there are none.
        input: how the network's values are made of a face that was cut out, in words; empty where the
            weights are never used but in one way.
        placing: how the face must be cut out: the input's size and the alignment in it.
    """

    name: str
    digest: str
    input: str
    placing: Placing

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Embeddings as the network gives them, to be compared by their cosine.

        Args:
            faces: (n, side, side, 3) float32 sRGB in [0, 1], placed as `placing` says.

        Returns:
            (n, d) float32.
        """
        ...


def known_by(recogniser: Recogniser) -> dict[str, Any]:
    """All that decides what it says of a photograph, as plain JSON: what it said is kept under this."""
    return {
        "name": recogniser.name,
        "weights": recogniser.digest,
        "input": recogniser.input,
        "placing": asdict(recogniser.placing),
    }
