"""One face of a photograph changed into another: shape, features and albedo, with its pose and expression.

The way: fit (`heads.fit`) -> light and albedo (`heads.appearance`) -> the photograph carried to the new shape
(`carry`) -> the new face drawn on it (`redraw`). IDEudemon draws the new face from noise about the old one,
KFAAR from a key.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from sansface.deidentify.around import Around
from sansface.deidentify.carry import carried, laid_on
from sansface.deidentify.redraw import FAINT, Drawing, Redrawing, inner, redraw
from sansface.heads.appearance import Appearance, fit_appearance
from sansface.heads.fit import FittedHead
from sansface.heads.look import Seen, look
from sansface.heads.parametric import HeadModel
from sansface.heads.trace import linear, srgb

FINEST, COARSEST = 2.0, 500
"""Samples a pixel's side of a small face, and the longer side in samples from which on there are fewer."""
LOOK = 160
"""Longer side in pixels at which light and albedo are fitted."""
GAZE = 4.0
"""Most that an iris lies beside its place, mm."""


@dataclass(frozen=True, eq=False)
class Face:
    """Who is to be seen: identity (100,) in standard deviations, albedo (12,) code."""

    identity: np.ndarray
    albedo: np.ndarray


@dataclass(frozen=True)
class StepTwo:
    """What of the photograph is kept, part by part: all of it, but for ablations.

    Attributes:
        redrawing: how much of its detail.
        carry: it follows the new shape; else the new face is drawn onto the unmoved photograph.
        relight: the new face is drawn in the photograph's light; else in an even one.
        hair: hair before the face stays.
    """

    redrawing: Redrawing = field(default_factory=Redrawing)
    carry: bool = True
    relight: bool = True
    hair: bool = True


def appearance_of(
    model: HeadModel, head: FittedHead, photograph: np.ndarray, hidden: np.ndarray, rng: np.random.Generator
) -> Appearance:
    """Light and albedo of a fitted face. photograph, hidden: as for `sampled`. rng: chooses pixels."""
    return fit_appearance(model, *sampled(model, head, photograph, hidden), rng)


def sampled(
    model: HeadModel, head: FittedHead, photograph: np.ndarray, hidden: np.ndarray
) -> tuple[Seen, np.ndarray, np.ndarray]:
    """What the photograph shows of a face, as `fit_appearance` takes it: pixels, colours, trust.

    Args:
        photograph: (h, w, 3) uint8 sRGB.
        hidden: (h, w) bool, what lies before the face.
    """
    vertices = head.vertices(model)
    left, top, width, height = _box(head)
    camera = head.camera.cropped(left, top, width, height)
    small = (
        max(1, round(width * LOOK / max(width, height))),
        max(1, round(height * LOOK / max(width, height))),
    )
    seen = look(model, vertices, camera.resized(*small))
    shown = _cut(photograph, left, top, width, height)
    shown = linear(cv2.resize(shown, small, interpolation=cv2.INTER_AREA) / 255.0)
    behind = _cut(hidden.astype(np.uint8), left, top, width, height)
    behind = cv2.resize(behind, small, interpolation=cv2.INTER_NEAREST).reshape(-1)[seen.pixel] > 0
    row, column = np.divmod(seen.pixel, small[0])
    x, y = left + (column + 0.5) * width / small[0], top + (row + 0.5) * height / small[1]
    within = (x >= 0) & (y >= 0) & (x < photograph.shape[1]) & (y < photograph.shape[0])
    trusted = within & ~behind & (inner(model, seen) > 0.3) & (seen.facing > 0.15)
    return seen, shown.reshape(-1, 3)[seen.pixel], trusted


