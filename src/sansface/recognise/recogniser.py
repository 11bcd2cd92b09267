"""What is asked of a recogniser.

Whatever detector it came with: faces are found by YuNet (`sansface.recognise.detect`) and cut out before.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from sansface.recognise.align import Placing


@runtime_checkable
class Recogniser(Protocol):
    """From faces to vectors that are alike for one person.

    Attributes:
        name: for tables.
        digest: SHA-256 of its weights in hexadecimal; empty where there are none.
        placing: how the face must be cut out: the input's size and the alignment in it.
    """

    name: str
    digest: str
    placing: Placing

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Embeddings as the network gives them, to be compared by their cosine.

        Args:
            faces: (n, side, side, 3) float32 sRGB in [0, 1], placed as `placing` says.

        Returns:
            (n, d) float32.
        """
        ...
