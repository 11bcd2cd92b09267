"""Every format as it is read: fabricated folders in their exact layout, and what is refused of them."""

import io
import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import fabricated_captures as fabricated
from fabricated_captures import FABRICATED
from mutated_folders import check
from sansface.capture import Camera, Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.formats import FORMATS, convert, read_capture, recognise
from sansface.formats.colmap import read_points
from sansface.formats.idr_npz import decomposed
from sansface.formats.meta import with_meta
from sansface.formats.pictures import picture_size
from sansface.protect.photograph import read_photograph
from sansface.protect.reduce import reduce


@pytest.mark.parametrize("layout", FABRICATED)
def test_every_layout_is_recognised_and_read(tmp_path, layout):
    folder = tmp_path / "mit Leerzeichen und ü"
    name, write = FABRICATED[layout]
    truth = write(folder)
    assert recognise(folder) == name
    capture = read_capture(folder)
    assert len(capture.frames) == len(truth)
    for frame, camera in zip(capture.frames, truth, strict=True):
        np.testing.assert_allclose(frame.camera.K, camera.K, atol=1e-9)
        np.testing.assert_allclose(frame.camera.cam_from_world, camera.cam_from_world, atol=1e-12)
        np.testing.assert_allclose(frame.camera.distortion, camera.distortion, atol=1e-12)
        assert (frame.camera.width, frame.camera.height) == (camera.width, camera.height)
        assert frame.image.is_file()
        assert frame.mask is None or frame.mask.is_file()
    masked = sum(frame.mask is not None for frame in capture.frames)
    without = {"neus2", "blender", "facescape", "nersemble-v2", "colmap-binary"}
    assert masked == (0 if layout in without else len(truth))
    sensitive = [frame.role is Role.SENSITIVE for frame in capture.frames]
    assert sensitive == (
        [False, False, True, True] if layout in ("transforms", "neuralangelo") else [True] * 4
    )


def test_a_point_projected_by_hand(tmp_path):
    """A camera at z = -10 that looks along +z, as IDR and FaceScape write it, sees (1, 2, 0)."""
    (tmp_path / "image").mkdir()
    fabricated.picture(tmp_path / "image/0.png")
    world = np.array([[90.0, 0, 27, 270], [0, 92, 41, 410], [0, 0, 1, 10], [0, 0, 0, 1]])
    np.savez(tmp_path / "cameras.npz", world_mat_0=world)
    params = {"0_K": [[90, 0, 27], [0, 92, 41], [0, 0, 1]], "0_Rt": np.eye(4)[:3].tolist()}
    params["0_Rt"][2][3] = 10
    (tmp_path / "params.json").write_text(json.dumps(params | {"0_width": 55, "0_height": 80}))
    for name in ("npz", "facescape"):
        camera = read_capture(tmp_path, name).frames[0].camera
        pixels, depth = camera.project(np.array([[1.0, 2.0, 0.0]]))
        np.testing.assert_allclose(pixels, [[27.5 + 9, 41.5 + 18.4]])
        assert depth == pytest.approx(10)


@pytest.mark.parametrize("unit", ['"furlong"', "null", "3", '""'])
def test_a_unit_that_is_none_is_an_error_that_names_the_file(tmp_path, unit):
    (tmp_path / "meta.json").write_text(f'{{"unit": {unit}}}')
    with pytest.raises(SansfaceError, match=r"meta\.json: the unit is none of .*mm, cm, m, in"):
        with_meta((), tmp_path)


def test_spheres_and_units_that_formats_say(tmp_path):
    for layout, unit, radius in (
        ("npz", "unknown", 2.0),
        ("h3ds", "mm", 2.0),
        ("neuralangelo", "unknown", 2.5),
    ):
        FABRICATED[layout][1](tmp_path / layout)
        capture = read_capture(tmp_path / layout)
        assert (capture.unit, capture.sphere.radius) == (unit, pytest.approx(radius))
        np.testing.assert_allclose(capture.sphere.center, [1, 2, 3])
    (tmp_path / "h3ds/meta.json").write_text('{"center": [0, 0, 0], "radius": 3, "unit": "m"}')
    capture = read_capture(tmp_path / "h3ds")
    assert (capture.unit, capture.sphere.radius) == ("m", 3)


