"""docs/images/equal_modulus.png: pictures of the procedural head of which σ says exactly the same.

    python docs/images/from_equal_modulus.py

Above, of figure 4's kind: σ of 64 pixels, the picture, its negative, and four others with turned colours.
Below, of figure 3's kind: σ of the grey picture whose values near one half were put on it, that picture, and
five others with some of the regions between mirrored about one half. Prints how far any σ is from the first.
"""

from pathlib import Path

import cv2
import numpy as np

from sansface.audit.equal_modulus import cored, mirrored, recoloured, regions
from sansface.demo import demo_cameras, photograph
from sansface.heads.procedural import Head, Identity
from sansface.heads.trace import Tracer
from sansface.protect.operators import operator

HERE = Path(__file__).parent
SIZE, PIXELS, TWICE, GAP = 256, 64, 2, 4
FRONT = 10
"""Of the demo's cameras."""
TURNED = (0, 42, 1, 8, 16, 29)
"""Of the 48 symmetries: none, the negative, and four others."""
LEVEL, MARGIN = 0.5, 0.07
LARGEST = 6
"""Regions that are mirrored or not; smaller ones stay."""


def main() -> None:
    """Make the pictures, check that their σ is one, and write them."""
    rng = np.random.default_rng(0)
    tracer = Tracer(Head(Identity.random(rng)))
    image, _ = photograph(tracer, demo_cameras(30, SIZE, rng)[FRONT][0])
    small = cv2.resize(image.astype(np.float32) / 255, (PIXELS, PIXELS), interpolation=cv2.INTER_AREA)
    sigma = operator("sobel")
    colours = recoloured(small)
    grey = cored(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), LEVEL, MARGIN)
    labels = regions(grey, LEVEL, sigma.reach)
    sizes = np.bincount(labels.ravel())
    large = (1 + np.argsort(-sizes[1:])[:LARGEST]).tolist()
    choices = [(), tuple(large), *(tuple(rng.permutation(large)[: LARGEST // 2]) for _ in range(4))]
    greys = [np.repeat(mirrored(grey, LEVEL, labels, chosen)[..., None], 3, axis=2) for chosen in choices]
    rows = []
    for pictures in ([colours[k] for k in TURNED], greys):
        moduli = [sigma(picture) for picture in pictures]
        apart = max(float(np.abs(one - moduli[0]).max()) for one in moduli)
        print(f"{len(pictures)} pictures, largest difference of σ {apart:.1e}")
        assert apart < 1e-6
        shown = np.repeat((moduli[0] / moduli[0].max())[..., None], 3, axis=2)
        tiles = [np.kron(one, np.ones((TWICE, TWICE, 1))) for one in (shown, *pictures)]
        gap = np.ones((tiles[0].shape[0], GAP, 3))
        rows.append(np.concatenate([piece for tile in tiles for piece in (tile, gap)][:-1], axis=1))
    whole = np.concatenate([rows[0], np.ones((GAP, rows[0].shape[1], 3)), rows[1]])
    print(f"{labels.max()} regions, so 2^{labels.max()} grey pictures")
    target = HERE / "equal_modulus.png"
    cv2.imwrite(
        str(target), np.rint(255 * whole[..., ::-1]).astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )


if __name__ == "__main__":
    main()
