"""Different pictures of which σ says the same: figures 3 and 4 of the paper, made by code.

σ keeps the length of how the colour changes, and drops its direction. So there are others:

- *Colours turned* (fig. 4). c ↦ Q (c − ½) + ½ with Q orthogonal changes no length. Of all Q the 48 symmetries
  of the cube, which swap channels and turn some of them into their negatives, leave every c in [0, 1].
- *The negative*, 1 − c, is one of them.
- *Regions mirrored* (fig. 3). v ↦ 2 v₀ − v on one side of a level set v = v₀ of a grey picture. Where that
  set is a band so wide that σ never sees both of its sides, no value of σ changes at all; and where the
  region does not reach the picture's border, no colour there either. k regions give 2^k pictures.

This shows that σ has no inverse: one answer among many has to be guessed. **It does not show that no attack
exists.** Of all those pictures one looks like a face, and whoever has seen faces knows which: how well he
guesses is measured in `sansface.audit.attackers`. Mirrored regions also need such bands, which a photograph,
noisy as it is, rarely has; `cored` puts them in, and so changes σ once, before the pictures are told apart.
"""

from itertools import permutations, product

import numpy as np
from scipy import ndimage
from skimage import measure


def recoloured(picture: np.ndarray) -> np.ndarray:
    """All pictures that a symmetry of the colour cube makes of one. The first is itself.

    Args:
        picture: (h, w, 3) float32 in [0, 1].

    Returns:
        (48, h, w, 3) float32 in [0, 1].
    """
    return np.stack(
        [
            np.where(negative, 1 - picture[:, :, list(order)], picture[:, :, list(order)])
            for negative in product((False, True), repeat=3)
            for order in permutations(range(3))
        ]
    )


def cored(picture: np.ndarray, level: float, margin: float) -> np.ndarray:
    """A grey picture whose values up to `margin` from a level are put on it, the others as much nearer.

    Where the picture changes by less than `margin` per pixel, its level set becomes a band.

    Args:
        picture: (h, w) float32.

    Returns:
        (h, w) float32.
    """
    away = picture - np.float32(level)
    return np.float32(level) + np.sign(away) * np.maximum(np.abs(away) - np.float32(margin), 0)


def regions(picture: np.ndarray, level: float, reach: int) -> np.ndarray:
    """Parts of a grey picture that σ never sees together, since a band of the level itself lies between them.

    Args:
        picture: (h, w) float32.
        reach: how far σ sees, `Operator.reach`.

    Returns:
        (h, w) int32: 0 on the level, else the region's number from 1.
    """
    off = picture != np.float32(level)
    # Two pixels may be seen at once up to 2 · reach apart: if and only if squares of that reach overlap.
    near = ndimage.binary_dilation(off, np.ones((3, 3), bool), iterations=reach)
    labels = np.asarray(measure.label(near, connectivity=2))
    return np.where(off, labels, 0).astype(np.int32)


def mirrored(picture: np.ndarray, level: float, labels: np.ndarray, chosen: tuple[int, ...]) -> np.ndarray:
    """The picture with v ↦ 2 · level − v in the regions chosen.

    Args:
        picture: (h, w) float32.
        labels: of `regions`.

    Returns:
        (h, w) float32; in [0, 1] if the picture's values there are within 2 · level − 1 to 2 · level.
    """
    return np.where(np.isin(labels, chosen), np.float32(2 * level) - picture, picture)
