"""`sansface deidentify`: bad input gives one sentence and no picture, and nothing of the original leaks."""

import os
import re
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from painted import astronaut, detectors, head_model
from sansface.cli import main
from sansface.deidentify import faces, ideudemon
from sansface.errors import SansfaceError


@pytest.fixture(scope="module")
def tools() -> faces.Tools:
    """The test is skipped where a network is not."""
    head_model(), detectors()
    try:
        return faces.Tools()
    except SansfaceError as missing:
        pytest.skip(f"needs the asset hair: {missing}")


@pytest.fixture(autouse=True)
def loaded_once(tools, monkeypatch) -> None:
    monkeypatch.setattr(faces, "Tools", lambda: tools)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """(120, 120, 3) RGB, one face, 22 pixels between its eyes."""
    return cv2.resize(astronaut()[0:240, 105:345], (120, 120), interpolation=cv2.INTER_AREA)


def written(path: Path, picture: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), picture[:, :, ::-1] if picture.ndim == 3 else picture)
    return path


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :, ::-1]


def failed(capsys, *words: str) -> str:
    assert main(["deidentify", *words]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ")
    assert said.endswith(".")
    return said


def test_one_photograph_to_one_file(photograph, tmp_path, capsys):
    source, out = written(tmp_path / "source.png", photograph), tmp_path / "out.png"
    assert main(["deidentify", str(source), "-o", str(out), "--seed", "5"]) == 0
    told = capsys.readouterr()
    assert "with --seed the noise can be taken away again" in told.err
    assert "not anonymous" in told.out
    assert read(out).shape == photograph.shape
    assert (read(out) != photograph).any()
    first = out.read_bytes()
    assert main(["deidentify", str(source), "-o", str(out), "--seed", "5", "--overwrite"]) == 0
    assert out.read_bytes() == first
    assert main(["deidentify", str(source), "-o", str(out), "--overwrite"]) == 0
    assert out.read_bytes() != first
    assert "warning" not in capsys.readouterr().err.splitlines()[-1]
    assert "exists" in failed(capsys, str(source), "-o", str(out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "source.png"]


def test_several_go_to_a_folder_by_number(photograph, tmp_path, capsys):
    paths = [str(written(tmp_path / f"somebody{k}.png", photograph)) for k in range(2)]
    out = tmp_path / "out"
    assert main(["deidentify", *paths, "-o", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["000.png", "001.png"]
    assert (out / "000.png").read_bytes() != (out / "001.png").read_bytes()  # each another draw
    assert "already holds files" in failed(capsys, *paths, "-o", str(out))
    assert "is one file for 2" in failed(capsys, *paths, "-o", str(tmp_path / "one.png"))


@pytest.mark.parametrize("linked", [False, True])
def test_no_photograph_is_overwritten_or_removed_whatever_is_said(photograph, tmp_path, capsys, linked):
    """Numbered results into the folder that the photographs are in, and are numbered, too."""
    folder = tmp_path / "folder"
    folder.mkdir()
    inputs = [written(folder / name, photograph) for name in ("zz.png", "000.png")]
    if linked:  # by another name
        inputs[1] = tmp_path / "linked.png"
        os.link(folder / "000.png", inputs[1])
    before = {path: path.read_bytes() for path in folder.iterdir()}
    said = failed(capsys, *map(str, inputs), "-o", str(folder), "--overwrite")
    assert "000.png is one of the photographs" in said
    said = failed(capsys, str(inputs[0]), "-o", str(folder / "zz.png"), "--overwrite")
    assert "zz.png is one of the photographs" in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def exif(orientation: int, canary: bytes) -> bytes:
    """A TIFF block: the orientation, and who took the photograph."""
    head = b"II*\0" + struct.pack("<IH", 8, 2)
    artist = struct.pack("<HHII", 0x013B, 2, len(canary), 38)
    return head + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + artist + b"\0\0\0\0" + canary


CANARY = b"canary-of-nobody-7431"


def with_exif(picture: np.ndarray, orientation: int) -> bytes:
    """A JPEG with an EXIF block and a comment."""
    data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])[1].tobytes()
    block = b"Exif\0\0" + exif(orientation, CANARY)
    segments = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    segments += b"\xff\xfe" + struct.pack(">H", len(CANARY) + 2) + CANARY
    return data[:2] + segments + data[2:]


def test_the_orientation_is_honoured_and_nothing_else_of_the_file_is_kept(photograph, tmp_path, capsys):
    lying = np.ascontiguousarray(np.rot90(np.repeat(photograph[:, :110], 1, axis=0)))  # 6: turn it clockwise
    source = tmp_path / f"{CANARY.decode()}.jpg"
    source.write_bytes(with_exif(lying, 6))
    out = tmp_path / "out"
    assert main(["deidentify", str(source), "-o", str(out)]) == 0
    told = capsys.readouterr()
    result = out / "000.png"
    assert [path.name for path in out.iterdir()] == ["000.png"]
    assert read(result).shape == (120, 110, 3)
    assert np.abs(read(result).astype(int) - photograph[:, :110])[:25].mean() < 8  # upright, and not the face
    data = result.read_bytes()
    pixels = zlib.decompress(data[data.index(b"IDAT") + 4 : -16])
    for kept in (data, pixels, told.out.encode(), told.err.encode()):
        assert CANARY not in kept
    assert data.count(b"IHDR") == data.count(b"IDAT") == data.count(b"IEND") == 1
    assert not any(word in data for word in (b"tEXt", b"iTXt", b"eXIf", b"tIME", b"iCCP"))


def test_a_mark_upon_the_face_is_not_in_the_result(photograph, tmp_path):
    """Pixels that a copy would show: a line of colours that no face has."""
    marked = photograph.copy()
    rng = np.random.default_rng(0)
    line = rng.integers(0, 256, (30, 3), np.uint8)
    marked[66, 50:80] = line  # over the nose
    out = tmp_path / "out.png"
    assert main(["deidentify", str(written(tmp_path / "source.png", marked)), "-o", str(out)]) == 0
    result = read(out)
    assert (result[66, 50:80] != line).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("kind", ["grey", "RGBA", "16 bits", "CMYK"])
def test_any_kind_of_picture_is_taken(photograph, tmp_path, kind):
    path = tmp_path / "source.png"
    if kind == "grey":
        written(path, cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY))
    elif kind == "RGBA":
        cv2.imwrite(str(path), np.dstack([photograph[:, :, ::-1], np.full((120, 120), 200, np.uint8)]))
    elif kind == "16 bits":
        cv2.imwrite(str(path), photograph[:, :, ::-1].astype(np.uint16) * 257)
    else:
        image = pytest.importorskip("PIL.Image")
        path = path.with_suffix(".jpg")
        image.fromarray(photograph).convert("CMYK").save(path, quality=95)
    out = tmp_path / "out.png"
    assert main(["deidentify", str(path), "-o", str(out)]) == 0
    result = read(out)
    assert result.shape == (120, 120, 3)
    assert result.dtype == np.uint8
    corner = np.abs(result.astype(int) - photograph)[:20, :20].mean()
    assert corner < (12 if kind in ("grey", "CMYK") else 1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nobody", "no face is found"),
        ("tiny", "no face is found|less than 8"),
        ("empty", "cannot be decoded"),
        ("cut short", "cut short"),
        ("text", "cannot be decoded"),
        ("missing", "there is no file"),
    ],
)
def test_what_cannot_be_changed_leaves_no_file(photograph, tmp_path, capsys, kind, words):
    path = tmp_path / "source.jpg"
    if kind == "nobody":
        written(path, np.ascontiguousarray(photograph[:20, :20]))
    elif kind == "tiny":
        scene = np.full((120, 120, 3), 120, np.uint8)
        scene[50:70, 50:70] = cv2.resize(photograph, (20, 20), interpolation=cv2.INTER_AREA)
        written(path, scene)
    elif kind == "cut short":
        data = cv2.imencode(".jpg", photograph)[1].tobytes()
        path.write_bytes(data[: len(data) // 2])
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"no picture")
    said = failed(capsys, str(path), "-o", str(tmp_path / "out.png"))
    assert re.search(words, said)
    assert "source.jpg" in said
    assert not list(tmp_path.glob("out*"))


def test_one_without_a_face_does_not_keep_the_others_from_theirs(photograph, tmp_path, capsys):
    good = str(written(tmp_path / "good.png", photograph))
    bad = str(written(tmp_path / "bad.png", np.ascontiguousarray(photograph[:20, :20])))
    out = tmp_path / "out"
    assert main(["deidentify", good, good, good, "-o", str(out)]) == 0
    capsys.readouterr()
    assert main(["deidentify", good, bad, good, "-o", str(out), "--overwrite"]) == 1
    said = capsys.readouterr().err
    assert re.search(rf"error: {re.escape(bad)}: no face is found", said)
    assert "1 of 3 photographs have no result" in said
    assert sorted(path.name for path in out.iterdir()) == ["000.png", "002.png"]  # no older one in its place


def test_a_mistyped_film_leaves_no_folder_of_its_name(tmp_path, capsys):
    assert "there is no file" in failed(capsys, str(tmp_path / "flim.mp4"), "-o", str(tmp_path / "out.mp4"))
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--strength", "0"), "the strength is above 0"),
        (("--strength", "2.5"), "the strength is above 0"),
        (("--strength", "nan"), "the strength is above 0"),
        (("--seed", "-1"), "the seed -1 is below 0"),
    ],
)
def test_settings_out_of_range_are_refused(photograph, tmp_path, capsys, words, sentence):
    source = written(tmp_path / "source.png", photograph)
    assert sentence in failed(capsys, str(source), "-o", str(tmp_path / "out.png"), *words)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("out", "sentence"), [("out.jpg", "would be a folder"), ("no/such/out.png", "there is no folder")]
)
def test_places_that_do_not_fit_are_refused(photograph, tmp_path, capsys, out, sentence):
    source = written(tmp_path / "source.png", photograph)
    assert sentence in failed(capsys, str(source), "-o", str(tmp_path / out))
    assert [path.name for path in tmp_path.iterdir()] == ["source.png"]


