"""docs/images/albedo.png: what factoring the radiance is worth, on the demo head.

    sansface demo -o D
    SANSFACE_KEEP=KEPT python benchmarks/quality.py D/capture --seeds 0 --runs protected \\
        "radiance not factored"
    python docs/images/from_albedo.py D/capture KEPT

Left to right: one network for the radiance, albedo times shading, the truth; front and three quarters.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from sansface import read_capture, read_mesh
from sansface.capture import Role
from sansface.evaluate.pictures import render_mesh
from sansface.evaluate.viewpoints import viewpoints

SIZE = 300


def main() -> None:
    folder, kept = Path(sys.argv[1]), Path(sys.argv[2])
    capture = read_capture(folder)
    assert capture.sphere is not None
    face = [frame.camera for frame in capture.frames if frame.role is Role.SENSITIVE]
    cameras = viewpoints(face, capture.sphere.center, capture.sphere.radius, SIZE)
    names = [f"{folder.name}-radiance_not_factored-0.ply", f"{folder.name}-protected-0.ply"]
    meshes = [read_mesh(kept / name) for name in names] + [read_mesh(folder / "gt.ply")]
    rows = [
        np.concatenate([render_mesh(mesh, cameras[view]) for mesh in meshes], axis=1)
        for view in ("front", "three_quarter")
    ]
    picture = np.concatenate(rows)[..., ::-1]
    cv2.imwrite(str(Path(__file__).parent / "albedo.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
