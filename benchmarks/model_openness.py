"""How much of the sky each vertex of the mean head sees, and write it into the package.

    python benchmarks/model_openness.py

Light that comes from everywhere is dim in the corners of the eyes, in the nostrils and between the lips:
ambient occlusion, by rays over the half sphere, more of them near the normal (cosine-weighted).
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sansface.evaluate.raycast import Caster
from sansface.heads.appearance import OPENNESS
from sansface.heads.parametric import load_head_model
from sansface.surface.mesh import Mesh

SOLID = ("Face", "Head and Neck", "Teeth", "Gums and tongue", "Mouth socket")
SOLID += ("Eye socket left", "Eye socket right")
RAYS, LIFTED = 256, 0.5
"""Rays a vertex, and how far above the surface they begin, mm."""
HOME = Path(__file__).parents[1] / "src/sansface/heads" / OPENNESS


def main() -> None:
    model, rng = load_head_model(), np.random.default_rng(0)
    mesh = Mesh(model.neutral, model.part(*SOLID))
    lit = Mesh(model.neutral, model.part(*SOLID, "Sclera left", "Sclera right"))
    caster, there = Caster(mesh), np.unique(lit.faces)
    normals = lit.vertex_normals[there]
    start = mesh.vertices[there] + LIFTED * normals
    blocked = np.zeros(len(there))
    for _ in range(RAYS):
        ways = rng.normal(size=normals.shape)
        ways = normals + ways / np.linalg.norm(ways, axis=1, keepdims=True)
        hits = caster.first(start, ways / np.linalg.norm(ways, axis=1, keepdims=True))
        blocked[hits.ray] += 1
    openness = np.full(len(model.neutral), 255, dtype=np.uint8)
    openness[there] = np.rint(255 * (1 - blocked / RAYS))
    save_file({"openness": openness}, HOME, {"source": "ICT-FaceKit Light (MIT), its mean head"})
    print(f"{len(there)} vertices, {openness[there].mean() / 255:.2f} open on average")


if __name__ == "__main__":
    main()