def test_one_who_lies_is_changed_too(photograph, tmp_path, capsys):
    both = np.hstack([photograph, np.ascontiguousarray(np.rot90(photograph))])
    source, out = written(tmp_path / "source.png", both), tmp_path / "out.png"
    assert main(["deidentify", str(source), "-o", str(out)]) == 0
    assert "2 changed" in capsys.readouterr().out
    assert np.abs(read(out).astype(int) - both)[50:70, 165:185].mean() > 4


def test_one_who_is_too_small_is_refused_or_covered(photograph, tmp_path, capsys):
    both = np.hstack([photograph, np.full_like(photograph, 127)])
    both[40:80, 160:200] = cv2.resize(photograph, (40, 40), interpolation=cv2.INTER_AREA)
    source, out = written(tmp_path / "source.png", both), tmp_path / "out.png"
    assert "say --cover" in failed(capsys, str(source), "-o", str(out))
    assert not out.exists()
    assert main(["deidentify", str(source), "-o", str(out), "--cover"]) == 0
    assert "1 changed, 1 covered" in capsys.readouterr().out
    assert (read(out)[52:68, 173:187] == 0).all()


@pytest.mark.parametrize("where", ["change", "write"])
def test_an_interruption_leaves_no_half_file(photograph, tmp_path, capsys, monkeypatch, where):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    if where == "change":
        monkeypatch.setattr(ideudemon, "change_held", stop)
    else:
        monkeypatch.setattr("sansface.files.os.replace", stop)
    source = written(tmp_path / "source.png", photograph)
    assert main(["deidentify", str(source), "-o", str(tmp_path / "out.png")]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["source.png"]


@pytest.mark.slow
def test_twenty_people(photograph, tmp_path, capsys):
    rows = [np.hstack([photograph] * 5)] * 4
    source, out = written(tmp_path / "source.png", np.vstack(rows)), tmp_path / "out.png"
    assert main(["deidentify", str(source), "-o", str(out)]) == 0
    assert "20 changed" in capsys.readouterr().out
    differs = (read(out) != np.vstack(rows)).any(axis=2).reshape(4, 120, 5, 120).mean(axis=(1, 3))
    assert (differs > 0.03).all()


@pytest.mark.slow
def test_a_picture_of_twelve_megapixels(photograph, tmp_path):
    """One face that fills it: seconds of processor time, not minutes."""
    large = cv2.resize(astronaut()[0:220, 110:330], (3464, 3464), interpolation=cv2.INTER_CUBIC)
    source, out = written(tmp_path / "source.png", large), tmp_path / "out.png"
    began = time.process_time()
    assert main(["deidentify", str(source), "-o", str(out)]) == 0
    assert time.process_time() - began < 60
    assert (read(out) != large).any(axis=2).mean() > 0.05
