"""Where hair is in a picture of a head, by MediaPipe's hair segmentation (Tkachenka et al. 2019)."""

import cv2
import numpy as np

from sansface.faces.tflite import Network

INPUT = 512
"""Pixels of the network's input."""


def hair_probability(picture: np.ndarray, network: Network | None = None) -> np.ndarray:
    """How likely each pixel is hair.

    Args:
        picture: (h, w, 3) uint8 sRGB of about one head.
        network: the loaded asset `hair`, to save time.

    Returns:
        (h, w) float32 in [0, 1].

    Raises:
        SansfaceError: the model is not on this device, or the extra `faces` is not installed.
    """
    network = network or Network("hair")
    small = cv2.resize(picture, (INPUT, INPUT), interpolation=cv2.INTER_AREA) / 255.0
    # The fourth channel is the mask of a video's last frame; of a single picture there is none.
    (found,) = network(np.dstack([small, np.zeros((INPUT, INPUT))]))
    rest, hair = np.moveaxis(found, -1, 0)
    probability = 1 / (1 + np.exp(np.clip(rest - hair, -50, 50)))
    return cv2.resize(probability.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
