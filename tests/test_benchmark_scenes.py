"""The scenes that are no heads, and the reader of their plates."""

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

import benchmark_scenes as scenes
import lettering
import make_scenes
import path_tracing
import plate_reader
from conftest import looking_at
from sansface.capture import Capture, Frame, Role, Sphere
from sansface.evaluate.raycast import Caster
from sansface.formats.transforms_json import read_transforms_json, write_transforms_json
from sansface.heads.trace import srgb
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.reconstruct.supervision import from_bundle
from sansface.surface import Mesh


def volume(mesh: Mesh) -> float:
    """By the divergence theorem: negative if the faces turn the wrong way, wrong if the mesh is open."""
    a, b, c = np.moveaxis(mesh.triangles, 1, 0)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_boxes_and_lofts_are_closed_and_look_outwards():
    away = (10.0, -7.0, 3.0)  # the volume of an open mesh would depend on where it lies
    box = scenes.box(away, (12.0, -4.0, 8.0), (0.5, 0.5, 0.5))
    assert volume(box.mesh) == pytest.approx(2 * 3 * 5)
    assert box.mesh.vertex_normals == pytest.approx(np.repeat(box.mesh.face_normals[::2], 4, axis=0))
    z, ones = np.array([-1.0, 0.0, 4.0]) + 9, np.ones(3)
    cylinder = scenes._loft(z, 2 * ones, 5 * ones, 9 * ones, 0.0, 2.0, 2000)
    assert volume(cylinder) == pytest.approx(np.pi * 4 * 5, rel=1e-5)


def test_no_letter_is_another():
    letters = {sign: lettering.letter(sign, 40, 24) for sign in lettering.ALPHABET}
    for one, other in combinations(letters.values(), 2):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < 0.95
    assert not lettering.letter(" ", 40, 24).any()


def test_text_follows_from_the_seed():
    texts = [scenes.plate_text(seed) for seed in range(10)]
    assert texts == [scenes.plate_text(seed) for seed in range(10)]
    assert len(set(texts)) == 10
    assert all(len(text) == scenes.LETTERS and set(text) <= set(lettering.ALPHABET) for text in texts)


@pytest.fixture(scope="module", params=["plate", "room"])
def scene(request) -> tuple[scenes.Scene, float]:
    return scenes.SCENES[request.param](0), scenes.BEHIND[request.param]


def test_who_sees_nothing_that_can_be_read_is_neutral(scene):
    scene, behind = scene
    truth = scene.truth()
    caster = Caster(truth)
    cameras, sphere = make_scenes.cameras_and_roles(scene, 12, 64, 0, behind)
    assert np.linalg.norm(truth.vertices - sphere.center, axis=1).max() < sphere.radius
    neutral = [camera for camera, role in cameras if role is Role.NEUTRAL]
    assert 2 <= len(neutral) <= 10
    for camera in neutral:
        points = caster.first(*camera.rays(camera.grid(128, 128))).point
        for sheet in scene.sheets:
            assert not on(sheet, points).any()


def on(sheet: scenes.Sheet, points: np.ndarray) -> np.ndarray:
    """(n,) bool: within 2 mm of the sheet."""
    away = points - sheet.corner
    u = away @ sheet.across / (sheet.across @ sheet.across)
    v = away @ sheet.down / (sheet.down @ sheet.down)
    within = (u > 0) & (u < 1) & (v > 0) & (v < 1)
    return within & (np.abs(away @ sheet.normal()) < 2)


def test_a_place_behind_a_box_is_not_seen():
    box = scenes.box((-1, -1, -1), (1, 1, 1), (0.5, 0.5, 0.5)).mesh
    camera = looking_at(np.array([0.0, 0.0, 50.0]), np.zeros(3))
    before, beside, behind = [0.0, 0.0, 6.0], [3.0, 0.0, -6.0], [0.0, 0.0, -6.0]
    assert path_tracing.seen(Caster(box), np.array([before, beside]), camera) == 2
    assert path_tracing.seen(Caster(box), np.array([before, behind]), camera) == 1


