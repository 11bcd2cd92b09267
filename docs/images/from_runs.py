"""docs/images/PICTURE.png: what runs of benchmarks/quality.py make of the demo head, beside the truth.

    sansface demo -o D
    SANSFACE_KEEP=KEPT python benchmarks/quality.py D/capture --seeds 0 --runs protected \\
        "radiance not factored" "stage 1 alone" "stage 2 from a sphere"
    python docs/images/from_runs.py D/capture KEPT albedo "radiance not factored" protected
    python docs/images/from_runs.py D/capture KEPT stages "stage 1 alone" "stage 2 from a sphere" protected

Left to right the runs in the order given, then the truth; front and three quarters.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from sansface import read_capture, read_mesh
from sansface.capture import Role
from sansface.evaluate.pictures import render_mesh
from sansface.evaluate.viewpoints import viewpoints

SIZE = 300


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("picture")
    parser.add_argument("runs", nargs="+")
    options = parser.parse_args()
    capture = read_capture(options.capture)
    assert capture.sphere is not None
    face = [frame.camera for frame in capture.frames if frame.role is Role.SENSITIVE]
    cameras = viewpoints(face, capture.sphere.center, capture.sphere.radius, SIZE)
    names = [f"{options.capture.name}-{run.replace(' ', '_')}-0.ply" for run in options.runs]
    meshes = [read_mesh(options.kept / name) for name in names] + [read_mesh(options.capture / "gt.ply")]
    rows = [
        np.concatenate([render_mesh(mesh, cameras[view]) for mesh in meshes], axis=1)
        for view in ("front", "three_quarter")
    ]
    target = Path(__file__).with_name(f"{options.picture}.png")
    cv2.imwrite(str(target), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
