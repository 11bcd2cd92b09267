"""Tiny captures in the exact layout of every format that can be read, written here byte by byte.

Nothing of `sansface` writes them: each function says on its own how the format's convention differs. Pictures
are of noise. All hold the same four cameras, of `cameras()`, in our convention.
"""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Camera

WIDTH, HEIGHT = 55, 80  # NeRSemble's 2200 × 3208, forty times smaller, within rounding
K = np.array([[90.0, 0, 27.25], [0, 92.0, 41.5], [0, 0, 1]])
DISTORTION = (0.05, -0.02, 0.001, -0.002)  # k1 k2 p1 p2
GL = np.diag([1.0, -1, -1, 1])  # OpenCV's camera axes to OpenGL's
VIEWS = 4


def cameras(distortion: tuple[float, ...] = (), K: np.ndarray = K) -> list[Camera]:
    """Four cameras around (1, 2, 3), 10 away."""
    result = []
    for view in range(VIEWS):
        angle = 0.3 + view * np.pi / 2
        back = np.array([np.sin(angle), 0.2, np.cos(angle)]) / np.sqrt(1.04)
        right = np.cross([0.0, 1, 0], -back)
        right /= -np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(-back, right), -back])
        pose[:3, 3] = -pose[:3, :3] @ (np.array([1.0, 2, 3]) + 10 * back)
        result.append(Camera(K, WIDTH, HEIGHT, pose, np.array([*distortion, *[0.0] * (5 - len(distortion))])))
    return result


def picture(path: Path, alpha: bool = False) -> None:
    """Noise, and a disc as its alpha."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 4 if alpha else 3), dtype=np.uint8)
    if alpha:
        pixels[:, :, 3] = _disc()
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


def mask(path: Path) -> None:
    """A white disc."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", _disc())[1].tobytes())


def _disc() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (((rows - HEIGHT / 2) ** 2 + (columns - WIDTH / 2) ** 2 < 400) * 255).astype(np.uint8)


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _quaternion(R: np.ndarray) -> list[float]:
    """(w, x, y, z) of a rotation by less than half a turn, from its axis and angle."""
    axis, _ = cv2.Rodrigues(R)
    angle = float(np.linalg.norm(axis))
    return [np.cos(angle / 2), *(np.sin(angle / 2) * axis.ravel() / max(angle, 1e-300))]


# --- the formats ---


def transforms(folder: Path) -> list[Camera]:
    """nerfstudio's, with roles."""
    truth = cameras((*DISTORTION, 0.003))
    frames = []
    for view, camera in enumerate(truth):
        picture(folder / f"images/{view}.png")
        mask(folder / f"masks/{view}.png")
        c2w = np.linalg.inv(camera.cam_from_world) @ GL
        role = "neutral" if view < 2 else "sensitive"
        frames.append({
            "file_path": f"images/{view}.png", "mask_path": f"masks/{view}.png", "role": role,
            "transform_matrix": c2w.tolist(),
        })  # fmt: skip
    intrinsics = {"fl_x": 90.0, "fl_y": 92.0, "cx": 27.25, "cy": 41.5, "w": WIDTH, "h": HEIGHT}
    params = [0.05, -0.02, 0.003, 0.0, 0.001, -0.002]
    _json(folder / "transforms.json", intrinsics | {"distortion_params": params, "frames": frames})
    return truth


def neuralangelo(folder: Path) -> list[Camera]:
    """Its own keys beside nerfstudio's, and the sphere."""
    transforms(folder)
    document = json.loads((folder / "transforms.json").read_text())
    document |= {
        "camera_angle_x": 0.59, "camera_angle_y": 0.82, "sk_x": 0.0, "sk_y": 0.0, "is_fisheye": False,
        "aabb_scale": 1, "aabb_range": [[-2, 4], [-1, 5], [0, 6]], "sphere_center": [1, 2, 3],
        "sphere_radius": 2.5,
    }  # fmt: skip
    _json(folder / "transforms.json", document)
    return cameras((*DISTORTION, 0.003))


def neus2(folder: Path) -> list[Camera]:
    """instant-ngp's dialect as NeuS2 writes it: OpenCV's axes, K on each frame, the mask as alpha."""
    truth = cameras()
    frames = []
    for view, camera in enumerate(truth):
        picture(folder / f"images/{view:06d}.png", alpha=True)
        matrix = np.eye(4)
        matrix[:3, :3] = camera.K
        matrix[0, 1] = -0.00025863  # as in its own documentation: rounding
        frames.append({
            "file_path": f"images/{view:06d}.png", "intrinsic_matrix": matrix.tolist(),
            "transform_matrix": np.linalg.inv(camera.cam_from_world).tolist(),
        })  # fmt: skip
    top = {
        "from_na": True,
        "w": WIDTH,
        "h": HEIGHT,
        "aabb_scale": 1.0,
        "scale": 0.5,
        "offset": [0.5, 0.5, 0.5],
    }
    _json(folder / "transforms.json", top | {"frames": frames})
    return truth


