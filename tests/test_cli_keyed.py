"""The verbs key, anonymize, authenticate, register and unseal, as a user types them, on drawn people."""

import os
import stat
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import tiles
from sansface.deidentify import faces, kfaar
from sansface.photographs.decode import decode_rgb
from sansface.recognise import detect, registry


@pytest.fixture(autouse=True)
def _drawn_people(monkeypatch):
    """The recogniser, the detector and the changer of drawn faces in the places of the real ones."""
    monkeypatch.setattr(faces, "Tools", lambda: None)
    monkeypatch.setattr(
        kfaar, "subjects", lambda picture, tools, rng, cover: (picture, tiles.subjects(picture))
    )
    monkeypatch.setitem(registry.OURS, "edgeface", tiles.Tiles)
    monkeypatch.setitem(registry.OURS, "stripes", lambda: tiles.Tiles(name="stripes"))
    monkeypatch.setattr(detect, "Yunet", tiles.Frames)


@pytest.fixture
def refused(say):
    """Run a command that must fail with one sentence, and return the sentence."""

    def run(*words: object) -> str:
        code, out, told = say(*words)
        assert code == 1, told
        assert out == ""
        assert told.startswith("error: ")
        assert told.count("\n") == 1
        return told

    return run


def photographed(path: Path, *people: int, take: int = 0) -> Path:
    cv2.imwrite(str(path), tiles.photograph(*people, take=take)[:, :, ::-1])
    return path


@pytest.fixture
def here(tmp_path, say, monkeypatch) -> Path:
    """A folder with keys, photographs of two people, and one of nobody."""
    monkeypatch.chdir(tmp_path)
    for name, purpose in (("my.key", "recognition"), ("other.key", "recognition"), ("seal.key", "sealing")):
        assert say("key", "new", name, "--purpose", purpose)[0] == 0
    for who in (1, 2):
        photographed(tmp_path / f"secret name {who}.png", who)
        photographed(tmp_path / f"again {who}.png", who, take=1)
    photographed(tmp_path / "nobody.png")
    return tmp_path


COMMON = ("--threshold", tiles.LIMITS.accepted)
ANONYMIZE = ("anonymize", "secret name 1.png", "--key-file", "my.key", "-o", "out.png", *COMMON)
REGISTER = ("--register", "people.register")
AUTHENTICATE = ("authenticate", "again 1.png", "--key-file", "my.key", *REGISTER, *COMMON)


def test_from_a_key_to_a_person_that_is_known_again(here, say):
    code, told, _ = say(*ANONYMIZE, *REGISTER)
    assert code == 0
    entry = told.split("face: ")[1].split()[0]
    assert told == f"out.png: 1 face: {entry} (counter 0)\n"
    assert say(*AUTHENTICATE)[:2] == (0, f"accepted: entry {entry}\n")
    assert say(*AUTHENTICATE, "--entry", entry)[0] == 0
    virtual = ("authenticate", "out.png", "--virtual", "--key-file", "my.key", *REGISTER, *COMMON)
    assert say(*virtual)[:2] == (0, f"accepted: entry {entry}\n")
    for words in (
        [*AUTHENTICATE, "--key-file", "other.key"],
        ["authenticate", "again 2.png", *AUTHENTICATE[2:]],
        [*virtual, "--key-file", "other.key"],
    ):
        code, told, errors = say(*words)
        assert (code, errors) == (3, "")
        assert entry not in told
    listed = "people.register: 1 enrolled, recogniser tiles\n"
    assert say("register", "list", "people.register")[1] == f"{listed}{entry}  counter 0\n"
    code, told, _ = say(*ANONYMIZE, *REGISTER, "--renew", entry, "--overwrite")
    assert (code, told) == (0, f"out.png: 1 face: {entry} (counter 1)\n")
    assert say(*AUTHENTICATE)[0] == 0
    code, told, _ = say("register", "revoke", "people.register", entry)
    assert (code, told) == (0, "people.register: 0 enrolled, recogniser tiles\n")
    assert say(*AUTHENTICATE)[0] == 3


def test_several_photographs_become_numbered_pictures(here, say):
    words = ["anonymize", "secret name 1.png", "secret name 2.png", "again 1.png", *ANONYMIZE[2:]]
    code, told, _ = say(*words, *REGISTER, "-o", "folder")
    assert code == 0
    assert sorted(os.listdir("folder")) == ["000.png", "001.png", "002.png"]
    assert "(known)" in told.splitlines()[2]
    assert say("register", "list", "people.register")[1].count("counter") == 2


def test_pictures_hold_no_metadata_and_no_name(here, say):
    say(*ANONYMIZE, *REGISTER)
    original = decode_rgb(here / "secret name 1.png", "photograph")
    for path in ("out.png", "people.register"):
        assert b"secret name" not in Path(path).read_bytes()
        if os.name == "posix":
            assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert decode_rgb(Path("out.png"), "picture").shape == original.shape
    data = Path("out.png").read_bytes()
    assert not [kind for kind in (b"tEXt", b"eXIf", b"iTXt", b"tIME", b"iCCP", b"pHYs") if kind in data]
    assert not [path for path in here.iterdir() if path.suffix == ".part"]


