"""Find where MediaPipe's landmarks lie on the parametric head, and write it into the package.

    python benchmarks/landmark_places.py

Heads of the model, none of them anybody's, are painted and rendered from several sides; the landmark network
looks at them; the ray through each of its points meets the head, and the same place of the mean head is
noted. The middle of all is the point's place. About a minute.
"""

from pathlib import Path

import numpy as np
import trimesh
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation

from sansface.capture import Camera
from sansface.evaluate.distance import Nearest
from sansface.evaluate.raycast import Caster
from sansface.faces.detectors import Detectors, find_faces
from sansface.heads.albedo import CODES, albedo
from sansface.heads.landmarks import COUNT, SHIPPED
from sansface.heads.light import irradiance, random_light
from sansface.heads.look import look
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.heads.trace import srgb
from sansface.surface.mesh import Mesh

HEADS = 24
TURNS, NODS = (-25, 0, 25), (-10, 10)
SIZE, AWAY = 256, 1000.0
STEEP = 0.3
"""Cosine between ray and normal below which a meeting says nothing."""
LEAST = 8
"""Meetings of a point; one with fewer would be refused."""
HOME = Path(__file__).parents[1] / "src/sansface/heads" / SHIPPED


def meetings(model: HeadModel, detectors: Detectors, seed: int) -> list[np.ndarray]:
    """For each view in which a face was found, (468, 3) places on the mean head, NaN where there is none."""
    rng = np.random.default_rng(seed)
    vertices = model.vertices(rng.normal(size=len(model.identity)).clip(-2, 2))
    colours = albedo(model, rng.normal(size=len(CODES)))
    light = random_light(rng)
    skin = Mesh(vertices, model.part("Face"))
    caster = Caster(skin)
    found = []
    for turn in TURNS:
        for nod in NODS:
            camera = view(turn, nod)
            seen = look(model, vertices, camera)
            shown = seen.of(colours) * irradiance(seen.normals, light)
            picture = np.full((SIZE * SIZE, 3), 0.25)
            picture[seen.pixel] = shown
            bytes_ = (255 * srgb(picture.clip(0, 1)) + 0.5).astype(np.uint8).reshape(SIZE, SIZE, 3)
            faces = [face for face in find_faces(bytes_, detectors) if face.kind == "landmarks"]
            if not faces or faces[0].landmarks is None:
                continue
            origins, ways = camera.rays(faces[0].landmarks)
            hits = caster.first(origins, ways)
            facing = -np.einsum("ij,ij->i", skin.face_normals[hits.face], ways[hits.ray]) > STEEP
            corners = skin.faces[hits.face]
            weights = _weights(vertices[corners], hits.point)
            places = np.full((COUNT, 3), np.nan)
            places[hits.ray[facing]] = np.einsum("pc,pck->pk", weights, model.neutral[corners])[facing]
            found.append(places)
    return found


def view(turn: float, nod: float) -> Camera:
    """A camera a metre in front of the face, which is turned and nods by degrees."""
    around = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_euler("xy", [nod, turn], degrees=True).as_matrix()
    pose = np.eye(4)
    pose[:3, :3] = around
    pose[:3, 3] = np.array([0, 0, AWAY]) - around @ (0, 5, 20)
    focal = SIZE * AWAY / 330
    K = np.array([[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1]])
    return Camera(K, SIZE, SIZE, pose)


def _weights(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    return trimesh.triangles.points_to_barycentric(triangles, points)


def main() -> None:
    model, detectors = load_head_model(), Detectors()
    found = np.array([one for seed in range(HEADS) for one in meetings(model, detectors, seed)])
    met = np.isfinite(found).all(axis=2).sum(axis=0)
    assert met.min() >= LEAST, f"a landmark met the head only {met.min()} times"
    middle = np.nanmedian(found, axis=0)
    spread = np.sqrt(np.nanmedian(((found - middle) ** 2).sum(axis=2), axis=0))
    face = Mesh(model.neutral, model.part("Face"))
    _, places, index = Nearest(face).query(middle)
    corners = face.faces[index]
    weights = _weights(model.neutral[corners], places)
    save_file(
        {
            "vertices": corners.astype(np.int32),
            "weights": weights.astype(np.float32),
            "spread": spread.astype(np.float32),
        },
        HOME,
        {"source": f"{len(found)} renderings of {HEADS} heads of ICT-FaceKit Light (MIT), none anybody's"},
    )
    print(f"{len(found)} views; spread {np.median(spread):.2f} mm at the median, {spread.max():.2f} at most")


if __name__ == "__main__":
    main()
