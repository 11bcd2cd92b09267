"""The head that was fitted to a photograph, rendered by the neural head from other cameras."""

from collections.abc import Sequence

import numpy as np

from sansface.capture import Camera
from sansface.heads.appearance import Appearance
from sansface.heads.fit import FittedHead
from sansface.heads.neural.codes import HeadCodes
from sansface.heads.neural.file import load_neural_head
from sansface.heads.neural.render import render
from sansface.heads.trace import srgb


def views(head: FittedHead, appearance: Appearance, cameras: Sequence[Camera]) -> list[np.ndarray]:
    """(h, w, 3) uint8 sRGB on white for each camera, in the photograph's light, which stays with the head.

    cameras: in the model's frame, in millimetres.
    """
    own = (head.identity.clip(-3, 3), head.expression, appearance.albedo, appearance.light)
    codes = HeadCodes(*(code.astype(np.float32) for code in own))
    neural, shown = load_neural_head(), []
    for camera in cameras:
        rgba = render(neural, codes, camera, samples=1)
        picture = rgba[..., :3] + 1 - rgba[..., 3:]
        shown.append((255 * srgb(picture.clip(0, 1)) + 0.5).astype(np.uint8))
    return shown
