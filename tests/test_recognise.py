"""Recognisers behind one protocol: a tiny ONNX file made here, and the real ones where their weights are."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from onnx_files import last, means
from sansface.audit.attackers.layers import layers_of
from sansface.audit.people import CLEAR
from sansface.audit.scores import similarities
from sansface.errors import SansfaceError
from sansface.photographs.decode import decode, decode_rgb
from sansface.recognise.align import Placing
from sansface.recognise.detect import Yunet, at
from sansface.recognise.dlib_network import FILE, DlibNetwork
from sansface.recognise.onnx import OnnxRecogniser, backwards, declared_input, insightface, operations
from sansface.recognise.recogniser import known_by
from sansface.recognise.registry import OURS, recogniser


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "means.onnx"
    path.write_bytes(means(112))
    return path


def test_the_input_is_normalised_as_told(network: Path):
    """Channel means of a plain colour, times 1, 2, 3: by hand, in the order red, green, blue."""
    colours = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    faces = np.broadcast_to(colours[:, None, None], (40, 112, 112, 3))
    for mean, scale in ((127.5, 127.5), (0.0, 1.0), (128.0, 127.0)):
        found = OnnxRecogniser(network, mean=mean, scale=scale).embed(faces)
        np.testing.assert_allclose(found, (255 * colours - mean) / scale * (1, 2, 3), rtol=1e-3, atol=1e-3)


def test_models_of_insightface_say_themselves_what_they_take(tmp_path: Path):
    path, face = tmp_path / "w600k.onnx", np.full((1, 112, 112, 3), 0.6, np.float32)
    path.write_bytes(means(112, less=True))
    assert operations(path.read_bytes())[:2] == ["Sub", "Mul"]
    np.testing.assert_allclose(
        insightface(path).embed(face), [(153 - np.arange(1, 4)) * (1, 2, 3)], rtol=1e-3
    )
    path.write_bytes(means(112))
    np.testing.assert_allclose(recogniser(f"insightface:{path}").embed(face), [[0.2, 0.4, 0.6]], rtol=1e-3)


def test_one_file_given_in_several_ways_is_known_by_each(tmp_path: Path):
    """By weights alone what one says would be taken for what another says."""
    one, other = tmp_path / "w600k.onnx", tmp_path / "facenet.onnx"
    one.write_bytes(means(112, less=True))
    other.write_bytes(last(112, 112))
    ways = [recogniser(f"onnx:{one}"), recogniser(f"insightface:{one}"), OnnxRecogniser(one, scale=1)]
    ways += [OnnxRecogniser(other, order=order) for order in (backwards, np.asarray)]
    assert len({(way.name, way.digest) for way in ways}) == 2
    assert len({json.dumps(known_by(way)) for way in ways}) == len(ways)
    assert known_by(recogniser(f"onnx:{one}")) == known_by(ways[0])


def test_models_of_deepface_take_blue_first_and_a_box_of_their_own(tmp_path: Path):
    """As deepface itself gives them values: (byte / 255) of BGR, the channel last."""
    path = tmp_path / "facenet_weights.onnx"
    path.write_bytes(last(160, 160))
    known = recogniser(f"deepface:{path}")
    colours = np.random.default_rng(0).random((9, 3)).astype(np.float32)
    faces = np.broadcast_to(colours[:, None, None], (9, 160, 160, 3))
    np.testing.assert_allclose(known.embed(faces), colours[:, ::-1], rtol=1e-3)
    assert (known.name, known.placing.side) == ("facenet_weights", 160)
    right, left, *_ = known.placing.landmarks
    np.testing.assert_allclose(left - right, (0.324 * 160, 0), atol=0.4)
    path.write_bytes(last(112, 112))
    assert layers_of([recogniser(f"deepface:{path}")]) == {}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (last(55, 47), r"takes an input of \? × 55 × 47 × 3, not 1 × side × side × 3"),
        (last("h", "w"), r"takes an input of \? × \? × \? × 3, not"),
        (means(112), r"takes an input of \? × 3 × 112 × 112, not"),
        (b"hello", r"is no ONNX file that can be read"),
        (None, r"is missing; get one \(.*deepface_models"),
    ],
)
def test_what_deepface_would_not_take(tmp_path: Path, model: bytes | None, words: str):
    path = tmp_path / "deepid_weights.onnx"
    if model is not None:
        path.write_bytes(model)
    with pytest.raises(SansfaceError, match=words):
        recogniser(f"deepface:{path}")


def test_the_same_face_alone_and_among_others(network: Path):
    faces = np.random.default_rng(0).random((35, 112, 112, 3)).astype(np.float32)
    known = recogniser(f"onnx:{network}")
    assert (known.name, known.placing) == ("means", CLEAR)
    np.testing.assert_allclose(known.embed(faces)[33:34], known.embed(faces[33:34]), rtol=1e-5)


def test_declared_inputs():
    assert declared_input(means(112)) == (0, 3, 112, 112)
    assert declared_input(means("side", 1)) == (1, 3, 0, 0)


def test_weights_of_another_size_are_refused(tmp_path: Path):
    path = tmp_path / "large.onnx"
    path.write_bytes(means(160))
    with pytest.raises(
        SansfaceError, match=r"large.onnx takes an input of \? × 3 × 160 × 160, not 1 × 3 × 112"
    ):
        OnnxRecogniser(path)
    assert OnnxRecogniser(path, placing=Placing(160, 50.0)).embed(np.zeros((2, 160, 160, 3))).shape == (2, 3)
    path.write_bytes(means("side"))
    assert OnnxRecogniser(path).embed(np.zeros((2, 112, 112, 3), np.float32)).shape == (2, 3)


@pytest.mark.parametrize("content", [b"", b"hello, world", bytes(200), means(112)[:90], b"\xff" * 100])
def test_what_is_no_network_is_one_sentence(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(SansfaceError, match=r"broken\.onnx"):
        OnnxRecogniser(path)


def test_what_gives_no_vector_is_refused(tmp_path: Path):
    path = tmp_path / "maps.onnx"
    path.write_bytes(means(112, flat=False))
    with pytest.raises(SansfaceError, match=r"\(1, 3, 1, 1\), not a vector"):
        OnnxRecogniser(path)


def test_missing_weights_say_which_from_where_by_which_licence(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SANSFACE_ASSETS", str(tmp_path))
    for name, words in {
        "edgeface": r"edgeface_xs_deq_112\.onnx is missing \(.*for research.*otroshi/edgeface.*put it there",
        "mobilefacenet": r"mobilefacenet.*\.onnx is missing \(research only.*insightface.*put it there",
        f"onnx:{tmp_path}/mine.onnx": r"mine\.onnx: there is no such file",
    }.items():
        with pytest.raises(SansfaceError, match=words):
            recogniser(name)


def test_a_missing_file_of_insightface_says_from_where_and_by_which_licence(tmp_path: Path):
    with pytest.raises(
        SansfaceError, match=r"r50\.onnx is missing; .*deepinsight/insightface.*not commercial"
    ):
        recogniser(f"insightface:{tmp_path / 'r50.onnx'}")


def test_dlib_says_what_is_missing(tmp_path: Path):
    pytest.importorskip("dlib")
    with pytest.raises(SansfaceError, match=rf"{FILE} is missing; get .*dlib\.net.*CC0"):
        recogniser(f"dlib:{tmp_path}")
    (tmp_path / FILE).write_bytes(b"something else")
    with pytest.raises(SansfaceError, match="is not dlib's recogniser; get"):
        DlibNetwork(tmp_path)


def test_without_dlib_the_extra_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(SansfaceError, match=r"sansface\[dlib\]"):
        DlibNetwork(tmp_path)


@pytest.mark.parametrize("name", ["nobody", "onnx", "onnx:", "edgeface:here.onnx", ""])
def test_an_unknown_name_lists_the_known_ones(name: str):
    with pytest.raises(SansfaceError, match=r"no recogniser .*edgeface, .*onnx:PATH"):
        recogniser(name)


def real(name: str, assets: Path) -> str:
    """The name with the path that it wants, for those whose weights are here."""
    if name in OURS:
        return name
    weights = Path(os.environ.get("SANSFACE_DLIB", assets / "weights" / FILE))
    if not weights.exists():
        pytest.skip("no weights of dlib's network (set SANSFACE_DLIB)")
    pytest.importorskip("dlib")
    return f"dlib:{weights}"


@pytest.mark.parametrize("name", [*OURS, "dlib"])
def test_one_person_is_more_alike_than_two(shared_assets: Path, name: str):
    """Four photographs each of three people, by every recogniser that can be had."""
    known = recogniser(real(name, shared_assets))
    folder, yunet = shared_assets / "photos/lfw", Yunet()
    if not (folder / "labels.json").exists():
        pytest.skip("no photographs of Labeled Faces in the Wild among the shared assets")
    own: dict[str, list[np.ndarray]] = {}
    for path, person in json.loads((folder / "labels.json").read_text())["labels"].items():
        if len(own.get(person, ())) < 4 and (person in own or len(own) < 3):
            picture = np.ascontiguousarray(decode(folder / path, "photograph", upright=True)[:, :, ::-1])
            face = yunet.nearest(picture)
            assert face is not None
            own.setdefault(person, []).append(known.placing.cut(picture, face.landmarks))
    labels = np.repeat(np.arange(len(own)), [len(faces) for faces in own.values()])
    similar = similarities(*[known.embed(np.stack([face for faces in own.values() for face in faces]))] * 2)
    same = labels[:, None] == labels
    genuine = similar[same & ~np.eye(len(labels), dtype=bool)]
    assert genuine.mean() > similar[~same].mean() + (0.01 if name == "gradients" else 0.05)


def test_every_face_is_found_once_whatever_its_size(shared_assets: Path):
    """A large one and a small one beside it: where the large one is found, a quick look ends."""
    photographs = sorted((shared_assets / "photos/lfw").rglob("*.jpg"))[:2]
    large, small = (decode_rgb(path, "photograph") for path in photographs)
    scene = np.full((1250, 1600, 3), 127, np.uint8)
    scene[:, :1250] = cv2.resize(large, (1250, 1250), interpolation=cv2.INTER_CUBIC)
    scene[900:1000, 1380:1480] = cv2.resize(small, (100, 100), interpolation=cv2.INTER_AREA)
    yunet = Yunet()
    assert len(yunet.faces(scene)) == 1
    every = yunet.every(scene)
    assert sorted(face.landmarks.mean(axis=0)[0] > 1250 for face in every) == [False, True]
    assert [at(every, face.landmarks + 1) for face in every] == every
    assert at(every, every[0].landmarks + 400) is None
    assert at([], every[0].landmarks) is None