def test_the_sealed_original_comes_back(here, say, refused):
    assert say(*ANONYMIZE, "--seal-key-file", "seal.key")[0] == 0
    assert say("unseal", "out.png", "--key-file", "seal.key", "-o", "back.png")[0] == 0
    original, back = (decode_rgb(Path(name), "picture") for name in ("secret name 1.png", "back.png"))
    np.testing.assert_array_equal(back, original)
    say("key", "new", "seal2.key", "--purpose", "sealing")
    refused_words = ("unseal", "out.png", "-o", "again.png", "--key-file")
    assert "does not open" in refused(*refused_words, "seal2.key")
    assert "is for recognition" in refused(*refused_words, "my.key")
    say(*ANONYMIZE, "--overwrite")  # off by default
    assert "no original is sealed" in refused(*refused_words, "seal.key")
    assert "no such file" in refused("unseal", "none.png", "-o", "again.png", "--key-file", "seal.key")
    assert not Path("again.png").exists()


def test_without_a_face_nothing_is_written(here, refused):
    assert "nobody.png: no face is found" in refused("anonymize", "nobody.png", *ANONYMIZE[2:], *REGISTER)
    assert not Path("out.png").exists()
    assert not Path("people.register").exists()
    refused("anonymize", "nobody.png", *ANONYMIZE[2:], "-o", "folder")
    assert not list(Path("folder").iterdir())


def test_an_error_later_keeps_what_was_done(here, say):
    code, _, told = say("anonymize", "again 1.png", "nobody.png", *ANONYMIZE[2:], *REGISTER, "-o", "folder")
    assert code == 1
    assert "nobody.png: no face" in told
    assert "1 of 2 photographs have no result" in told
    assert os.listdir("folder") == ["000.png"]
    assert say("register", "list", "people.register")[1].count("counter") == 1


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def short(path: Path) -> None:
    path.write_text("sansface key 1\npurpose recognition\nsecret AAAA\ncheck 0\n")


def world_readable(path: Path) -> None:
    path.chmod(0o644)


def sealing(path: Path) -> None:
    path.write_bytes(path.with_name("seal.key").read_bytes())


def missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncated, "cut short"),
        (short, "has 24 bits, not 256"),
        pytest.param(
            world_readable,
            "open to others",
            marks=pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX"),
        ),
        (sealing, "is for sealing, and this needs one for recognition"),
        (missing, "no such file"),
    ],
)
def test_a_spoilt_key_is_refused_before_anything_is_written(here, say, refused, spoil, says):
    say(*ANONYMIZE, *REGISTER)
    before = {path: path.read_bytes() for path in here.iterdir() if path.name != "my.key"}
    spoil(here / "my.key")
    for words in ([*ANONYMIZE, "-o", "other.png"], AUTHENTICATE):
        told = refused(*words)
        assert says in told
        assert "my.key" in told
    assert before == {path: path.read_bytes() for path in here.iterdir() if path.name != "my.key"}


def test_a_spoilt_register_is_refused(here, say, refused):
    say(*ANONYMIZE, *REGISTER)
    data = Path("people.register").read_bytes()
    again = [*ANONYMIZE, *REGISTER, "-o", "other.png"]
    for words in (again, AUTHENTICATE):
        assert "is of the recogniser tiles, not of this stripes" in refused(*words, "--recogniser", "stripes")
    Path("people.register").write_bytes(data[:-5])
    for words in (again, AUTHENTICATE, ["register", "list", "people.register"]):
        assert "people.register is damaged" in refused(*words)
    assert not Path("other.png").exists()
    Path("people.register").unlink()
    assert "no such file" in refused(*AUTHENTICATE)


def test_words_that_make_no_sense(here, say, refused):
    assert "never written over" in refused("key", "new", "my.key")
    assert "name a photograph" in refused("anonymize", *ANONYMIZE[2:])
    assert "one file for 2" in refused("anonymize", "again 1.png", *ANONYMIZE[1:])
    assert "takes a --register" in refused(*ANONYMIZE, "--renew", "0" * 16)
    assert "is no distance" in refused(*ANONYMIZE, "--threshold", "2.5")
    assert "no threshold of edgeface is known" in refused(*ANONYMIZE[:-2])
    assert "there is no recogniser" in refused(*ANONYMIZE, "--recogniser", "nose")
    say(*ANONYMIZE, *REGISTER)
    assert "out.png exists" in refused(*ANONYMIZE)
    assert "has no entry" in refused("register", "revoke", "people.register", "0" * 16)
    assert "nobody to revoke" in refused("register", "revoke", "people.register")
    assert "has no entry" in refused(*AUTHENTICATE, "--entry", "0" * 16)
    Path("text.jpg").write_text("no picture")
    assert "text.jpg cannot be decoded" in refused("anonymize", "text.jpg", *ANONYMIZE[2:], "--overwrite")


def test_no_secret_is_ever_shown(here, say):
    """Whatever is typed, even with the key's file in the wrong place."""
    secret = Path("my.key").read_text().split("\n")[2].removeprefix("secret ")
    for words in (
        [*ANONYMIZE, *REGISTER],
        AUTHENTICATE,
        ["anonymize", "my.key", *ANONYMIZE[2:]],
        ["unseal", "my.key", "--key-file", "seal.key", "-o", "x.png"],
        ["register", "list", "my.key"],
        [*ANONYMIZE, "--register", "my.key", "--overwrite"],
    ):
        _, out, errors = say(*words)
        assert secret[:8] not in out + errors


def test_without_the_extra_it_says_what_to_install(here, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.hkdf", None)
    monkeypatch.delitem(sys.modules, "sansface.deidentify.keys")
    assert "pip install 'sansface[deidentify]'" in refused("key", "new", "new.key")
