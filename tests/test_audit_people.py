"""Photographs of people: numbered, cut out, checked. What needs YuNet is skipped by name where it is not."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sansface.audit.copies import copies, fingerprint
from sansface.audit.people import CLEAR, STANDARD, People, read_people
from sansface.errors import SansfaceError
from sansface.recognise.align import SIDE, TEMPLATE, Placing
from sansface.recognise.detect import Face, Yunet

LANDMARKS = 0.5 * TEMPLATE + 20
"""In the pictures here, which are of 96 pixels: the eyes are 17.6 apart."""
FACE = Face(0.9, LANDMARKS)


def picture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(96, 96, 3))
    return np.clip(127 + 400 * cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype(np.uint8)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[:, :, ::-1] if pixels.ndim == 3 else pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Carol has two photographs, Alice three, Bob one; seeds 0 to 5 in alphabetical order."""
    for seed, name in enumerate(["Alice/a", "Alice/b", "Alice/c", "Bob/x", "Carol/1", "Carol/2"]):
        write(tmp_path / f"{name}.png", picture(seed))
    return tmp_path


def read(folder: Path, face: Face | None = FACE, **more) -> People:
    return read_people(folder, find=lambda _: face, **more)


def test_people_are_numbers_and_crops(folder: Path):
    people = read(folder)
    assert people.labels.tolist() == [0, 0, 0, 1, 2, 2]
    assert people.numbers.tolist() == [0, 1, 2, 0, 0, 1]
    assert set(people.crops) == {CLEAR, STANDARD}
    for seed in range(6):
        np.testing.assert_array_equal(people.crops[CLEAR][seed], CLEAR.cut(picture(seed), LANDMARKS))
    assert people.crops[STANDARD].shape == (6, 64, 64, 3)
    assert people.eyes == pytest.approx(np.full(6, FACE.eyes))
    assert len(set(people.digests.tolist())) == 6


def test_no_name_is_kept(folder: Path):
    told = repr(vars(read(folder))).lower()
    assert not any(name in told for name in ("alice", "bob", "carol", ".png", str(folder).lower()))


def test_a_list_says_the_same_as_folders(folder: Path):
    by_folder = read(folder)
    labels = {f"{path.parent.name}/{path.name}": path.parent.name for path in folder.glob("*/*.png")}
    (folder / "labels.json").write_text(json.dumps({"labels": labels}))
    by_list = read(folder)
    assert by_list.labels.tolist() == by_folder.labels.tolist()
    assert by_list.digests.tolist() == by_folder.digests.tolist()


@pytest.mark.parametrize("told", ["[]", '{"labels": 3}', '{"labels": {"a.png": 3}}', '{"people": {}}', "{"])
def test_a_list_of_another_form_is_refused(folder: Path, told: str):
    (folder / "labels.json").write_text(told)
    with pytest.raises(SansfaceError, match=r"labels\.json is not .*correct the file"):
        read(folder)


def test_a_list_cannot_lead_outside(folder: Path):
    (folder / "labels.json").write_text('{"labels": {"../secret.png": "Bob"}}')
    with pytest.raises(SansfaceError, match="not inside"):
        read(folder)


def test_grey_and_sixteen_bits_and_alpha_are_worked_with(tmp_path: Path):
    grey = picture(0)[:, :, 0]
    alpha = np.dstack([picture(1)[:, :, ::-1], np.full((96, 96), 9, np.uint8)])
    write(tmp_path / "A/grey.png", grey)
    write(tmp_path / "A/wide.png", picture(2).astype(np.uint16) * 257)
    assert cv2.imwrite(str(tmp_path / "A/zalpha.png"), alpha)
    faces = read(tmp_path).crops[CLEAR]
    np.testing.assert_array_equal(faces[0], CLEAR.cut(np.dstack([grey] * 3), LANDMARKS))
    np.testing.assert_array_equal(faces[1], CLEAR.cut(picture(2), LANDMARKS))
    np.testing.assert_array_equal(faces[2], CLEAR.cut(picture(1), LANDMARKS))


def test_what_cannot_be_used_is_told_by_number(folder: Path):
    """The second call finds no face, the fourth a tiny one."""
    answers = iter([FACE, None, FACE, Face(0.9, LANDMARKS / 2), FACE, FACE])
    people = read_people(folder, find=lambda _: next(answers))
    assert people.labels.tolist() == [0, 0, 2, 2]
    assert people.numbers.tolist() == [0, 2, 0, 1]
    assert (people.faceless, people.small) == (((0, 1),), ((1, 0),))
    assert read(folder, Face(0.9, LANDMARKS / 2), least_eyes=5.0).small == ()


def saved_again(path: Path, seed: int) -> None:
    """The same picture, brighter, paler, and as JPEG."""
    pale = np.clip(0.8 * picture(seed) + 40, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pale[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])


def test_a_photograph_saved_again_counts_once(folder: Path):
    saved_again(folder / "Alice" / "d.jpg", 1)
    people = read(folder)
    assert people.twice == ((0, 3),)
    assert len(people.labels) == len(people.eyes) == len(people.digests) == len(people.crops[CLEAR]) == 6


