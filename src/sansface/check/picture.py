"""A picture of cameras and hull, from above and from the side. It shows no photograph."""

from pathlib import Path

import cv2
import numpy as np

from sansface.check.pipeline import Checked
from sansface.errors import SansfaceError
from sansface.files import written_beside

SIDE = 720
_GROUND = (250, 250, 250)
_CAMERA, _BAD, _TEXT = (150, 90, 30), (40, 40, 220), (60, 60, 60)  # BGR


def draw(checked: Checked) -> np.ndarray:
    """Two orthographic views: along the upright axis, and from the side the cameras' ring is seen edge-on.

    Returns:
        (SIDE, 2 SIDE, 3) uint8 BGR.

    Raises:
        SansfaceError: the cameras look at nothing in common, so there is no place to look from.
    """
    if checked.sphere is None or checked.report.coverage is None:
        raise SansfaceError(
            "the cameras look at nothing in common, so there is no picture of them; correct the poses first."
        )
    around = checked.report.coverage
    left, up, front = around.axes.T
    below, right = "the first frame is below", "the first frame is on the right"
    if around.front_known:
        below, right = "the face looks down", "the face looks right"
    panels = [
        _panel(checked, np.stack([left, front, -up]), f"from above; {below}"),
        _panel(checked, np.stack([front, -up, -left]), f"from the side; {right}"),
    ]
    return np.hstack(panels)


def write_picture(checked: Checked, path: Path) -> None:
    """Write it as PNG.  Raises SansfaceError where it cannot be drawn or written."""
    data = cv2.imencode(".png", draw(checked))[1].tobytes()
    with written_beside(path) as part:
        part.write_bytes(data)


def _panel(checked: Checked, axes: np.ndarray, title: str) -> np.ndarray:
    """One view.  axes: rows are what goes right, down and away from the eye."""
    sphere, around = checked.sphere, checked.report.coverage
    assert sphere is not None
    assert around is not None
    picture = np.full((SIDE, SIDE, 3), _GROUND, np.uint8)
    zoom = 0.42 * SIDE / float(np.median(around.distance))

    def place(points: np.ndarray) -> np.ndarray:
        return SIDE / 2 + zoom * (points - sphere.center) @ axes[:2].T

    if checked.hull is not None and len(checked.hull.solid):
        depth = (checked.hull.solid - sphere.center) @ axes[2]
        order = np.argsort(-depth)
        shade = 235 - 110 * (depth.max() - depth) / max(float(np.ptp(depth)), 1e-9)
        half = max(1, round(zoom * checked.hull.side / 2))
        for (x, y), tone in zip(place(checked.hull.solid)[order].astype(int), shade[order], strict=True):
            picture[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = tone
    bad = {name for finding in checked.report.findings for name in finding.frames if finding.kind != "gap"}
    for name, camera in zip(checked.report.names, checked.cameras, strict=True):
        colour = _BAD if name in bad else _CAMERA
        reach = 0.12 * float(np.median(around.distance)) / camera.K[0, 0] * max(camera.width, camera.height)
        corners = np.array([[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]])
        origins, ways = camera.rays(corners)
        ends = place(origins + reach * ways)
        eye = place(camera.center[None])[0]
        lines = [np.round(np.stack([eye, end])).astype(np.int32) for end in ends]
        cv2.polylines(picture, [*lines, np.round(ends).astype(np.int32)], True, colour, 1, cv2.LINE_AA)
        if name in bad:
            x, y = eye.astype(int).tolist()
            cv2.putText(picture, name, (x + 6, y - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    cv2.putText(picture, title, (12, SIDE - 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _TEXT, 1, cv2.LINE_AA)
    return picture