def blender(folder: Path) -> list[Camera]:
    """Blender's synthetic dialect: a field of view, and names without a suffix."""
    angle = 0.7
    focal = WIDTH / 2 / np.tan(angle / 2)
    truth = cameras(K=np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]]))
    frames = []
    for view, camera in enumerate(truth):
        picture(folder / f"train/r_{view}.png", alpha=True)
        c2w = np.linalg.inv(camera.cam_from_world) @ GL
        frames.append({"file_path": f"./train/r_{view}", "rotation": 0.0, "transform_matrix": c2w.tolist()})
    _json(folder / "transforms_train.json", {"camera_angle_x": angle, "frames": frames})
    return truth


def sdfstudio(folder: Path) -> list[Camera]:
    """meta_data.json."""
    truth = cameras()
    frames = []
    for view, camera in enumerate(truth):
        picture(folder / f"{view:06d}_rgb.png")
        mask(folder / f"{view:06d}_foreground_mask.png")
        intrinsics = np.eye(4)
        intrinsics[:3, :3] = camera.K
        frames.append({
            "rgb_path": f"{view:06d}_rgb.png", "foreground_mask": f"{view:06d}_foreground_mask.png",
            "camtoworld": np.linalg.inv(camera.cam_from_world).tolist(), "intrinsics": intrinsics.tolist(),
        })  # fmt: skip
    box = {
        "aabb": [[-1, -1, -1], [1, 1, 1]],
        "near": 0.1,
        "far": 9.0,
        "radius": 1.0,
        "collider_type": "near_far",
    }
    top = {"camera_model": "OPENCV", "height": HEIGHT, "width": WIDTH, "has_mono_prior": False, "pairs": None}
    top |= {"worldtogt": np.eye(4).tolist(), "scene_box": box, "frames": frames}
    _json(folder / "meta_data.json", top)
    return truth


def npz(folder: Path, names: str = "cameras_sphere.npz") -> list[Camera]:
    """IDR's and NeuS's: the first pixel's centre at (0, 0), the subject in the unit sphere of scale_mat."""
    truth = cameras()
    for view in range(VIEWS):
        picture(folder / f"image/{view:06d}.png")
        mask(folder / f"mask/{view:03d}.png")
    _matrices(folder / names, truth)
    return truth


