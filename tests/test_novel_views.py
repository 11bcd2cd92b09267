"""Renderings of a kept radiance, and a head that wears another's."""

import json

import numpy as np
import pytest
import torch

from sansface.cli import main
from sansface.errors import SansfaceError
from sansface.reconstruct.novel_views import novel_view, orbit, read_trained, worn
from sansface.reconstruct.run import reconstruct
from small import ball_supervision, small_config

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    out = tmp_path_factory.mktemp("kept") / "out"
    config = small_config(40, 60, stage2={"targets": "all", "colour": 1.0})
    reconstruct(ball_supervision(), out, config, device="cpu", keep_radiance=True)
    return out


def test_a_view_from_a_photographs_place_looks_like_it(kept):
    head = read_trained(kept, CPU)
    view = next(view for view in ball_supervision().views if view.neutral)
    picture = novel_view(head, view.camera) / 255
    inside = view.coverage > 0.999
    error = np.abs(picture - view.target)[inside].mean()
    assert error < 0.12
    assert error < 0.5 * np.abs(picture[::-1, ::-1] - view.target)[inside].mean() + 0.05


def test_the_orbit_goes_around_the_face(kept):
    head = read_trained(kept, CPU)
    cameras = orbit(head, 5, 32)
    assert list(cameras) == [-90, -45, 0, 45, 90]
    np.testing.assert_allclose(cameras[0].cam_from_world, head.front, atol=1e-9)
    centers = np.stack([camera.center for camera in cameras.values()])
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1), np.linalg.norm(centers[0]))
    assert centers[0] @ centers[4] < -0.99 * (centers[0] @ centers[0])
    left = np.cross(-head.front[1, :3], -head.front[2, :3])
    assert cameras[90].center @ left > 0
    assert len(orbit(head, 1, 32)) == 1


def test_a_head_in_its_own_radiance_looks_as_before(kept):
    head = read_trained(kept, CPU)
    camera = orbit(head, 1, 48)[0]
    own, again = novel_view(head, camera), novel_view(head, camera, worn(head, head))
    assert own.any()
    assert np.abs(own.astype(int) - again).mean() < 4


def test_another_radiance_is_another_picture_of_the_same_outline(kept):
    head = read_trained(kept, CPU)
    other = read_trained(kept, CPU)
    with torch.no_grad():
        other.field.features.mul_(-3).add_(0.5)
    camera = orbit(head, 1, 48)[0]
    own, dressed = novel_view(head, camera), novel_view(head, camera, worn(head, other))
    both = (own.max(axis=2) > 0) & (dressed.max(axis=2) > 0)
    assert both.sum() > 0.95 * (own.max(axis=2) > 0).sum()
    assert np.abs(own.astype(int) - dressed)[both].mean() > 5


def test_the_command_writes_its_views(kept, tmp_path, capsys):
    out = tmp_path / "views"
    assert main(["render", str(kept), "-o", str(out), "--views", "3", "--size", "32", "--device", "cpu"]) == 0
    assert {p.name for p in out.iterdir()} == {"view_-090.png", "view_+000.png", "view_+090.png"}
    assert "may show who it is" in capsys.readouterr().out
    assert main(["render", str(kept), "-o", str(out)]) == 1
    assert "already holds files" in capsys.readouterr().err
    assert main(["render", str(kept), "-o", str(tmp_path / "none"), "--views", "0"]) == 1
    assert not (tmp_path / "none").exists()


def test_what_was_not_kept_cannot_be_rendered(kept, tmp_path):
    with pytest.raises(SansfaceError, match="reconstruct again with --keep-radiance"):
        read_trained(tmp_path, CPU)
    old = tmp_path / "old"
    old.mkdir()
    (old / "checkpoint.safetensors").write_bytes((kept / "checkpoint.safetensors").read_bytes())
    config = json.loads((kept / "config.json").read_text())
    del config["frame"]["front"]
    (old / "config.json").write_text(json.dumps(config))
    with pytest.raises(SansfaceError, match="not of this version"):
        read_trained(old, CPU)
