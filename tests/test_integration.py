"""The attack by integration: surfaces up to sign and constant, and more with what the attacker knows."""

import numpy as np
import pytest
import torch

from blobs import SIDE, blobs, shown
from sansface.audit.attackers.integration import IntegrationSettings, integrate, linear_faces
from sansface.audit.likeness import likeness
from sansface.audit.sigma import sigma
from sansface.protect.operators import operator

SOBEL = operator("sobel")
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] + 0.5
INSIDE = (np.hypot(COLUMNS - 16, ROWS - 16) < 12).astype(np.float32)
SURFACES = {
    "ramp": 0.2 + 0.02 * COLUMNS,
    "disc": np.where(np.hypot(COLUMNS - 18, ROWS - 15) < 5, 0.8, 0.4),
}


@pytest.mark.parametrize("name", SURFACES)
def test_integration_finds_a_surface_up_to_sign_and_constant(name):
    surface = SURFACES[name].astype(np.float32)
    picture = np.repeat((surface * INSIDE)[:, :, None], 3, axis=2)
    found = integrate(
        torch.from_numpy(SOBEL(picture))[None],
        SOBEL,
        IntegrationSettings(restarts=2, grids=(4, 2, 1), steps=150, variation=0.005),
        torch.Generator().manual_seed(0),
        inside=torch.from_numpy(INSIDE)[None],
    )
    within = INSIDE > 0
    drawn = found.pictures[0].mean(axis=2)
    assert abs(np.corrcoef(drawn[within], surface[within])[0, 1]) > 0.99
    assert not drawn[~within].any()
    assert found.errors[0] < 1e-3
    np.testing.assert_allclose(SOBEL(found.pictures[0]), SOBEL(picture), atol=0.02)


def test_what_was_withheld_does_not_count():
    """Nonsense in a corner that is not known changes nothing of what is found."""
    target = sigma(blobs(1), SOBEL)
    known = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    known[:, :8, :8] = False
    wrong = target.clone()
    wrong[:, :8, :8] = 1.5
    settings = IntegrationSettings(restarts=1, grids=(2,), steps=20)
    a, b = (
        integrate(one, SOBEL, settings, torch.Generator().manual_seed(0), known=known)
        for one in (target, wrong)
    )
    np.testing.assert_array_equal(a.pictures, b.pictures)


def test_knowing_such_pictures_helps():
    """Pictures of a linear space of five: with it the attacker finds them, colour and all; without, not."""
    family = blobs(5)
    weights = np.random.default_rng(0).dirichlet(np.ones(5), 3).astype(np.float32)
    clear = torch.einsum("nk,kchw->nchw", torch.from_numpy(weights), family)
    seen = sigma(clear, SOBEL)
    settings = IntegrationSettings(restarts=2, grids=(1,), steps=40, likely=1e-4)
    drawn = [
        integrate(seen, SOBEL, settings, torch.Generator().manual_seed(0), faces=faces).pictures
        for faces in (linear_faces(family, 4), None)
    ]
    with_faces, without = (likeness(pictures, shown(clear)).psnr for pictures in drawn)
    assert (with_faces > without + 5).all()


def test_it_goes_on_from_what_another_attacker_drew():
    """Who knows the colours and most of the shape is not led astray, and comes nearer."""
    clear = blobs(2)
    nearly = torch.nn.functional.avg_pool2d(clear, 11, stride=1, padding=5, count_include_pad=False)
    settings = IntegrationSettings(restarts=1, grids=(2, 1), rate=0.01, variation=0.0, grey=False)
    found = integrate(sigma(clear, SOBEL), SOBEL, settings, torch.Generator().manual_seed(0), drawn=nearly)
    before, after = likeness(shown(nearly), shown(clear)), likeness(found.pictures, shown(clear))
    assert (after.psnr > before.psnr + 3).all()


def test_linear_faces_hold_what_they_were_made_of():
    clear = blobs(4)
    faces = linear_faces(clear, 10)
    assert len(faces.axes) == 3
    flat = faces.axes.flatten(1)
    z = (clear - faces.mean).flatten(1) @ flat.T / flat.square().sum(dim=1)
    torch.testing.assert_close(faces(z), clear, atol=1e-4, rtol=0)
    torch.testing.assert_close(z.square().sum(dim=0), torch.full((3,), 3.0))
