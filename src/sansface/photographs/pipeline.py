"""A folder of photographs in, a capture out, all on this device.

Photographs are copied upright and without EXIF; structure from motion places their cameras; masks, face and
roles follow where they can be found; then the world is chosen. All is made beside its place and renamed when
it is complete.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.files import folder_beside
from sansface.formats.transforms_json import write_transforms_json
from sansface.photographs import subject
from sansface.photographs.decode import decode
from sansface.photographs.frame import subject_sphere, world
from sansface.photographs.read import Photograph, list_photographs, read_photographs
from sansface.photographs.scale import Scale, scale_from_markers, scale_from_pupils
from sansface.photographs.structure import Structure, structure_from_motion
from sansface.upright import up_direction

if TYPE_CHECKING:
    from sansface.faces.detectors import Finding

LEAST = 8
"""Photographs below which no head can be placed from all sides."""
REGISTERED = 0.8
"""Part of the photographs whose cameras must be found."""
SFM = "sfm"
"""Folder inside the capture for the database and the sparse points: pictures can be recovered from them."""

Progress = Callable[[float, str], None]
"""Called with the share of the work done, 0 to 1, and what is being done."""


@dataclass(frozen=True)
class CaptureSettings:
    """How a capture is made of photographs.

    Raises:
        SansfaceError: two scales at once.
    """

    front: str | None = None  # name of a photograph taken from straight in front; None = the faces say it
    pupil_distance_mm: float | None = None  # of the subject; gives the unit
    marker_mm: float | None = None  # side of a printed ArUco marker; gives the unit
    one_lens: bool = True  # photographs of one size have one focal length
    keep_sfm: bool = False  # keep COLMAP's database and model
    seed: int = 0  # of COLMAP's random draws

    def __post_init__(self) -> None:
        if self.pupil_distance_mm is not None and self.marker_mm is not None:
            raise SansfaceError("--pupil-distance-mm and --marker-mm both give the scale; leave one out.")


@dataclass(frozen=True, eq=False)
class Made:
    """What came of it.

    Attributes:
        capture: as it lies on the disk.
        lost: names of photographs whose cameras were not found; they are not in the capture.
        twins: (name left out, name of the same picture that stays).
        others: names of files that are no photographs.
        error: mean reprojection error in pixels of the reduced photographs.
        scale: None where the unit is unknown.
        front: does +z point where the face looks?
        notes: sentences on what could not be done.
    """

    capture: Capture
    lost: tuple[str, ...]
    twins: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    error: float
    scale: Scale | None
    front: bool
    notes: tuple[str, ...]


def make_capture(
    photographs: Path,
    out: Path,
    settings: CaptureSettings | None = None,
    progress: Progress = lambda done, note: None,
) -> Made:
    """Make a capture of a folder of photographs.

    Writes `images/`, `masks/` where there are some, transforms.json and meta.json. If it fails or is
    interrupted nothing is left.

    Args:
        photographs: their folder; folders inside it do not count.
        out: folder of the capture; must be empty or new.
        settings: the defaults if None.
        progress: see `Progress`.

    Raises:
        SansfaceError: one sentence: unreadable photographs, too few, too few placed, two people, no scale.
    """
    settings = settings or CaptureSettings()
    require("pycolmap", extra="colmap")  # before any work
    found, others = list_photographs(photographs)
    if settings.front is not None and not any(_is_called(path.name, settings.front) for path in found):
        raise SansfaceError(f"{photographs} holds no photograph {settings.front}; give the name of one.")
    with folder_beside(out) as part:
        taken, twins = read_photographs(found, part, lambda done: progress(0.2 * done, "reading"))
        if len(taken) < LEAST:
            raise SansfaceError(
                f"{len(taken)} different photographs are too few to place cameras all around a head; take 30 "
                f"or more in small steps, {LEAST} at the very least."
            )
        sfm = part / SFM
        sfm.mkdir(mode=0o700)
        structure = structure_from_motion(
            [one.features for one in taken],
            [one.reduced for one in taken],
            _lenses(taken, settings.one_lens),
            sfm,
            settings.seed,
            lambda done, note: progress(0.2 + 0.6 * done, note),
        )
        lost = _check_placed(taken, structure)
        notes: list[str] = []
        capture, scale, front = _placed(
            taken, structure, part, settings, notes, lambda done, note: progress(0.8 + 0.2 * done, note)
        )
        write_transforms_json(capture, part)
        if settings.keep_sfm:
            _owner_only(sfm)
        else:
            shutil.rmtree(sfm)
    return Made(_moved(capture, part, out), lost, twins, others, structure.error, scale, front, tuple(notes))


def _lenses(taken: Sequence[Photograph], one_lens: bool) -> list[int]:
    if not one_lens:
        return list(range(len(taken)))
    sizes = list(dict.fromkeys(one.size for one in taken))
    return [sizes.index(one.size) for one in taken]


def _check_placed(taken: Sequence[Photograph], structure: Structure) -> tuple[str, ...]:
    """The names of those that were not placed; an error if they are too many."""
    lost = tuple(one.name for number, one in enumerate(taken) if number not in structure.cameras)
    if len(structure.cameras) < REGISTERED * len(taken):
        raise SansfaceError(
            f"only {len(structure.cameras)} of {len(taken)} photographs could be placed; below "
            f"{100 * REGISTERED:.0f} % a side of the head is missing, or the others are placed wrongly, too. "
            f"Not placed: {', '.join(lost)}; take more between them and their neighbours, sharp, in even "
            "light, while the head keeps still against the room."
        )
    return lost


def _placed(
    taken: Sequence[Photograph],
    structure: Structure,
    part: Path,
    settings: CaptureSettings,
    notes: list[str],
    progress: Progress,
) -> tuple[Capture, Scale | None, bool]:
    """The capture in its world, its scale, and whether its front is known."""
    for number, one in enumerate(taken):
        if number not in structure.cameras:
            one.forget()
    kept = [taken[number] for number in structure.cameras]
    small = list(structure.cameras.values())
    frames = [
        Frame(camera.resized(*one.size), Role.SENSITIVE, one.image, one.mask)
        for camera, one in zip(small, kept, strict=True)
    ]
    looked = None
    try:
        looked = subject.look(frames, lambda done: progress(0.7 * done, "looking for the face"))
        frames = subject.with_masks(
            frames, part / "masks", lambda done: progress(0.7 + 0.3 * done, "drawing masks")
        )
    except subject.TwoPeople:
        raise
    except SansfaceError as error:
        notes.append(f"Faces and masks were not looked for: {error}")
    masks = [
        _reduced_mask(frame.mask, camera)
        for frame, camera in zip(frames, small, strict=True)
        if frame.mask is not None
    ]
    sphere = subject_sphere(structure, masks if len(masks) == len(frames) else None)
    forward = _forward(frames, sphere, settings.front, looked)
    scale = _scale(frames, kept, small, looked, settings)
    up = up_direction([frame.camera for frame in frames])
    place = world(sphere.center, up, forward, 1.0 if scale is None else scale.millimetres)
    capture = Capture(
        tuple(replace(frame, camera=place.camera(frame.camera)) for frame in frames),
        "unknown" if scale is None else "mm",
        Sphere(np.zeros(3), sphere.radius * place.scale, sphere.source),
    )
    if looked is not None:
        front = next((frame.image.name for frame in frames if _is_front(frame, settings.front)), None)
        capture = subject.with_roles(capture, front, looked)
    return capture, scale, forward is not None


def _reduced_mask(path: Path, camera: Camera) -> np.ndarray:
    mask = decode(path, "mask", upright=False)[:, :, 0]
    return cv2.resize(mask, (camera.width, camera.height), interpolation=cv2.INTER_AREA)


def _forward(
    frames: Sequence[Frame], sphere: Sphere, front: str | None, looked: "Sequence[Sequence[Finding]] | None"
) -> np.ndarray | None:
    """(3,) where the face looks, in the frame of structure from motion."""
    if front is not None:
        for frame in frames:
            if _is_front(frame, front):
                return frame.camera.center - sphere.center
        raise SansfaceError(f"the photograph {front} could not be placed; name another one as --front.")
    if looked is None:
        return None
    from sansface.faces.roles import face_forward

    return face_forward(Capture(tuple(frames), sphere=sphere), looked)


def _scale(
    frames: Sequence[Frame],
    kept: Sequence[Photograph],
    small: Sequence[Camera],
    looked: "Sequence[Sequence[Finding]] | None",
    settings: CaptureSettings,
) -> Scale | None:
    if settings.marker_mm is not None:
        seen = [(camera, one.markers) for camera, one in zip(small, kept, strict=True)]
        return scale_from_markers(seen, settings.marker_mm)
    if settings.pupil_distance_mm is None:
        return None
    if looked is None:
        raise SansfaceError(
            "--pupil-distance-mm needs the eyes to be found, and no face detector is on this device: "
            "pip install 'sansface[faces]' and sansface assets pull, or leave the unit unknown."
        )
    return scale_from_pupils(subject.eyes(frames, looked), settings.pupil_distance_mm)


def _is_front(frame: Frame, front: str | None) -> bool:
    """Is that the copy of the user's photograph of that name? Copies keep the stem."""
    return front is not None and frame.image.stem in (front, Path(front).stem)


def _is_called(name: str, wanted: str) -> bool:
    return wanted in (name, Path(name).stem)


def _moved(capture: Capture, part: Path, out: Path) -> Capture:
    def new(path: Path) -> Path:
        return out / path.relative_to(part)

    frames = (
        replace(frame, image=new(frame.image), mask=None if frame.mask is None else new(frame.mask))
        for frame in capture.frames
    )
    return replace(capture, frames=tuple(frames))


def _owner_only(folder: Path) -> None:
    """As far as the platform has permissions: nobody else may read what is in the folder."""
    for path in (folder, *folder.rglob("*")):
        with suppress(OSError):
            path.chmod(0o700 if path.is_dir() else 0o600)
