"""What leaves the audit is small, and says AUDIT."""

import numpy as np
import pytest

from sansface.audit.thumbnails import SIDE, stamped


@pytest.mark.parametrize("tone", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 64), (300, 200, 3), (250, 260, 3)])
def test_the_stamp_shows_on_any_ground(tone, shape):
    result = stamped(np.full(shape, tone, np.float32))
    assert result.dtype == np.uint8
    assert max(result.shape[:2]) == SIDE
    changed = np.abs(result.astype(int) - round(255 * tone)).max(axis=2) > 60
    assert changed.mean() > 0.08
    # Across the width, and in both halves.
    columns = np.flatnonzero(changed.any(axis=0))
    assert columns[0] < 0.15 * result.shape[1]
    assert columns[-1] > 0.85 * result.shape[1]
    assert all(half.mean() > 0.08 for half in np.array_split(changed, 2))


def test_a_fifth_of_the_picture_is_gone():
    """Pixels of the stamp are the same on any picture: whatever was under them cannot be had back."""
    black, white = (stamped(np.full((64, 64), tone, np.float32)) for tone in (0.0, 1.0))
    assert (black == white).all(axis=2).mean() > 0.2


def test_the_picture_is_still_there():
    """A stamp on a picture that is not shown would say nothing."""
    picture = np.zeros((64, 64, 3), np.float32)
    picture[:, 32:] = (1, 0, 0)
    result = stamped(picture).astype(int)
    red = (result[:, :, 0] > 200) & (result[:, :, 1] < 50)
    assert red[:, SIDE // 2 :].mean() > 0.2
    assert not red[:, : SIDE // 2 - 1].any()


def test_no_pixel_is_taken_from_a_larger_picture():
    picture = np.zeros((960, 960), np.float32)
    picture[::2] = 1
    ground = np.median(stamped(picture))
    assert ground == pytest.approx(127, abs=2)