def change(
    model: HeadModel,
    head: FittedHead,
    photograph: np.ndarray,
    around: Around,
    appearance: Appearance,
    face: Face,
    how: StepTwo,
    new: np.ndarray | None = None,
    gaze: tuple[float, float] | None = None,
    finest: float = FINEST,
) -> tuple[np.ndarray, np.ndarray]:
    """The photograph with this face changed.

    Args:
        head, appearance: of the face, fitted to the photograph.
        photograph: (h, w, 3) uint8 sRGB.
        around: what stands before the face and beside it.
        face: who is to be seen instead.
        new: (n, 3) vertices of that face in the head's place; None for the head's own pose and expression.
        gaze: see `gaze_of`, which finds it where it is not given.
        finest: samples a pixel's side of a small face.

    Returns:
        (h, w, 3) uint8 sRGB and (h, w) bool: where it may differ; elsewhere it is the photograph to the bit.
    """
    old = head.vertices(model)
    new = laid_on(head.vertices(model, face.identity), old) if new is None else new
    way = carried(model, head, old, new if how.carry else old, around.still)
    result, touched = photograph.copy(), np.zeros(photograph.shape[:2], dtype=bool)
    if way is None:
        return result, touched
    left, top, width, height = way.box
    camera = head.camera.cropped(*way.box)
    finer = min(finest, max(COARSEST / max(width, height), 1e-3))
    size = max(1, round(width * finer)), max(1, round(height * finer))
    seen = look(model, new, camera.resized(*size))
    moved = way.pixels(photograph)
    base = linear(np.arange(256) / 255.0).astype(np.float32)[moved]
    fine = cv2.resize(base, size, interpolation=cv2.INTER_LINEAR if finer > 1 else cv2.INTER_AREA)
    hidden = around.hidden if how.hair else np.zeros_like(around.hidden)
    before = way.pixels((255 * hidden).astype(np.uint8)) > 127
    before = cv2.resize(before.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    light = appearance.light if how.relight else _even(appearance.light)
    gaze = gaze_of(model, head, photograph) if gaze is None else gaze
    drawing = redraw(model, seen, fine, before, light, face.albedo, head.eyes * finer, gaze, how.redrawing)
    pixels, share = _at_size(drawing, fine, base)
    mixed = base + share[..., None] * (pixels - base)
    part = np.rint(255 * srgb(mixed.clip(0, 1))).astype(np.uint8)
    same = (share < 1 / 255)[..., None]
    part = np.where(same, moved, part)
    still = (way.moved == 0) & same[..., 0]
    part[still] = way.part(photograph)[still]
    result[top : top + height, left : left + width] = part
    touched[top : top + height, left : left + width] = ~still
    return result, touched


def gaze_of(model: HeadModel, head: FittedHead, photograph: np.ndarray) -> tuple[float, float]:
    """How far the irises lie to the head's own left of where the model has them, and above it, mm.

    By the middle of what is dark within the lids, mean of both eyes; 0 for eyes that are shut or small. Up
    and down the lids follow the eyes, and lashes would be taken for irises: there it is always 0.
    """
    vertices = head.vertices(model)
    found = []
    for side, lids in (("right", RIGHT_LIDS), ("left", LEFT_LIDS)):
        ring = head.landmarks[list(lids)]
        low, high = np.floor(ring.min(axis=0)).astype(int), np.ceil(ring.max(axis=0)).astype(int)
        if (high - low < (6, 3)).any():
            continue
        width, height = high - low
        eye = _cut(photograph, int(low[0]), int(low[1]), width, height).mean(axis=2)
        within = np.zeros(eye.shape, dtype=np.uint8)
        cv2.fillPoly(within, [np.rint(16 * (ring - low - 0.5)).astype(np.int32)], 1, shift=4)
        values = eye[within > 0]
        if len(values) < 12:
            continue
        dark = np.clip(np.percentile(values, 60) - eye, 0, None) * within
        if dark.sum() <= 0:
            continue
        y, x = np.mgrid[:height, :width] + 0.5
        middle = low + np.array([(dark * x).sum(), (dark * y).sum()]) / dark.sum()
        ball = vertices[slice(*model.parts[f"Iris {side}"])].mean(axis=0)
        place, depth = head.camera.project(ball[None])
        off = (middle - place[0]) * depth[0] / head.camera.K[0, 0]
        found.append((head.rotation.T[:2, :2] @ (off[0], -off[1]))[0])
    sideways = float(np.mean(found)) if found else 0.0
    return float(np.clip(sideways, -GAZE, GAZE)), 0.0


RIGHT_LIDS = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_LIDS = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
"""MediaPipe's landmarks around each eye."""


def _box(head: FittedHead) -> tuple[int, int, int, int]:
    """left, top, width, height around the landmarks, with a margin; may reach beyond the picture."""
    low, size = np.split(head.box, 2)
    margin = 0.1 * size.max()
    left, top = np.floor(low - margin).astype(int)
    right, bottom = np.ceil(low + size + margin).astype(int)
    return int(left), int(top), int(right - left), int(bottom - top)


def _cut(picture: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """Part of a picture, its border repeated beyond it."""
    rows = np.clip(np.arange(top, top + height), 0, picture.shape[0] - 1)
    columns = np.clip(np.arange(left, left + width), 0, picture.shape[1] - 1)
    return picture[rows][:, columns]


def _even(light: np.ndarray) -> np.ndarray:
    result = np.zeros_like(light)
    result[0] = light[0]
    return result


def _at_size(drawing: Drawing, fine: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A drawing on a photograph `fine` at the size of the photograph `base`: pixels, and share.

    Of a coarse one the grain that it could not show is the photograph's, as much of it as is in the drawing.
    """
    size = base.shape[1::-1]
    way = cv2.INTER_AREA if fine.shape[1] >= size[0] else cv2.INTER_LINEAR
    pixels, share = (cv2.resize(one, size, interpolation=way) for one in (drawing.pixels, drawing.share))
    if fine.shape[1] < size[0]:
        grain = (base + FAINT) / (cv2.resize(fine, size, interpolation=way) + FAINT)
        pixels *= np.clip(grain, 0.5, 2) ** cv2.resize(drawing.grain, size, interpolation=way)[..., None]
    return pixels, share
