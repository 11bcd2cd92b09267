"""transforms.json: write then read is the identity; everything unusual is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.formats.transforms_json import read_transforms_json, write_transforms_json

EYE = np.eye(4).tolist()


def document(**changes):
    """A small valid document; a change of None removes the key."""
    value = {
        "camera_model": "OPENCV",
        "fl_x": 80.0, "fl_y": 81.0, "cx": 30.0, "cy": 20.0, "w": 64, "h": 48,
        "frames": [
            {"file_path": "images/b.png", "mask_path": "masks/b.png", "transform_matrix": EYE,
             "role": "neutral"},
            {"file_path": "images/a.png", "transform_matrix": EYE},
        ],
    } | changes  # fmt: skip
    return {key: item for key, item in value.items() if item is not None}


def read(folder: Path, value) -> Capture:
    (folder / "transforms.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return read_capture(folder)


def with_frame(**changes):
    result = document()
    result["frames"][0] |= changes
    return result


def test_what_is_read(tmp_path):
    capture = read(tmp_path, document(k1=0.1, p2=0.3, applied_scale=1.0, aabb_scale=4))
    assert [frame.image.name for frame in capture.frames] == ["a.png", "b.png"]  # sorted by name
    assert [frame.role for frame in capture.frames] == [
        Role.SENSITIVE,
        Role.NEUTRAL,
    ]  # unlabelled is sensitive
    assert capture.frames[0].mask is None
    assert capture.frames[1].mask == tmp_path / "masks/b.png"
    camera = capture.frames[0].camera
    np.testing.assert_array_equal(camera.K, [[80, 0, 30], [0, 81, 20], [0, 0, 1]])
    np.testing.assert_array_equal(camera.distortion, [0.1, 0, 0, 0.3, 0])
    # identity in OpenGL axes looks along the world's -z, with +y up
    np.testing.assert_allclose(camera.cam_from_world, np.diag([1.0, -1, -1, 1]), atol=1e-15)
    assert (capture.unit, capture.sphere, capture.meta) == ("unknown", None, {})


def test_distortion_params_and_the_simple_models(tmp_path):
    params = [0.1, 0.2, 0.3, 0.0, 0.4, 0.5]  # k1 k2 k3 k4 p1 p2
    camera = read(tmp_path, document(distortion_params=params)).frames[0].camera
    np.testing.assert_array_equal(camera.distortion, [0.1, 0.2, 0.4, 0.5, 0.3])
    camera = read(tmp_path, document(camera_model="SIMPLE_RADIAL", fl_y=None, k1=0.1)).frames[0].camera
    assert camera.K[1, 1] == 80


def test_intrinsics_on_every_frame(tmp_path):
    value = document(fl_x=None)
    for index, frame in enumerate(value["frames"]):
        frame["fl_x"] = 50 + index
    assert [frame.camera.K[0, 0] for frame in read(tmp_path, value).frames] == [51, 50]


def test_meta_json(tmp_path):
    meta = {"center": [0, 0.9, 0.2], "radius": 4.4, "unit": "Millimetres", "head_min_y": -1.4}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    capture = read(tmp_path, document())
    assert capture.unit == "mm"
    assert capture.meta["head_min_y"] == -1.4
    assert capture.sphere.radius == 4.4
    assert capture.sphere.source == "given"
    (tmp_path / "meta.json").write_text(json.dumps({**meta, "sphere_source": "masks"}))
    found = read(tmp_path, document())
    assert found.sphere.source == "masks"
    write_transforms_json(found, tmp_path)
    assert read_transforms_json(tmp_path).sphere.source == "masks"
    write_transforms_json(replace(found, sphere=capture.sphere), tmp_path)
    assert read_transforms_json(tmp_path).sphere.source == "given"
    (tmp_path / "meta.json").write_text(json.dumps({"radius": 4.4}))
    capture = read(tmp_path, document())
    assert (capture.unit, capture.sphere) == ("unknown", None)
    (tmp_path / "meta.json").write_text(json.dumps({"radius": 4.4, "unit": "Dr Jane Roe's ward"}))
    with pytest.raises(SansfaceError, match="the unit is none of") as refused:
        read(tmp_path, document())
    assert "Roe" not in str(refused.value)


rotations = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
numbers = st.floats(-10, 10)


def rotation(q) -> np.ndarray:
    w, x, y, z = np.array(q) / np.linalg.norm(q)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


@st.composite
def cameras(draw):
    pose = np.eye(4)
    pose[:3, :3] = rotation(draw(rotations))
    pose[:3, 3] = draw(st.tuples(numbers, numbers, numbers))
    focal = st.floats(1, 5000)
    K = [[draw(focal), 0, draw(numbers) * 100], [0, draw(focal), draw(numbers) * 100], [0, 0, 1]]
    distortion = draw(st.lists(st.floats(-1, 1), min_size=5, max_size=5))
    return Camera(K, draw(st.integers(1, 5000)), draw(st.integers(1, 5000)), pose, distortion)


@given(
    several=st.lists(cameras(), min_size=1, max_size=3),
    roles=st.lists(st.sampled_from(Role), min_size=3, max_size=3),
    masked=st.lists(st.booleans(), min_size=3, max_size=3),
    unit=st.sampled_from(["unknown", "mm", "m"]),
    radius=st.none() | st.floats(0.1, 100),
    same=st.booleans(),
)
def test_write_then_read_is_the_identity(tmp_path_factory, several, roles, masked, unit, radius, same):
    folder = tmp_path_factory.mktemp("capture")
    if same:
        several = [
            Camera(several[0].K, several[0].width, several[0].height, c.cam_from_world) for c in several
        ]
    frames = tuple(
        Frame(
            camera,
            roles[index],
            folder / f"images/{index}.png",
            Path("/elsewhere/masks") / f"{index}.png" if masked[index] else None,
        )
        for index, camera in enumerate(several)
    )
    sphere = None if radius is None else Sphere(np.array([1.0, 2.0, 3.0]), radius, "given")
    write_transforms_json(Capture(frames, unit, sphere, {"head_min_y": 0.5}), folder)
    again = read_transforms_json(folder)
    assert len(again.frames) == len(frames)
    for one, other in zip(frames, again.frames, strict=True):
        assert (one.image, one.mask, one.role) == (other.image, other.mask, other.role)
        assert (one.camera.width, one.camera.height) == (other.camera.width, other.camera.height)
        np.testing.assert_allclose(one.camera.K, other.camera.K, atol=1e-9)
        np.testing.assert_allclose(one.camera.cam_from_world, other.camera.cam_from_world, atol=1e-9)
        np.testing.assert_allclose(one.camera.distortion, other.camera.distortion, atol=1e-9)
    assert (again.unit, again.meta["head_min_y"]) == (unit, 0.5)
    assert (again.sphere is None) == (sphere is None)
    if sphere is not None:
        np.testing.assert_array_equal(again.sphere.center, sphere.center)
        assert again.sphere.radius == sphere.radius


def scaled(factor):
    matrix = np.eye(4)
    matrix[:3, :3] *= factor
    return matrix.tolist()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{", "not usable JSON"),
        ("[]", "no list of frames"),
        (json.dumps(document()).replace("80.0", "NaN"), "non-finite"),
        (json.dumps(document()).replace("81.0", "1e400"), "non-finite"),
        (document(frames=[]), "no list of frames"),
        (document(frames=[{"transform_matrix": EYE}]), "no file_path"),
        (document(frames=document()["frames"] * 2), "twice"),
        (document(colour="red"), "unknown key 'colour'"),
        (with_frame(rolle="neutral"), "unknown key 'rolle'"),
        (with_frame(role="rear"), "neither neutral nor sensitive"),
        (with_frame(role=["neutral"]), "neither neutral nor sensitive"),
        (with_frame(mask_path=3), "mask_path"),
        (with_frame(transform_matrix=None), "transform_matrix is missing"),
        (with_frame(transform_matrix=EYE[:3]), "4 rows"),
        (with_frame(transform_matrix="eye"), "4 rows"),
        (with_frame(transform_matrix=np.diag([1.0, 1, -1, 1]).tolist()), "mirrored"),
        (with_frame(transform_matrix=np.diag([1.0, 1, 0, 1]).tolist()), "singular"),
        (with_frame(transform_matrix=scaled(2.0)), "scaled"),
        (with_frame(fl_x=80.0), "some frames only"),
        (document(fl_x=None), "fl_x is missing"),
        (document(fl_y=None), "fl_y is missing"),
        (document(w=64.5), "whole numbers"),
        (document(h=-48), "height"),
        (document(fl_x="80"), "sensible number"),
        (document(fl_x=True), "sensible number"),
        (document(fl_x=-80.0), "focal"),
        (document(k4=0.1), "k4"),
        (document(k1=0.1, distortion_params=[0.0] * 6), "both"),
        (document(distortion_params=[0.0] * 5), "distortion_params"),
        (document(camera_model="OPENCV_FISHEYE"), "OPENCV_FISHEYE"),
        (document(camera_model="PINHOLE", k1=0.1), "has no k1"),
        (document(is_fisheye=True), "is_fisheye"),
        (document(sk_x=0.5), "sk_x"),
        (document(camera_model=["OPENCV"]), "not one of OPENCV"),
        (document(sphere_center=[0, 0, 0], sphere_radius=10**400), "not a positive number"),
    ],
)
def test_what_is_refused_names_the_file(tmp_path, value, says):
    with pytest.raises(SansfaceError, match=says) as caught:
        read(tmp_path, value)
    assert "transforms.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        ("[]", "not a JSON object"),
        ('{"center": [0, 0], "radius": 1}', "center and radius"),
        ('{"center": [0, 0, 0], "radius": -1}', "center and radius"),
        ('{"center": [0, 0, 0], "radius": "1m"}', "center and radius"),
        ('{"center": [0, 0, 0], "radius": 1, "sphere_source": "guessed"}', "sphere_source"),
    ],
)
def test_a_meta_json_that_is_refused(tmp_path, meta, says):
    (tmp_path / "meta.json").write_text(meta)
    with pytest.raises(SansfaceError, match=says):
        read(tmp_path, document())


def test_a_capture_that_is_no_folder_of_a_known_format(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SansfaceError, match="is a file"):
        read_capture(tmp_path / "file")
    with pytest.raises(SansfaceError, match="no folder"):
        read_capture(tmp_path / "none")
    with pytest.raises(SansfaceError, match=r"no transforms\.json"):
        read_capture(tmp_path)


def test_skewed_pixels_cannot_be_written(tmp_path):
    camera = Camera([[80, 1, 30], [0, 80, 20], [0, 0, 1]], 64, 48, np.eye(4))
    with pytest.raises(SansfaceError, match="skewed"):
        write_transforms_json(Capture((Frame(camera, Role.NEUTRAL, tmp_path / "a.png"),)), tmp_path)
