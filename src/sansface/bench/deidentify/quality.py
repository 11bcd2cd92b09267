"""What a hidden picture keeps of the photograph: PSNR, SSIM, and the pixels that did not change at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sansface.audit.likeness import likeness
from sansface.deidentify.oval import box, oval

HEAD = 1.6
"""Times the oval of a face: beyond all heads nothing may change."""


@dataclass(frozen=True)
class Quality:
    """Of one picture.

    Attributes:
        psnr: of the whole picture, dB; ∞ where nothing changed.
        ssim: of the whole picture.
        psnr_face, ssim_face: in the box around the face's oval.
        changed: share of the pixels that changed.
        outside: pixels that changed beyond all heads, see `HEAD`.
    """

    psnr: float
    ssim: float
    psnr_face: float
    ssim_face: float
    changed: float
    outside: int


def quality(
    photograph: np.ndarray, hidden: np.ndarray, landmarks: np.ndarray, others: Sequence[np.ndarray] = ()
) -> Quality:
    """Compare two (h, w, 3) uint8 pictures.

    Args:
        photograph, hidden: see above.
        landmarks: (5, 2) of the photograph's face.
        others: of other faces in it, which a method may hide too.
    """
    height, width = photograph.shape[:2]
    face = box(oval(landmarks, height, width))
    clear, drawn = (picture[None].astype(np.float32) / 255 for picture in (photograph, hidden))
    whole, inner = likeness(drawn, clear), likeness(drawn[:, *face], clear[:, *face])
    changed = (photograph != hidden).any(axis=2)
    heads = [oval(one, height, width, HEAD) for one in (landmarks, *others)]
    return Quality(
        psnr=float(whole.psnr[0]),
        ssim=float(whole.ssim[0]),
        psnr_face=float(inner.psnr[0]),
        ssim_face=float(inner.ssim[0]),
        changed=float(changed.mean()),
        outside=int((changed & ~np.any(heads, axis=0)).sum()),
    )