def h3ds(folder: Path) -> list[Camera]:
    """One scene."""
    truth = cameras()
    for view in range(VIEWS):
        picture(folder / f"image/img_{view:04d}.jpg")
        mask(folder / f"mask/mask_{view:04d}.png")
    _matrices(folder / "cameras.npz", truth, inverses=False)
    (folder / "full_head.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (folder / "landmarks.txt").write_text("nose_tip 0\n")
    return truth


def _matrices(path: Path, truth: list[Camera], inverses: bool = True) -> None:
    scale = np.diag([2.0, 2, 2, 1])
    scale[:3, 3] = 1, 2, 3
    arrays = {}
    for view, camera in enumerate(truth):
        world = np.eye(4)
        centred_at_zero = np.array(camera.K)
        centred_at_zero[:2, 2] -= 0.5
        world[:3] = 3 * centred_at_zero @ camera.cam_from_world[:3]  # a projection has any scale
        arrays |= {f"world_mat_{view}": world, f"scale_mat_{view}": scale}
        if inverses:
            arrays |= {f"world_mat_inv_{view}": np.linalg.inv(world), f"camera_mat_{view}": np.eye(4)}
    np.savez(path, **arrays)


def facescape(folder: Path) -> list[Camera]:
    """One expression: 4 × 4 K, short distortion, one view that is not valid."""
    truth = cameras(DISTORTION)
    params: dict[str, object] = {}
    for view, camera in enumerate([*truth, truth[0]]):
        picture(folder / f"{view}.jpg")
        matrix = np.eye(4)
        matrix[:3, :3] = camera.K
        matrix[:2, 2] -= 0.5
        params |= {
            f"{view}_K": matrix.tolist(), f"{view}_Rt": camera.cam_from_world[:3].tolist(),
            f"{view}_distortion": list(DISTORTION), f"{view}_width": WIDTH, f"{view}_height": HEIGHT,
            f"{view}_valid": view < VIEWS, f"{view}_matches": 1234, f"{view}_sn": "55201234",
            f"{view}_ori": 1,
        }  # fmt: skip
    _json(folder / "params.json", params)
    return truth


SERIALS = ("220700191", "221501007", "222200036", "222200037")


def nersemble_v1(folder: Path) -> list[Camera]:
    """A participant with one sequence of one moment; the pictures are smaller than the intrinsics say."""
    truth = cameras()
    moment = folder / "sequences/EMO-1/frame_00042"
    for serial in SERIALS:
        picture(moment / f"images-2x-73fps/cam_{serial}.png")
        mask(moment / f"alpha_map-73fps/cam_{serial}.png")
    _json(folder / "camera_params.json", _calibration(truth))
    return truth


def nersemble_v2(folder: Path) -> list[Camera]:
    """The same with videos, which a reader does not open: here they are empty."""
    truth = [camera.resized(2200, 3208) for camera in cameras()]
    for serial in SERIALS:
        video = folder / f"sequences/EMO-1/images/cam_{serial}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(b"")
    picture(folder / f"sequences/BACKGROUND/image_{SERIALS[0]}.jpg")
    _json(folder / "calibration/camera_params.json", _calibration(truth))
    return truth


def _calibration(truth: list[Camera]) -> dict[str, object]:
    poses = {serial: camera.cam_from_world.tolist() for serial, camera in zip(SERIALS, truth, strict=True)}
    return {"world_2_cam": poses, "intrinsics": truth[0].resized(2200, 3208).K.tolist()}


def colmap_text(folder: Path) -> list[Camera]:
    """Two sub-models, of which the second is the larger; blank second lines; unusual names."""
    truth = cameras(DISTORTION)
    words = " ".join(map(str, (90.0, 92.0, 27.25, 41.5, *DISTORTION)))
    for part, views in (("0", 1), ("1", VIEWS)):
        lines = ["# a comment"]
        for view, camera in enumerate(truth[:views]):
            picture(folder / f"images/Bild ä {view}.jpg")
            mask(folder / f"masks/Bild ä {view}.jpg.png")
            pose = [*_quaternion(camera.cam_from_world[:3, :3]), *camera.cam_from_world[:3, 3]]
            lines += [f"{view + 1} {' '.join(map(str, pose))} 7 Bild ä {view}.jpg"]
            lines += ["1.5 2.5 -1 3.5 4.5 9" if view == 1 else ""]
        path = folder / "sparse" / part
        path.mkdir(parents=True)
        (path / "cameras.txt").write_text(f"# one\n7 OPENCV {WIDTH} {HEIGHT} {words}\n")
        (path / "images.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (path / "points3D.txt").write_text("# points\n9 1 2 3 0 0 0 0.5 1 1 1 1 1 0\n10 4 5 6 0 0 0 0.5\n")
    return truth


def colmap_binary(folder: Path) -> list[Camera]:
    """One sub-model, a SIMPLE_RADIAL camera for each image."""
    square = np.array([[90.0, 0, 27.25], [0, 90.0, 41.5], [0, 0, 1]])
    truth = cameras((0.05,), square)
    lenses, images = struct.pack("<Q", VIEWS), struct.pack("<Q", VIEWS)
    for view, camera in enumerate(truth):
        picture(folder / f"images/{view}.jpg")
        lenses += struct.pack("<iiQQ4d", view + 1, 2, WIDTH, HEIGHT, 90.0, 27.25, 41.5, 0.05)
        pose = [*_quaternion(camera.cam_from_world[:3, :3]), *camera.cam_from_world[:3, 3]]
        images += struct.pack("<i7di", view + 1, *pose, view + 1) + f"{view}.jpg".encode() + b"\0"
        images += struct.pack("<Q2dq2dq", 2, 1.5, 2.5, -1, 3.5, 4.5, 9)
    points = struct.pack("<Q", 1) + struct.pack("<Q3d3BdQ4i", 9, 1, 2, 3, 0, 0, 0, 0.5, 2, 1, 1, 2, 1)
    (folder / "sparse/0").mkdir(parents=True)
    for name, data in (("cameras", lenses), ("images", images), ("points3D", points)):
        (folder / f"sparse/0/{name}.bin").write_bytes(data)
    return truth


FABRICATED: dict[str, tuple[str, Callable[[Path], list[Camera]]]] = {
    "transforms": ("transforms", transforms),
    "neuralangelo": ("transforms", neuralangelo),
    "neus2": ("transforms", neus2),
    "blender": ("transforms", blender),
    "sdfstudio": ("sdfstudio", sdfstudio),
    "npz": ("npz", npz),
    "h3ds": ("h3ds", h3ds),
    "facescape": ("facescape", facescape),
    "nersemble-v1": ("nersemble", nersemble_v1),
    "nersemble-v2": ("nersemble", nersemble_v2),
    "colmap-text": ("colmap", colmap_text),
    "colmap-binary": ("colmap", colmap_binary),
}
"""By layout: the format that recognises it, and what writes it and returns the cameras in our convention."""
