"""What a server would hold of a photograph: σ by the client's own code, as a bundle codes it."""

from math import ceil

import numpy as np

from sansface.protect.contents import SCALE_STEPS, levels
from sansface.protect.pipeline import ProtectSettings
from sansface.protect.reduce import disturbed, sensitive_codes


def protected(crops: np.ndarray, settings: ProtectSettings, rng: np.random.Generator) -> np.ndarray:
    """σ of pictures that are already cut out and reduced, each a bundle of its own.

    No mask is known, so nothing is withheld: backgrounds stay, and the outline of the face before them.

    Args:
        crops: (n, h, w, 3) float32 sRGB in [0, 1], of the size that is uploaded.
        settings: operator, blur, bits, noise and gain; the others mean nothing here.
        rng: draws noise and gain.

    Returns:
        (n, h, w) float32, what the codes say.
    """
    sigma = settings.sigma()
    steps = levels(settings.bits) - 1
    result = np.empty(crops.shape[:3], dtype=np.float32)
    everywhere = np.ones(crops.shape[1:3], dtype=bool)
    for index, crop in enumerate(crops):
        values = disturbed(sigma(crop), settings.noise, settings.gain, rng)
        scale = max(1, ceil(float(values.max()) * SCALE_STEPS)) / SCALE_STEPS
        codes = sensitive_codes(values, everywhere, scale, settings.bits)
        result[index] = (codes.astype(np.float32) - 1) / np.float32(steps) * np.float32(scale)
    return result
