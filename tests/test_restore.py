"""The user's own network that restores faces: what it is given, and that it stays within what was changed."""

from pathlib import Path

import numpy as np
import pytest

from onnx_files import coloured, means
from painted import astronaut, detectors, head_model
from sansface.cli import main
from sansface.deidentify.faces import Tools
from sansface.deidentify.ideudemon import deidentify
from sansface.deidentify.restore import SIDE, TEMPLATE, Restorer
from sansface.errors import SansfaceError

pytest.importorskip("onnxruntime")


def restorer(folder: Path, gain: float) -> Restorer:
    path = folder / "own.onnx"
    path.write_bytes(coloured(gain))
    return Restorer(path)


def picture(height: int = 300, width: int = 260) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([60 + 100 * x / width, 200 - 100 * y / height, 90 + 0 * x], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.1, 0.3, 1.7])
def test_a_network_that_changes_nothing_changes_nothing(tmp_path, scale):
    """At any size of the face, and at any turn: the way there and back is the identity, but for rounding."""
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    shown = picture(round(1100 * scale) + 90, round(1000 * scale) + 90)
    middle = np.array(shown.shape[1::-1]) / 2
    landmarks = scale * (TEMPLATE - SIDE / 2) @ turn.T + middle
    touched = np.ones(shown.shape[:2], dtype=bool)
    done = restorer(tmp_path, 1.0).restored(shown, landmarks, touched)
    assert done.dtype == np.uint8
    assert np.abs(done.astype(int) - shown).max() <= 2


def test_what_it_makes_stays_within_what_was_changed_and_fades_at_its_rim(tmp_path):
    shown = np.full((300, 260, 3), 200, np.uint8)
    landmarks = 0.4 * TEMPLATE + (20, 40)
    touched = np.zeros(shown.shape[:2], dtype=bool)
    touched[100:200, 80:180] = True
    done = restorer(tmp_path, 0.5).restored(shown, landmarks, touched)
    np.testing.assert_array_equal(done[~touched], shown[~touched])
    inner = done[130:170, 110:150]
    assert (inner[..., 1:] == 200).all()
    # Red, in [−1, 1], is halved: (200 / 127.5 − 1) / 2.
    np.testing.assert_allclose(inner[..., 0], 127.5 * ((200 / 127.5 - 1) / 2 + 1), atol=1)
    row = done[150, 80:100, 0].astype(int)
    assert (np.diff(row) <= 0).all()
    assert row[0] > row[-1]


def test_a_face_at_the_pictures_rim(tmp_path):
    shown, landmarks = picture(), 0.5 * TEMPLATE - (150, 60)
    done = restorer(tmp_path, 0.0).restored(shown, landmarks, np.ones(shown.shape[:2], dtype=bool))
    assert done.shape == shown.shape
    np.testing.assert_array_equal(done[:, 200:], shown[:, 200:])  # beyond the network's square
    assert (done[60:120, 0, 0] == 128).all()  # the picture's own rim is none


def test_numbers_that_are_not_finite_are_an_error(tmp_path):
    with pytest.raises(SansfaceError, match="no finite numbers"):
        restorer(tmp_path, float("nan")).restored(
            picture(), 0.4 * TEMPLATE, np.ones(picture().shape[:2], dtype=bool)
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no network", r"own\.onnx is no network that takes and gives 1 × 3 × 512 × 512"),
        (means(SIDE, 1), r"own\.onnx (gives|is no network)"),
        (coloured(1.0, 256), r"own\.onnx is no network that takes"),
        (None, r"own\.onnx is missing; export GFPGAN to ONNX \(github"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path, content, words):
    path = tmp_path / "own.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SansfaceError, match=words):
        Restorer(path)


def test_the_changed_face_is_restored_and_nothing_else(tmp_path):
    head_model(), detectors()
    tools, photograph = Tools(), astronaut()
    plain, restored = (
        deidentify(photograph, tools, np.random.default_rng(0), restorer=one)
        for one in (None, restorer(tmp_path, 0.2))
    )
    np.testing.assert_array_equal(plain.touched, restored.touched)
    np.testing.assert_array_equal(plain.photograph[~plain.touched], restored.photograph[~plain.touched])
    off = np.abs(plain.photograph.astype(int) - restored.photograph)
    assert off[plain.touched][:, 0].mean() > 10
    assert off[..., 1:].mean() < 0.2


def test_the_command_says_what_is_missing_before_any_work(tmp_path, capsys):
    head_model(), detectors()
    photograph = tmp_path / "one.png"
    photograph.write_bytes(b"")
    words = ["deidentify", str(photograph), "-o", str(tmp_path / "out.png")]
    assert main([*words, "--restore", str(tmp_path / "gone.onnx")]) == 1
    assert "gone.onnx is missing" in capsys.readouterr().err
