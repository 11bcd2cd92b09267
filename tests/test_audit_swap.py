"""A face swap learns the target's look; a dressed head is taken for whom it is like."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sansface.audit.face_swap import SIDE, SwapSettings, swapped
from sansface.audit.scores import Threshold
from sansface.audit.transfer import taken_for

SMALL = SwapSettings(steps=120, batch=4, width=4, code=16, rate=5e-3)


def faces(colour, rng):
    """A disc of a colour with two dark eyes, moved a little from picture to picture."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pictures = np.zeros((5, SIDE, SIDE, 3), np.float32)
    for picture in pictures:
        y, x = SIDE / 2 + rng.uniform(-4, 4, 2)
        picture[np.hypot(rows - y, columns - x) < 24] = colour
        for side in (-9, 9):
            picture[np.hypot(rows - y + 6, columns - x + side) < 4] = 0.05
    return pictures


@pytest.fixture(scope="module")
def both():
    rng = np.random.default_rng(0)
    return faces((0.9, 0.3, 0.2), rng), faces((0.1, 0.4, 0.8), rng)


def test_the_source_gets_the_targets_look(both):
    source, target = both
    drawn = swapped(source, target, SMALL, torch.Generator().manual_seed(0))
    assert drawn.shape == source.shape
    assert drawn.dtype == np.float32
    middle = np.s_[:, 36:48, 26:38]
    colours = [one[middle].mean(axis=(0, 1, 2)) for one in (drawn, source, target)]
    assert np.abs(colours[0] - colours[2]).max() < 0.15 < np.abs(colours[0] - colours[1]).max()


def test_without_learning_it_is_no_face(both):
    drawn = swapped(*both, replace(SMALL, steps=1), torch.Generator().manual_seed(0))
    assert np.abs(drawn[:, 36:48, 26:38].mean(axis=(0, 1, 2)) - (0.1, 0.4, 0.8)).max() > 0.15


def test_a_seed_decides(both):
    few = replace(SMALL, steps=3)
    one, again, other = (swapped(*both, few, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0


@pytest.mark.parametrize(
    ("wears", "threshold", "likest", "verdict"),
    [
        (0, 0.5, "geometry", "geometry"),
        (1, 0.5, "radiance", "radiance"),
        (2, 0.5, "somebody else", "somebody else"),
        (1, 0.999, "radiance", "nobody"),
    ],
)
def test_whom_a_dressed_head_is_taken_for(wears, threshold, likest, verdict):
    rng = np.random.default_rng(0)
    centres, owners = np.eye(3, 32), np.repeat(np.arange(3), 4)
    enrolled = centres[owners] + 0.05 * rng.normal(size=(12, 32))
    dressed = centres[[wears] * 3] + 0.05 * rng.normal(size=(3, 32))
    thresholds = {person: Threshold(threshold if person == wears else 1, 1e-3, 9) for person in range(3)}
    found = taken_for(dressed, enrolled, owners, geometry=0, radiance=1, thresholds=thresholds)
    assert (found.likest, found.verdict) == (likest, verdict)
    cosines = [[float(d @ e / np.linalg.norm(d) / np.linalg.norm(e)) for e in enrolled[:8]] for d in dressed]
    assert found.to_geometry == pytest.approx(1 - np.mean(cosines, axis=0)[:4].mean())
    assert found.to_radiance == pytest.approx(1 - np.mean(cosines, axis=0)[4:].mean())
