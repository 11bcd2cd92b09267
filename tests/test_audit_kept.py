"""What is kept of an audit: used again only if it was made from the very same, by its owner alone."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sansface.audit.kept import Kept
from sansface.errors import SansfaceError
from sansface.protect.pipeline import ProtectSettings

MADE_FROM = {"picture": np.arange(6.0), "settings": ProtectSettings(), "seed": 3, "names": ["a", "b"]}


def never() -> dict[str, np.ndarray]:
    raise AssertionError("made anew")


def kept(folder: Path, made_from=MADE_FROM, make=never) -> dict[str, np.ndarray]:
    return Kept(folder).arrays("thing", made_from, make)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kept(tmp_path / "mine", make=lambda: {"z, last": np.eye(2), "a": np.arange(3)})
    return tmp_path / "mine"


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_was_made_is_used_again_in_its_order(folder: Path):
    found = kept(folder)
    assert list(found) == ["z, last", "a"]
    np.testing.assert_array_equal(found["z, last"], np.eye(2))
    np.testing.assert_array_equal(found["a"], np.arange(3))


@pytest.mark.parametrize(
    "change",
    [
        {"picture": np.arange(6.0) + 1e-9},
        {"picture": np.arange(6.0).reshape(2, 3)},
        {"picture": np.arange(6)},
        {"settings": ProtectSettings(blur=1.0)},
        {"seed": 4},
        {"names": ["b", "a"]},
        {"more": None},
    ],
)
def test_what_was_made_from_something_else_is_not(folder: Path, change: dict):
    assert kept(folder, MADE_FROM | change, lambda: {"new": np.zeros(1)}).keys() == {"new"}
    assert len(list(folder.iterdir())) == 2
    assert kept(folder).keys() == {"z, last", "a"}


def test_nor_what_another_version_made(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sansface.audit.kept._code", lambda: "another")
    assert kept(folder, make=lambda: {"new": np.zeros(1)}).keys() == {"new"}


def test_without_a_folder_everything_is_made_anew():
    made = []
    for _ in range(2):
        Kept(None).arrays("thing", MADE_FROM, lambda: made.append(1) or {})
    assert len(made) == 2
    assert Kept(None).training("network", MADE_FROM)[0] is None


def test_what_fails_leaves_nothing(tmp_path: Path):
    with pytest.raises(AssertionError):
        kept(tmp_path / "mine")
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 100, None])
def test_a_damaged_file_is_named(folder: Path, content: bytes | None):
    path = only(folder)
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    with pytest.raises(SansfaceError, match=rf"{path.name} is damaged; remove it"):
        kept(folder)


def test_a_file_under_the_name_of_another_is_refused(folder: Path):
    first = only(folder)
    kept(folder, MADE_FROM | {"seed": 4}, lambda: {"new": np.zeros(1)})
    (second,) = set(folder.iterdir()) - {first}
    second.replace(first)
    with pytest.raises(SansfaceError, match=rf"{first.name} was made from something else; remove it"):
        kept(folder)


def test_a_folder_of_other_things_is_refused_and_left_as_it_is(tmp_path: Path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    before = tmp_path.stat().st_mode
    with pytest.raises(SansfaceError, match=r"holds holiday\.jpg, which no audit made"):
        Kept(tmp_path)
    assert tmp_path.stat().st_mode == before
    with pytest.raises(SansfaceError, match="is a file; give the name of a folder"):
        Kept(tmp_path / "holiday.jpg")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_it_is_its_owner_s_alone(folder: Path):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only(folder).stat().st_mode) == 0o600
    only(folder).chmod(0o644)
    folder.chmod(0o755)
    kept(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only(folder).stat().st_mode) == 0o600


@given(
    arrays(
        st.sampled_from(["<f4", "<f8", "<i8"]),
        array_shapes(max_dims=3, max_side=4),
        elements=st.integers(-9, 9),
    )
)
def test_arrays_come_back_as_they_were(tmp_path_factory, value: np.ndarray):
    folder = tmp_path_factory.mktemp("kept")
    kept(folder, {"value": value}, lambda: {"value": value})
    found = kept(folder, {"value": value})["value"]
    np.testing.assert_array_equal(found, value)
    assert found.dtype == value.dtype
