"""docs/images/PICTURE.png: what trials of `sansface bench paper` make of the demo head, beside the truth.

    sansface demo -o D
    sansface bench paper D/capture -o OUT --table stages --table one-stage --table radiance
    python docs/images/from_runs.py D/capture OUT albedo "one network" "two stages"
    python docs/images/from_runs.py D/capture OUT stages "stage 1 alone" "one stage, colour and gradients" \\
        "two stages"

Left to right the trials in the order given, then the truth; front and three quarters.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from sansface import read_capture, read_mesh
from sansface.bench.paper import place
from sansface.capture import Role
from sansface.evaluate.pictures import render_mesh
from sansface.evaluate.viewpoints import viewpoints

SIZE = 300


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("picture")
    parser.add_argument("trials", nargs="+")
    options = parser.parse_args()
    capture = read_capture(options.capture)
    assert capture.sphere is not None
    face = [frame.camera for frame in capture.frames if frame.role is Role.SENSITIVE]
    cameras = viewpoints(face, capture.sphere.center, capture.sphere.radius, SIZE)
    name = options.capture.resolve().name
    runs = [place(options.out, name, "fast", trial, 0) / "mesh.ply" for trial in options.trials]
    meshes = [read_mesh(path) for path in (*runs, options.capture / "gt.ply")]
    rows = [
        np.concatenate([render_mesh(mesh, cameras[view]) for mesh in meshes], axis=1)
        for view in ("front", "three_quarter")
    ]
    target = Path(__file__).with_name(f"{options.picture}.png")
    cv2.imwrite(str(target), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
