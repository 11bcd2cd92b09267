"""A run seen in the browser as it goes: surface, cameras, what was received, progress. On 127.0.0.1 only."""

import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
from scipy.spatial.transform import Rotation

from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.reconstruct.pictures import target_pictures
from sansface.reconstruct.supervision import Kind, Supervision
from sansface.surface.mesh import Mesh
from sansface.upright import up_direction

SECONDS = 4.0
"""Between two surfaces."""
CELLS = 96
"""Of the marching cubes, along the cube's edge."""
FRUSTUM = 0.25
"""Length of a camera's frustum, in radii of the sphere."""


class Viewer:
    """A web page with the head in its unit-sphere frame. Needs the extra `view`.

    Args:
        port: asked for; the next free one is taken.

    Raises:
        SansfaceError: viser is not installed, or there is no such port.
    """

    def __init__(self, supervision: Supervision, port: int = 8080) -> None:
        viser = require("viser", extra="view")
        if not 0 < port < 1 << 16:
            raise SansfaceError(f"there is no port {port}; choose one of 1 to 65535.")
        with redirect_stdout(StringIO()):  # its banner, which no setting silences
            self.server = viser.ViserServer(host="127.0.0.1", port=port, label="sansface", verbose=False)
        # viser can hand a view to a relay on the internet. Not this one, whatever the page asks for.
        self.server.request_share_url = lambda verbose=True: None
        self.server.gui.configure_theme(show_logo=False, show_share_button=False)
        self.note = self.server.gui.add_markdown("starting")
        self.bar = self.server.gui.add_progress_bar(0.0)
        self.shown = -SECONDS
        self._place_cameras(supervision)

    @property
    def address(self) -> str:
        """Where to look."""
        return f"http://127.0.0.1:{self.server.get_port()}"

    def show(self, surface: Callable[[int], Mesh], note: str, done: float) -> None:
        """After a step: what is being done, how much of it is done (0 to 1), and now and then the surface.

        surface: of so many cells along the cube's edge, in the unit-sphere frame.
        """
        self.note.content, self.bar.value = note, 100 * done
        if time.monotonic() - self.shown < SECONDS:
            return
        mesh = surface(CELLS)
        vertices, faces = mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)
        self.server.scene.add_mesh_simple("/head", vertices, faces, color=(200, 190, 180), side="double")
        self.shown = time.monotonic()

    def close(self) -> None:
        """Stop serving."""
        with redirect_stdout(StringIO()):
            self.server.stop()

    def _place_cameras(self, supervision: Supervision) -> None:
        up = up_direction([view.camera for view in supervision.views])
        self.server.scene.set_up_direction(tuple(up))
        pictures = target_pictures(supervision)
        for number, (view, picture) in enumerate(zip(supervision.views, pictures, strict=True)):
            camera = view.camera
            self.server.scene.add_camera_frustum(
                f"/received/{number}",
                fov=float(2 * np.arctan(camera.height / 2 / camera.K[1, 1])),
                aspect=camera.width / camera.height,
                scale=FRUSTUM,
                color=(70, 130, 180) if view.kind is Kind.COLOUR else (200, 60, 60),
                image=picture,
                wxyz=Rotation.from_matrix(camera.cam_from_world[:3, :3].T).as_quat(scalar_first=True),
                position=camera.center,
            )