def test_projections_of_single_precision_have_no_skew():
    """As NeuS's own script writes them; what rounding leaves of one is at most 1e-5 of the focal length."""
    rng = np.random.default_rng(0)
    for camera in fabricated.cameras() * 10:
        K = np.array(camera.K) * rng.uniform(0.5, 20, (1, 1))
        K[2, 2] = 1
        P = (K @ camera.cam_from_world[:3]).astype(np.float32).astype(np.float64)
        found, _ = decomposed(P)
        assert found[0, 1] == 0
        np.testing.assert_allclose(found, K, rtol=1e-4, atol=1e-3)


def test_colmaps_undistorted_model_has_pictures_of_its_own(tmp_path):
    FABRICATED["colmap-text"][1](tmp_path)
    dense = tmp_path / "dense"
    dense.mkdir()
    shutil.move(tmp_path / "sparse", dense / "sparse")
    assert {f.image.parent for f in read_capture(tmp_path).frames} == {tmp_path / "images"}
    shutil.copytree(tmp_path / "images", dense / "images")
    assert {f.image.parent for f in read_capture(tmp_path).frames} == {dense / "images"}


def test_volsdfs_own_scale_is_no_sphere(tmp_path):
    fabricated.npz(tmp_path)
    matrices = dict(np.load(tmp_path / "cameras_sphere.npz"))
    for key in [key for key in matrices if key.startswith("scale")]:
        matrices[key][:3, :3] *= 10 / 2 / (3 / 1.1)  # the cameras, 10 away, come to lie at 3 / 1.1
    np.savez(tmp_path / "cameras_sphere.npz", **matrices)
    assert read_capture(tmp_path).sphere is None


def test_colmaps_points_and_tracks(tmp_path):
    fabricated.colmap_text(tmp_path / "text")
    xyz, tracks = read_points(tmp_path / "text")
    np.testing.assert_array_equal(xyz, [[1, 2, 3], [4, 5, 6]])
    assert tracks == [("Bild ä 0.jpg",), ()]
    fabricated.colmap_binary(tmp_path / "binary")
    xyz, tracks = read_points(tmp_path / "binary")
    np.testing.assert_array_equal(xyz, [[1, 2, 3]])
    assert tracks == [("0.jpg", "1.jpg")]


def test_skull01_is_read_and_its_points_lie_in_front_of_its_cameras(shared_captures):
    capture = read_capture(shared_captures / "skull01")
    assert len(capture.frames) == 66
    xyz, tracks = read_points(shared_captures / "skull01")
    assert len(xyz) == len(tracks) == 14849
    for frame in capture.frames:
        assert frame.image.is_file()
        pixels, depth = frame.camera.project(xyz)
        assert (depth > 0).all()
        inside = (pixels > 0) & (pixels < [frame.camera.width, frame.camera.height])
        assert inside.all(axis=1).mean() > 0.5


def test_picture_sizes_agree_with_the_decoder(tmp_path):
    for suffix in (".png", ".jpg"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(cv2.imencode(suffix, np.zeros((37, 53, 3), np.uint8))[1].tobytes())
        assert picture_size(path) == (53, 37)


@pytest.mark.parametrize(
    ("model", "pixels", "lens"),
    [
        ("SIMPLE_PINHOLE", (360.0, 120.0, 100.0), ()),
        ("PINHOLE", (360.0, 368.0, 120.0, 100.0), ()),
        ("SIMPLE_RADIAL", (360.0, 120.0, 100.0), (0.3,)),
        ("RADIAL", (360.0, 120.0, 100.0), (0.3, -0.2)),
        ("OPENCV", (360.0, 368.0, 120.0, 100.0), (0.3, -0.2, 0.02, -0.03)),
    ],
)
def test_distortion_of_every_model_is_removed_before_reduction(tmp_path, model, pixels, lens):
    """A blob is drawn where the model's own formula puts a point; reduced, it lies where the pinhole does."""
    width, height = 256, 192
    fx, fy, cx, cy = pixels if len(pixels) == 4 else (pixels[0], *pixels)
    k1, k2, p1, p2 = (*lens, 0, 0, 0, 0)[:4]
    x, y = 0.22, -0.18
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    u = fx * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + cx
    v = fy * (y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)) + cy
    rows, columns = np.mgrid[:height, :width] + 0.5  # the first pixel's centre is at (0.5, 0.5)
    blob = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 3.0**2)).astype(np.float32)
    (tmp_path / "images").mkdir()
    (tmp_path / "sparse").mkdir()
    words = " ".join(map(str, pixels + lens))
    (tmp_path / "sparse/cameras.txt").write_text(f"1 {model} {width} {height} {words}\n")
    (tmp_path / "sparse/images.txt").write_text("1 1 0 0 0 0 0 0 1 a.png\n\n")
    camera = read_capture(tmp_path).frames[0].camera
    small = reduce(np.repeat(blob[:, :, None], 3, axis=2), np.ones((height, width), np.float32), camera, 64)
    weight = small.colour[:, :, 0] / small.colour[:, :, 0].sum()
    rows, columns = np.mgrid[:48, :64] + 0.5
    expected, _ = small.camera.project(np.array([[x, y, 1.0]]))
    found = [(weight * columns).sum(), (weight * rows).sum()]
    np.testing.assert_allclose(found, expected[0], atol=0.02)