def test_a_sheet_is_not_mirrored(scene):
    for sheet in scene[0].sheets:
        middle = sheet.at(np.array([[0.5, 0.5]]))[0]
        camera = looking_at(middle + 3000 * sheet.normal() + (1, 0, 1), middle)
        (left, top), (right, _), (_, bottom) = camera.project(
            sheet.at(np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]]))
        )[0]
        if sheet.normal()[1] < 0.5:  # upright
            assert left < right
            assert top < bottom
        assert sheet.normal() @ (camera.center - middle) > 0


SIZE = 96


def photograph(sheet: scenes.Sheet, albedo: np.ndarray, camera) -> tuple[np.ndarray, np.ndarray]:
    """The plate on a grey board, a ray a quarter of a pixel's side: (h, w, 3) and (h, w) uint8."""
    rows, columns = (np.mgrid[: 4 * SIZE, : 4 * SIZE] + 0.5) / 4
    origins, ways = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    t = ((sheet.corner - origins) @ sheet.normal()) / (ways @ sheet.normal())
    away = origins + t[:, None] * ways - sheet.corner
    u = away @ sheet.across / (sheet.across @ sheet.across)
    v = away @ sheet.down / (sheet.down @ sheet.down)
    within = (u >= 0) & (u < 1) & (v >= 0) & (v < 1) & ((camera.center - sheet.corner) @ sheet.normal() > 0)
    light = np.full((len(u), 3), 0.04)
    h, w = albedo.shape[:2]
    light[within] = albedo[(v[within] * h).astype(int), (u[within] * w).astype(int)]
    board = (u > -0.4) & (u < 1.4) & (v > -0.6) & (v < 1.6)

    def mean(values: np.ndarray) -> np.ndarray:
        return values.reshape(SIZE, 4, SIZE, 4, -1).mean(axis=(1, 3))

    image, mask = mean(srgb(0.7 * light)), mean(board.astype(float))[..., 0]
    return tuple(np.rint(255 * part).astype(np.uint8) for part in (image, mask))


TEXT = "7KX4B2M"


@pytest.fixture(scope="module")
def photographed(tmp_path_factory) -> dict[str, Capture]:
    """A plate before a board, from three places before it and two behind; and one with nothing on it."""
    return {text: written(tmp_path_factory.mktemp("plate"), text) for text in (TEXT, "")}


def written(folder: Path, text: str) -> Capture:
    edges = np.array([305.0, 0, 0]), np.array([0, -152.0, 0])
    sheet = scenes.Sheet(text, np.array([-152.0, 76, 5]), *edges)
    albedo, _ = scenes.plate_picture(text)
    frames = []
    for number, place in enumerate(
        [(0, 60, 700), (250, 120, 650), (-300, -50, 650), (0, 90, -700), (90, 0, -700)]
    ):
        camera = looking_at(np.array(place, dtype=float), np.zeros(3), SIZE, 1.3 * SIZE)
        paths = [folder / f"{kind}{number}.png" for kind in ("image", "mask")]
        image, mask = photograph(sheet, albedo, camera)
        cv2.imwrite(str(paths[0]), image[..., ::-1])
        cv2.imwrite(str(paths[1]), mask)
        frames.append(Frame(camera, Role.SENSITIVE if place[2] > 0 else Role.NEUTRAL, *paths))
    meta = {"sheets": [sheet.as_dict()]}
    write_transforms_json(Capture(tuple(frames), "mm", Sphere(np.zeros(3), 300.0, "given"), meta), folder)
    return read_transforms_json(folder)


@pytest.mark.parametrize("clear", [True, False])
def test_the_reader_reads_what_is_there(photographed, clear):
    """Letters of seven pixels and more: σ of them is as legible as their photograph."""
    assert plate_reader.readings(photographed[TEXT], SIZE, clear) == {"best view": TEXT, "all views": TEXT}


def test_the_reader_reads_nothing_where_nothing_is(photographed):
    blank = from_bundle(protect(photographed[""], ProtectSettings(SIZE)))
    best = plate_reader.patches(blank, plate_reader.sheet_of(photographed[""]))[:1]
    assert plate_reader.right([plate_reader.read(best)], [TEXT]) < 0.5


def test_letters_right_are_counted_one_by_one():
    assert plate_reader.right(["ABC", "ABD"], ["ABC", "XBC"]) == pytest.approx(4 / 6)
