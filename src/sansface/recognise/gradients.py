"""Histograms of oriented gradients (Dalal and Triggs 2005): a recogniser without weights, and a weak one."""

import cv2
import numpy as np

from sansface.extras import require
from sansface.recognise.align import Placing


class Gradients:
    """The histograms of a grey picture, normalised block by block."""

    name = "gradients"
    digest = ""
    input = ""
    placing = Placing()

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """See `Recogniser`; d = 6,084."""
        hog = require("skimage.feature", extra="audit").hog
        grey = [cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_RGB2GRAY) for face in faces]
        found = [hog(face, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2)) for face in grey]
        return np.stack(found).astype(np.float32)