def test_a_frame_of_a_video_is_decoded_without_unpacking(tmp_path):
    path = tmp_path / "cam_1.mp4"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for grey in (40, 120, 200):
        video.write(np.full((48, 64, 3), grey, np.uint8))
    video.release()
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 10:30] = 255
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    camera = Camera([[80, 0, 32], [0, 80, 24], [0, 0, 1]], 64, 48, np.eye(4))
    frame = Frame(camera, Role.SENSITIVE, path, tmp_path / "m.png", video_frame=1)
    colour, coverage = read_photograph(frame)
    assert coverage.sum() == 400
    assert np.abs(colour * 255 - 120).max() < 6
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cam_1.mp4", "m.png"]
    with pytest.raises(SansfaceError, match="no frame 3"):
        read_photograph(replace(frame, video_frame=3))
    with pytest.raises(SansfaceError, match="not unpacked"):
        convert(Capture((frame,)), tmp_path / "out", "transforms")


def test_nersemble_names_moments_alike_in_both_versions(tmp_path):
    fabricated.nersemble_v1(tmp_path / "1")
    fabricated.nersemble_v2(tmp_path / "2")
    moment = "sequences/EMO-1/frame_00042"
    assert read_capture(tmp_path / "1" / moment).frames[0].video_frame is None
    assert [frame.video_frame for frame in read_capture(tmp_path / "2" / moment).frames] == [42] * 4
    (tmp_path / "1/sequences/EMO-1/frame_00043").mkdir()
    with pytest.raises(SansfaceError, match=r"2 to choose from \(frame_00042, frame_00043\)"):
        read_capture(tmp_path / "1")


# --- what is refused ---


def pickled(data: bytes) -> bytes:
    file = io.BytesIO()
    np.savez(file, world_mat_0=np.array([{"a": 1}], dtype=object))
    return file.getvalue()


