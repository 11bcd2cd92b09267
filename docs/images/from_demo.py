"""The README's pictures, from the folder of a finished demo: python docs/images/from_demo.py sansface-demo"""

import sys
from pathlib import Path

import cv2
import numpy as np

from sansface import read_bundle
from sansface.protect.sheet import picture_of

HERE = Path(__file__).parent
SHOWN = (1, 3, 5, 10, 17, 22, 28)
"""Of the demo's frames: five sensitive ones, two neutral ones."""
TWICE = 2
GAP = 4
SIZE = 300


def protected(bundle: Path) -> np.ndarray:
    """Some pictures of a bundle in a row, twice their size, BGR."""
    frames = [read_bundle(bundle).frames[index] for index in SHOWN]
    tiles = [np.kron(picture_of(frame), np.ones((TWICE, TWICE, 1), np.uint8)) for frame in frames]
    gap = np.full((tiles[0].shape[0], GAP, 3), 255, np.uint8)
    row = [piece for tile in tiles for piece in (tile, gap)]
    return np.concatenate(row[:-1], axis=1)[..., ::-1]


def reconstruction(pictures: Path) -> np.ndarray:
    """Mesh, truth and error, from the front and from three quarters, BGR."""
    rows = [
        np.concatenate(
            [cv2.imread(str(pictures / f"{kind}_{view}.png")) for kind in ("mesh", "truth", "error")], axis=1
        )
        for view in ("front", "three_quarter")
    ]
    whole = np.concatenate(rows)
    scale = SIZE / (whole.shape[0] / len(rows))
    return cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    demo = Path(sys.argv[1])
    cv2.imwrite(str(HERE / "protected.png"), protected(demo / "head.sfb"))
    cv2.imwrite(
        str(HERE / "reconstruction.png"),
        reconstruction(demo / "reconstruction" / "pictures"),
        [cv2.IMWRITE_PNG_COMPRESSION, 9],
    )
