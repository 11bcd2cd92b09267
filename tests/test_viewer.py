"""The live view: on this machine only, and it shows what the run has."""

import urllib.request

import numpy as np
import psutil
import pytest

from sansface.errors import SansfaceError
from sansface.reconstruct.run import reconstruct
from sansface.reconstruct.supervision import Kind
from small import ball_supervision, small_config

viser = pytest.importorskip("viser")

from sansface.reconstruct import viewer  # noqa: E402


@pytest.fixture
def view():
    made = viewer.Viewer(ball_supervision(), port=18080)
    yield made
    made.close()


def test_it_listens_on_this_machine_only(view):
    port = view.server.get_port()
    places = {
        found.laddr.ip
        for found in psutil.Process().net_connections("inet")
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port
    }
    assert places == {"127.0.0.1"}
    with urllib.request.urlopen(view.address, timeout=10) as page:
        assert page.status == 200


@pytest.mark.parametrize("port", [-1, 0, 65536, 99999])
def test_a_port_that_is_none_is_refused(port):
    """viser's own thread would die of it, and the run wait for good."""
    with pytest.raises(SansfaceError, match=f"there is no port {port}"):
        viewer.Viewer(ball_supervision(), port=port)


def test_nothing_is_handed_to_a_relay(view, monkeypatch):
    """viser's own way of sharing opens a tunnel; a page that asks for one gets none."""
    monkeypatch.setattr(viser._viser, "ViserTunnel", lambda *a, **k: pytest.fail("a tunnel was opened"))
    assert view.server.request_share_url() is None


def test_it_shows_the_surface_and_goes_along(view, tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "SECONDS", 0.0)
    monkeypatch.setattr(viewer, "CELLS", 24)
    meshes, add = [], view.server.scene.add_mesh_simple

    def remember(name, vertices, faces, **options):
        meshes.append((name, vertices, faces))
        return add(name, vertices, faces, **options)

    monkeypatch.setattr(view.server.scene, "add_mesh_simple", remember)
    reconstruct(ball_supervision(), tmp_path / "out", small_config(2, 3), device="cpu", viewer=view)
    assert [name for name, _, _ in meshes] == ["/head"] * 5
    _, vertices, faces = meshes[-1]
    assert 0.2 < np.linalg.norm(vertices, axis=1).mean() < 0.8
    assert len(faces) > 100
    assert "stage 2, step 3 of 3" in view.note.content
    assert view.bar.value == 100


def test_it_shows_what_was_received_and_no_more(monkeypatch):
    seen = []
    made = viewer.Viewer(ball_supervision(), port=18080)
    scene = made.server.scene
    monkeypatch.setattr(scene, "add_camera_frustum", lambda name, **options: seen.append(options))
    made._place_cameras(ball_supervision())
    made.close()
    views = ball_supervision().views
    assert len(seen) == len(views)
    for options, known in zip(seen, views, strict=True):
        np.testing.assert_allclose(options["position"], known.camera.center)
        grey = (options["image"][..., 0] == options["image"][..., 1]).all()
        assert grey or known.kind is Kind.COLOUR