CASES = [
    ("colmap-text", "sparse/1/cameras.txt", lambda d: d.replace(b"OPENCV", b"FULL_OPENCV"), "FULL_OPENCV"),
    ("colmap-text", "sparse/1/cameras.txt", lambda d: d.replace(b"OPENCV", b"MINE"), "unknown .* MINE"),
    ("colmap-text", "sparse/1/cameras.txt", lambda d: d.replace(b"7 OPENCV", b"8 OPENCV"), "camera 7"),
    ("colmap-text", "sparse/1/cameras.txt", lambda d: d + d, "two cameras with the id 7"),
    ("colmap-text", "sparse/1/images.txt", lambda d: d.replace(b" 2.jpg", b" 3.jpg"), "twice"),
    ("colmap-text", "sparse/1/images.txt", lambda d: d.replace(b"\n\n", b"\n"), "2D points"),
    ("colmap-text", "sparse/1/images.txt", lambda d: d.replace(b"Bild", b"../Bild"), "not inside"),
    ("colmap-text", "sparse/1/images.txt", lambda d: d.replace("ä".encode(), b"\xff"), "UTF-8"),
    ("colmap-binary", "sparse/0/cameras.bin", lambda d: d[:12] + b"\x06" + d[13:], "FULL_OPENCV"),
    ("colmap-binary", "sparse/0/cameras.bin", lambda d: d[:12] + b"\x63" + d[13:], "unknown camera model 99"),
    ("colmap-binary", "sparse/0/cameras.bin", lambda d: b"\xff" * 8 + d[8:], "cut short"),
    ("colmap-binary", "sparse/0/images.bin", lambda d: d[:-3], "cut short"),
    ("colmap-binary", "sparse/0/images.bin", lambda d: d.replace(b"2.jpg", b"3.jpg"), "twice"),
    ("colmap-binary", "sparse/0/images.bin", lambda d: struct.pack("<Q", 0), "is empty"),
    ("npz", "cameras_sphere.npz", pickled, "pickled"),
    ("npz", "cameras_sphere.npz", lambda d: d[:-30], "damaged"),
    ("npz", "image/000001.png", lambda d: b"GIF89a", "neither a PNG nor a JPEG"),
    ("facescape", "params.json", lambda d: d.replace(b'"1_K"', b'"0_K"'), "twice"),
    ("facescape", "params.json", lambda d: d.replace(b'"1_Rt"', b'"1_R"'), "view 1: 1_Rt is missing"),
    ("facescape", "params.json", lambda d: d.replace(b"true", b"false"), "no valid view"),
    ("h3ds", "cameras.npz", lambda d: d.replace(b"world_mat_3", b"world_mat_9"), "no world_mat_3"),
    ("nersemble-v1", "camera_params.json", lambda d: d.replace(b"222200037", b"222200036"), "twice"),
    ("nersemble-v2", "calibration/camera_params.json", lambda d: d.replace(b"222200037", b"9"), "no camera"),
    ("sdfstudio", "meta_data.json", lambda d: d.replace(b"000001_rgb", b"000000_rgb"), "twice"),
    ("sdfstudio", "meta_data.json", lambda d: d.replace(b"OPENCV", b"FISHEYE"), "camera model"),
    ("neus2", "transforms.json", lambda d: d.replace(b"-0.00025863", b"5.0"), "skewed"),
    ("blender", "transforms_train.json", lambda d: d.replace(b"0.7", b"7.0"), "camera_angle_x"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "file", "change", "says"), CASES)
def test_what_is_refused_names_file_and_reason(tmp_path, layout, file, change, says):
    FABRICATED[layout][1](tmp_path)
    path = tmp_path / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SansfaceError, match=says) as caught:
        read_capture(tmp_path, FABRICATED[layout][0])
    assert Path(file).name.split(".")[0] in str(caught.value) or "sparse" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_whose_order_or_number_is_unclear(tmp_path):
    fabricated.npz(tmp_path)
    fabricated.picture(tmp_path / "image/000004.png")
    with pytest.raises(SansfaceError, match="4 cameras, but the folder image beside it 5 files"):
        read_capture(tmp_path)
    (tmp_path / "image/000004.png").rename(tmp_path / "image/000001.jpg")
    with pytest.raises(SansfaceError, match="for one view"):
        read_capture(tmp_path)
    (tmp_path / "image/000001.jpg").unlink()
    (tmp_path / "image/000003.png").rename(tmp_path / "image/10.png")
    (tmp_path / "image/000002.png").rename(tmp_path / "image/9.png")
    with pytest.raises(SansfaceError, match="pad them"):
        read_capture(tmp_path)


def test_formats_that_do_not_exist(tmp_path):
    with pytest.raises(SansfaceError, match="'usd' is no format that can be read; choose one of transforms"):
        read_capture(tmp_path, "usd")
    with pytest.raises(SansfaceError, match="holds no transforms"):
        recognise(tmp_path)
    for name in set(FORMATS) - {"transforms"}:
        with pytest.raises(SansfaceError):
            read_capture(tmp_path, name)


@pytest.mark.parametrize("layout", FABRICATED)
def test_mutated_folders_are_refused_in_a_sentence_or_valid(layout):
    outcome, failures = check(layout, 15, seed=7)
    assert failures == []
    assert outcome["refused"] > 3