def test_a_photograph_that_two_people_have_is_an_error_though_it_was_saved_again(folder: Path):
    saved_again(folder / "Carol" / "3.jpg", 0)
    with pytest.raises(
        SansfaceError, match=r"photograph 3 of person 3 .*same picture as photograph 1 of pers"
    ):
        read(folder)


def test_flat_pictures_are_no_copies():
    flat, other = (np.full((96, 96, 3), grey, np.uint8) for grey in (90, 91))
    prints = np.stack([fingerprint(one, LANDMARKS) for one in (flat, other, picture(0), picture(0))])
    assert copies(prints).tolist() == [[2, 3]]


def test_a_photograph_twice_counts_once(folder: Path):
    write(folder / "Carol/3.png", picture(5))
    assert read(folder).twice == ((2, 2),)
    write(folder / "Bob/y.png", picture(0))
    with pytest.raises(SansfaceError, match=r"photograph 2 of person 2 .* photograph 1 of person 1"):
        read(folder)


def test_no_face_at_all(folder: Path):
    with pytest.raises(SansfaceError, match="no face was found in any of the 6 photographs"):
        read(folder, None)
    with pytest.raises(SansfaceError, match="in 6 the eyes are less than 11 pixels apart; give larger"):
        read(folder, Face(0.9, LANDMARKS / 2))


def test_an_unreadable_photograph_is_named(folder: Path):
    (folder / "Bob/x.png").write_bytes((folder / "Bob/x.png").read_bytes()[:200])
    with pytest.raises(SansfaceError, match=r"photograph .*Bob.x\.png is cut short"):
        read(folder)


def test_no_folder_and_nobody_in_it(tmp_path: Path):
    with pytest.raises(SansfaceError, match="there is no folder"):
        read(tmp_path / "none")
    write(tmp_path / "loose.png", picture(0))
    with pytest.raises(SansfaceError, match="no sub-folder with photographs"):
        read(tmp_path)


def test_a_placing_is_found_again():
    """From the standard size to a recogniser's and to dlib's: each landmark's dot where that placing says."""
    wide, other = Placing(256, 44.0), Placing(150, 52.55, (-1.0, -21.3))
    y, x = np.mgrid[:256, :256] + 0.5
    for number, (u, v) in enumerate(wide.landmarks):
        dot = np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18).astype(np.float32)
        moved = other.again(dot[None], wide)[0]
        rows, columns = np.mgrid[:150, :150] + 0.5
        centre = np.array([(columns * moved).sum(), (rows * moved).sum()]) / moved.sum()
        np.testing.assert_allclose(centre, other.landmarks[number], atol=0.05)
    same = np.zeros((2, SIDE, SIDE, 3), np.float32)
    assert CLEAR.again(same, CLEAR) is same


def some_faces(assets: Path, count: int) -> list[np.ndarray]:
    files = sorted((assets / "photos/lfw/img").glob("*/*.jpg"))[:count]
    if len(files) < count:
        pytest.skip("no photographs of Labeled Faces in the Wild among the shared assets")
    return [np.ascontiguousarray(cv2.imread(str(file))[:, :, ::-1]) for file in files]


def test_yunet_finds_the_face_nearest_the_middle(shared_assets: Path):
    """Two faces side by side, and as much grey to their right: the second one is in the middle."""
    yunet = Yunet()
    one, other = some_faces(shared_assets, 2)
    blank = np.full((250, 250, 3), 127, np.uint8)
    alone, found = yunet.nearest(other), yunet.nearest(np.hstack([one, other, blank]))
    assert alone is not None
    assert found is not None
    np.testing.assert_allclose(found.landmarks - (250, 0), alone.landmarks, atol=0.15 * alone.eyes)
    assert yunet.nearest(blank) is None


def test_yunet_sees_a_face_only_where_it_lies(shared_assets: Path):
    yunet = Yunet()
    (photo,) = some_faces(shared_assets, 1)
    face = yunet.nearest(photo)
    assert face is not None
    small = STANDARD.cut(photo, face.landmarks)
    codes = np.rint(255 * small).astype(np.uint8)
    assert yunet.sees(codes, STANDARD.landmarks)
    assert not yunet.sees(codes, STANDARD.landmarks + np.array([8, 0]))
    noise = np.random.default_rng(0).integers(0, 256, codes.shape, np.uint8)
    assert not yunet.sees(noise, STANDARD.landmarks)


def test_a_large_photograph_is_looked_at_again(shared_assets: Path):
    """A face of 5 pixels between the eyes at the first size is found at a later one."""
    (photo,) = some_faces(shared_assets, 1)
    large = np.full((2000, 2000, 3), 127, np.uint8)
    large[900:1150, 900:1150] = photo
    alone, found = Yunet().nearest(photo), Yunet().nearest(large)
    assert alone is not None
    assert found is not None
    np.testing.assert_allclose(found.landmarks - (900, 900), alone.landmarks, atol=0.2 * alone.eyes)
