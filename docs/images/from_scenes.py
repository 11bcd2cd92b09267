"""docs/images/scenes/: what becomes of a scene that is no head, and what is made of it.

    python docs/images/from_scenes.py CAPTURE RECONSTRUCTION NAME [--frame 10]

CAPTURE: of benchmarks/make_scenes.py.  RECONSTRUCTION: its evaluated folder.  NAME: of the pictures.

NAME.png: a photograph, then σ of it at 64, 128 and 256 pixels as `sansface inspect` has it, enlarged.
NAME-mesh.png: the mesh, the truth and their distance.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from sansface import read_capture
from sansface.capture import Role
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.protect.sheet import picture_of

FOLDER = Path(__file__).parent / "scenes"
SIZE = 256
RESOLUTIONS = (64, 128, 256)
WIDTH = 900


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("reconstruction", type=Path)
    parser.add_argument("name")
    parser.add_argument("--frame", type=int, default=10)
    options = parser.parse_args()
    capture = read_capture(options.capture)
    shown = capture.frames[options.frame]
    neutral = [frame for frame in capture.frames if frame.role is Role.NEUTRAL][:2]
    others = [frame for frame in capture.frames if frame.role is Role.SENSITIVE and frame is not shown][:2]
    few = replace(capture, frames=(*neutral, *others, shown))
    row = [cv2.resize(cv2.imread(str(shown.image)), (SIZE, SIZE), interpolation=cv2.INTER_AREA)]
    for resolution in RESOLUTIONS:
        picture = picture_of(protect(few, ProtectSettings(resolution)).frames[-1])[..., ::-1]
        row.append(cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    write(options.name, np.concatenate(row, axis=1))
    pictures = [
        cv2.imread(str(options.reconstruction / "pictures" / f"{kind}_three_quarter.png"))
        for kind in ("mesh", "truth", "error")
    ]
    whole = np.concatenate(pictures, axis=1)
    scale = WIDTH / whole.shape[1]
    write(f"{options.name}-mesh", cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def write(name: str, picture: np.ndarray) -> None:
    """BGR, as small as PNG can: the tracer's noise does not pack, so the three lowest bits are left out."""
    FOLDER.mkdir(exist_ok=True)
    cv2.imwrite(str(FOLDER / f"{name}.png"), picture & 0xF8, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
