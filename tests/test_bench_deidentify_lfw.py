"""`sansface bench deidentify` from end to end, on some people of LFW; skipped by name where they are not."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from sansface.bench.deidentify.fits import angle, change, head_fitter, jittered
from sansface.bench.deidentify.kid import StandIn
from sansface.cli import main
from sansface.deidentify.baselines import blur
from sansface.recognise.detect import Yunet

PEOPLE, SINGLES = 6, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Ten photographs each of some people, one each of others, under numbers for names."""
    import os

    root = Path(__file__).resolve().parents[1].parent / "shared" / "assets"
    lfw = Path(os.environ.get("SANSFACE_ASSETS", root)) / "photos" / "lfw"
    if not (lfw / "labels.json").exists():
        pytest.skip("no photographs of Labeled Faces in the Wild among the shared assets")
    labels = json.loads((lfw / "labels.json").read_text(encoding="utf-8"))["labels"]
    own: dict[str, list[str]] = {}
    for path, person in labels.items():
        own.setdefault(person, []).append(path)
    many = [paths[:10] for paths in own.values() if len(paths) >= 10][3::13][:PEOPLE]
    one = [paths for paths in own.values() if len(paths) == 1][:SINGLES]
    place = tmp_path_factory.mktemp("people")
    for number, paths in enumerate([*many, *one]):
        (place / f"{number:03d}").mkdir()
        for path in paths:
            shutil.copy(
                lfw / path, place / f"{number:03d}" / f"{len(list((place / f'{number:03d}').iterdir()))}.jpg"
            )
    return place


def cells(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def number(cell: str) -> float:
    return float(re.findall(r"-?[\d.]+", cell)[0])


def test_clear_photographs_and_black_ovals(folder: Path, shared_assets, tmp_path: Path, capsys):
    """The controls: nothing hidden is recognised and unchanged, a black oval is chance and no face."""
    words = ["bench", "deidentify", "--people", str(folder), "-o", str(tmp_path / "out")]
    words += [
        "--photographs",
        "12",
        "--gallery",
        "2",
        "--fits",
        "0",
        "--method",
        "black box",
        "--recogniser",
        "edgeface",
    ]
    assert main([*words, "--table", "papers", "--sheet", str(tmp_path / "sheet")]) == 0
    clear, black = cells(tmp_path / "out" / "papers.md")
    assert (clear["method"], black["method"]) == ("clear", "black box 1")
    assert number(clear["DIS"]) == 0
    assert (clear["PSNR"], number(clear["SSIM"]), number(clear["changed, %"])) == ("∞", 1, 0)
    assert number(clear["TAR at FMR 1e-3, %"]) > 80
    assert number(clear["detected, %"]) == 100
    assert number(black["TAR at FMR 1e-3, %"]) < 10
    assert number(black["detected, %"]) < 50
    assert number(black["KID"]) > 10 * abs(number(clear["KID"])) + 1
    assert number(black["changed beyond heads"]) == 0
    told = capsys.readouterr()
    assert str(folder) not in told.out
    sheet = cv2.imread(str(tmp_path / "sheet" / "black-box-1.png"))
    assert sheet is not None


def test_bad_words_are_one_sentence(folder: Path, shared_assets, tmp_path: Path, capsys):
    words = ["bench", "deidentify", "--people", str(folder), "-o", str(tmp_path / "out")]
    assert main([*words, "--method", "mask"]) == 1
    assert "no method 'mask'" in capsys.readouterr().err
    (tmp_path / ".git").mkdir()
    assert main([*words, "--sheet", str(tmp_path / "sheet")]) == 1
    assert "lies in a repository" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_stand_in_tells_hidden_faces_from_clear_ones(shared_assets):
    backbone, photograph = StandIn(), astronaut()
    face = Yunet().nearest(photograph)
    assert face is not None
    clear = backbone.features(photograph, face.landmarks)
    rng = np.random.default_rng(0)
    noisy = np.clip(photograph + rng.normal(0, 2, photograph.shape), 0, 255).astype(np.uint8)
    hidden = backbone.features(blur(0.4)(photograph, rng), face.landmarks)
    slightly = np.linalg.norm(backbone.features(noisy, face.landmarks) - clear)
    assert slightly < 0.2 * np.linalg.norm(hidden - clear)


def test_a_fit_of_a_turned_photograph_is_turned(shared_assets):
    """Turned in its plane by 8°, the head is; with jitter, it is not, nor is its expression another one."""
    photograph, fit = astronaut(), head_fitter()
    face = Yunet().nearest(photograph)
    assert face is not None
    first = fit(photograph, face.landmarks)
    x, y = face.landmarks.mean(axis=0)
    turn = cv2.getRotationMatrix2D((float(x), float(y)), 8, 1.0)
    turned = cv2.warpAffine(photograph, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    there = face.landmarks @ turn[:, :2].T + turn[:, 2]
    assert angle(first.rotation, fit(turned, there).rotation) == pytest.approx(8, abs=1.5)
    small = change(first, fit(jittered(photograph, face.eyes, np.random.default_rng(0)), face.landmarks))
    assert small.pose < 1.5
    assert small.expression < 0.3
