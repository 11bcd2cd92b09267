"""A small run of benchmarks/canary.py: no canary outside, and a search that finds it where it is."""

from dataclasses import replace

import numpy as np
import pytest

import canary
from conftest import BALL_CENTER, make_tiny_capture
from leak_search import search, search_folder
from sansface.capture import Role
from sansface.formats import read_capture
from sansface.protect.bundle import bundle_bytes
from sansface.protect.pipeline import ProtectSettings, protect


def test_a_canary_in_a_photograph_is_nowhere_outside(tmp_path, capsys):
    source = make_tiny_capture(tmp_path / "source")
    assert canary.examine(source, tmp_path, resolution=32, reconstruct=False, seed=3) == 0
    told = capsys.readouterr().out
    assert "1 output files, 1 files opened for writing, 0 hits" in told
    assert "found in 15 of 15" in told


@pytest.fixture
def planted(tmp_path):
    source = make_tiny_capture(tmp_path / "source")
    return canary.plant(source, tmp_path / "capture", 32, np.random.default_rng(2)), tmp_path / "capture"


def test_a_photograph_that_was_not_protected_would_be_found(planted, tmp_path):
    """Our own code, told that the canary's frame is neutral, carries it over: the search sees it there."""
    bird, folder = planted
    capture = read_capture(folder)
    word = bird.words[0].decode()
    frames = tuple(
        replace(frame, role=Role.NEUTRAL) if word in frame.image.name else frame for frame in capture.frames
    )
    for bits in (8, 16):
        settings = ProtectSettings(resolution=32, bits=bits, center=tuple(BALL_CENTER), radius=2.5)
        assert search(bundle_bytes(protect(capture, settings)), bird) == []
        leaky = search(bundle_bytes(protect(replace(capture, frames=frames), settings)), bird)
        assert len(leaky) == 1
        assert "frames/" in leaky[0]
        assert leaky[0].endswith("picture")


def test_names_and_pictures_of_the_capture_are_found(planted):
    bird, folder = planted
    hits = search_folder(folder, bird)
    assert any(hit.startswith("name of") for hit in hits)
    assert any(hit.endswith("raw") and "images/" in hit for hit in hits)
    assert sum(hit.endswith("picture") for hit in hits) == 1  # in one photograph, and in no other
