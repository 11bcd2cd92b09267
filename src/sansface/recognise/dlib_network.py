"""The Face Recognition library's network: dlib's residual network of 2017 (King), 128 numbers a face."""

import hashlib
from pathlib import Path

import numpy as np

from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.recognise.align import Placing

FILE = "dlib_face_recognition_resnet_model_v1.dat"
SOURCE = "dlib.net/files, or the package face_recognition_models 0.3.0; public domain (CC0 1.0)"
BATCH = 32
"""Faces at a time."""
PLACING = Placing(150, 54.2, (-1.0, -23.9))
"""dlib's chip of 150 pixels with a padding of 0.25. Its landmarks are others, so this is where YuNet's lie on
average in the chips of 100 photographs."""


class DlibNetwork:
    """The network, from its file.

    Args:
        weights: the `.dat` file, or the folder with it.

    Raises:
        SansfaceError: dlib is not installed, the file is missing or not this network.
    """

    name = "dlib"
    input = ""
    placing = PLACING

    def __init__(self, weights: Path) -> None:
        dlib = require("dlib", extra="dlib")
        path = weights / FILE if weights.is_dir() else weights
        if not path.is_file():
            raise SansfaceError(f"{path} is missing; get {FILE} ({SOURCE}).")
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        try:
            self._network = dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise SansfaceError(f"{path} is not dlib's recogniser; get {FILE} ({SOURCE}).") from error

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """See `Recogniser`; d = 128."""
        codes = list(np.rint(255 * faces).clip(0, 255).astype(np.uint8))
        found = []
        for start in range(0, len(codes), BATCH):
            found += self._network.compute_face_descriptor(codes[start : start + BATCH])
        return np.array(found, dtype=np.float32)
