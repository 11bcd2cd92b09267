"""The last of step II: a network that restores faces, where the user has one: GFPGAN (Wang et al. 2021).

It is given the square around the changed face, and what it makes of it stays within what was changed: beyond
the face the picture is the original to the bit as before. No weights are shipped.
"""

from pathlib import Path

import cv2
import numpy as np

from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.recognise.align import by_centres, similarity

SIDE = 512
"""Pixels of the square that such networks take."""
TEMPLATE = np.array(
    [[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]]
)
"""Where they expect the landmarks, as GFPGAN's own alignment places them (FFHQ's faces, 512 pixels)."""
SOFT = 0.05
"""Width over which the restored face fades at the rim of what was changed, in distances between the eyes."""
FINEST = 8
"""Pixels a side that go into one, of a large face."""
SOURCE = "github.com/TencentARC/GFPGAN, Apache-2.0, whose weights hold parts under NVIDIA's licence"


class Restorer:
    """A network that takes (1, 3, 512, 512) of red, green, blue in [−1, 1], and gives the same.

    Args:
        weights: its ONNX file.

    Raises:
        SansfaceError: the file is missing, is none that can be run, or takes and gives other pictures; or
            onnxruntime is not installed.
    """

    def __init__(self, weights: Path) -> None:
        runtime = require("onnxruntime", extra="restore")
        if not weights.is_file():
            raise SansfaceError(
                f"{weights} is missing; export GFPGAN to ONNX ({SOURCE}), or correct the path."
            )
        runtime.disable_telemetry_events()
        quiet = runtime.SessionOptions()
        quiet.log_severity_level = 4
        try:
            self._session = runtime.InferenceSession(
                str(weights), sess_options=quiet, providers=["CPUExecutionProvider"]
            )
            (self._name,) = (one.name for one in self._session.get_inputs())
            shape = self._run(np.zeros((SIDE, SIDE, 3), np.float32)).shape
        except Exception as error:  # onnxruntime raises classes of its own, derived from nothing else
            raise SansfaceError(
                f"{weights} is no network that takes and gives 1 × 3 × {SIDE} × {SIDE} pixels; export one "
                f"that restores faces ({SOURCE})."
            ) from error
        if shape != (SIDE, SIDE, 3):
            raise SansfaceError(f"{weights} gives {shape}, not a picture of {SIDE} pixels; give another one.")

    def restored(self, picture: np.ndarray, landmarks: np.ndarray, touched: np.ndarray) -> np.ndarray:
        """A picture with one of its changed faces restored.

        Args:
            picture: (h, w, 3) uint8 sRGB.
            landmarks: (5, 2) of that face, see `sansface.recognise.align`.
            touched: (h, w) bool, where it was changed: nothing else is.

        Raises:
            SansfaceError: the network gives numbers that are not finite.
        """
        fit = similarity(landmarks, TEMPLATE)
        face = _cut(picture, fit)
        drawn = self._run(face.astype(np.float32) / 127.5 - 1)
        if not np.isfinite(drawn).all():
            raise SansfaceError("the network that restores faces gives no finite numbers; leave it out.")
        size = picture.shape[1::-1]
        back = cv2.invertAffineTransform(by_centres(fit))
        drawn = cv2.warpAffine(127.5 * (drawn.clip(-1, 1) + 1), back, size, flags=cv2.INTER_LINEAR)
        within = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), back, size, flags=cv2.INTER_LINEAR)
        eyes = float(np.linalg.norm(landmarks[1] - landmarks[0]))
        share = _share(touched & (within > 1 - 1e-3), SOFT * eyes)
        mixed = picture + share[..., None] * (drawn - picture)
        return np.where(share[..., None] > 0, np.rint(mixed).astype(np.uint8), picture)

    def _run(self, face: np.ndarray) -> np.ndarray:
        planes = np.ascontiguousarray(face.transpose(2, 0, 1)[None])
        return self._session.run(None, {self._name: planes})[0][0].transpose(1, 2, 0)


def _cut(picture: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """(512, 512, 3) uint8: of a large face the mean over each pixel's area."""
    finer = int(np.clip(np.ceil(1 / np.sqrt(np.linalg.det(fit[:, :2]))), 1, FINEST))
    size, way = (finer * SIDE, finer * SIDE), cv2.INTER_LINEAR if finer > 1 else cv2.INTER_CUBIC
    fine = cv2.warpAffine(picture, by_centres(finer * fit), size, flags=way, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _share(within: np.ndarray, soft: float) -> np.ndarray:
    """(h, w) float32: 0 beyond, growing to 1 so many pixels within; the picture's own rim is none."""
    padded = np.pad(within.astype(np.uint8), 1, mode="edge")
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.clip(depth / max(soft, 1.0), 0, 1)
