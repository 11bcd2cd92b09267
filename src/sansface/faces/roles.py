"""Which photographs are neutral. Whatever is not shown to be so is sensitive.

A frame is neutral only if (i) no detector finds anything of a face in it, and (ii) its camera looks from
behind: more than 130° from the face's forward direction, for at 110° to 120° nose and mouth still show. Where
the user says a direction and the faces show one, from either.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sansface.capture import Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.faces.detectors import Detectors, Finding, find_faces
from sansface.faces.direction import Head, find_head
from sansface.protect.photograph import read_colour
from sansface.protect.sphere import sphere_from_cameras

BEHIND = 130.0
"""Degrees between the face's forward direction and a camera beyond which it looks from behind."""
CONTRADICTION = 45.0
"""Degrees between a given forward direction and the one that the faces show, beyond which one is wrong."""

_KINDS = {
    "face": "face",
    "short range": "face by the short-range detector",
    "landmarks": "landmarks of a face",
}
_Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Decision:
    """What a photograph is taken for, and why.

    Attributes:
        frame: the photograph, with the role that it had.
        role: the one decided.
        reasons: short phrases.
        findings: what the detectors found, best first.
        angle: degrees between the face's forward direction and the camera, at the head's centre, the less of
            them where a direction is both given and shown; None if none is known.
    """

    frame: Frame
    role: Role
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    angle: float | None = None


def look(capture: Capture, progress: _Progress | None = None) -> list[list[Finding]]:
    """What the detectors find in each photograph.

    Raises:
        SansfaceError: a model is not on this device, the extra `faces` is not installed, or a photograph
            cannot be read.
    """
    return _look(capture, Detectors(), progress)


def face_forward(capture: Capture, seen: Sequence[Sequence[Finding]] | None = None) -> np.ndarray | None:
    """The face's forward direction in the world, from the photographs that show the face.

    Args:
        capture: cameras and photographs.
        seen: what `look` returned, to save time.

    Returns:
        (3,) float64 unit vector, or None: too few photographs show the face, or they contradict each other.

    Raises:
        SansfaceError: see `look`.
    """
    head = find_head(capture, look(capture) if seen is None else seen)
    return None if head is None else head.forward


def decide(
    capture: Capture,
    front: str | None = None,
    overrides: Mapping[str, Role] | None = None,
    *,
    forward: Sequence[float] | None = None,
    understood: bool = False,
    seen: Sequence[Sequence[Finding]] | None = None,
    progress: _Progress | None = None,
) -> list[Decision]:
    """Decide the role of every frame. Without detectors, or without a direction, all are sensitive.

    Args:
        capture: cameras and photographs; the roles that it has do not count.
        front: name of a photograph taken from straight in front.
        overrides: roles that the user gives to photographs, by name. `sensitive` always wins.
        forward: (3,) the face's forward direction in the world, of any length.
        understood: the user takes it upon himself that a frame is neutral which the rules call sensitive.
        seen: what `look` returned, to save time.
        progress: called with (frames done, frames in all).

    Returns:
        One decision a frame, in the capture's order.

    Raises:
        SansfaceError: a photograph cannot be read or is not known by that name, a direction of no length or
            one that the faces contradict, or an override to neutral against the rules that is not understood.
    """
    said: dict[int, Role] = {}
    for name, role in (overrides or {}).items():
        index = _frame_named(capture, name)
        said[index] = Role.SENSITIVE if Role.SENSITIVE in (said.get(index), role) else role
    if front is not None:
        _frame_named(capture, front)
    missing = None
    if seen is None:
        try:
            detectors = Detectors()
        except SansfaceError as error:
            missing = f"no detector could look: {error}"
        else:
            seen = _look(capture, detectors, progress)
    heads = _heads(capture, seen, front, forward)
    decisions = []
    for index, frame in enumerate(capture.frames):
        found = () if seen is None else tuple(seen[index])
        angle = min((head.angle(frame.camera) for head in heads), default=None)
        against = _against(found, angle, missing)
        role = Role.SENSITIVE if against else Role.NEUTRAL
        reasons = against or ("no detector finds a face", f"{angle:.0f}° from the front, so from behind")
        if index in said:
            if said[index] is Role.NEUTRAL and against and not understood:
                raise SansfaceError(
                    f"{frame.image} would be neutral by your word alone ({'; '.join(against)}), and its "
                    "colours would leave this device; look at it again, then say --i-understand if no nose, "
                    "eye, brow or lip shows."
                )
            role, reasons = said[index], (f"{said[index]} by --role", *reasons)
        decisions.append(Decision(frame, role, reasons, found, angle))
    return decisions


def overrides(words: Sequence[str]) -> dict[str, Role]:
    """Roles as said on the command line, NAME=neutral or NAME=sensitive; said both ways, `sensitive` wins.

    Raises:
        SansfaceError: anything else.
    """
    said: dict[str, Role] = {}
    for word in words:
        name, _, role = word.rpartition("=")
        if not name or role not in tuple(Role):
            raise SansfaceError(f"--role {word!r} is not NAME=sensitive or NAME=neutral; write it so.")
        said[name] = Role.SENSITIVE if Role.SENSITIVE in (said.get(name), role) else Role(role)
    return said


def vector(words: str) -> tuple[float, ...]:
    """A direction as said on the command line: X,Y,Z.

    Raises:
        SansfaceError: not three numbers.
    """
    try:
        x, y, z = (float(part) for part in words.split(","))
    except ValueError as error:
        raise SansfaceError(
            f"--forward {words!r} is not X,Y,Z; write for example --forward 0,0,1."
        ) from error
    return x, y, z


def _look(capture: Capture, detectors: Detectors, progress: _Progress | None) -> list[list[Finding]]:
    seen = []
    for frame in capture.frames:
        colour, _ = read_colour(frame)
        seen.append(find_faces(np.rint(colour * 255).astype(np.uint8), detectors))
        if progress is not None:
            progress(len(seen), len(capture.frames))
    return seen


def _against(found: Sequence[Finding], angle: float | None, missing: str | None) -> tuple[str, ...]:
    """Every reason against neutral."""
    if missing is not None:
        return (missing,)
    reasons = [_told(found[0])] if found else []
    if angle is None:
        reasons.append("where the face looks cannot be found: say --front NAME or --forward X,Y,Z")
    elif not angle > BEHIND:
        reasons.append(f"{angle:.0f}° from the front, not beyond {BEHIND:.0f}°")
    return tuple(reasons)


def _told(finding: Finding) -> str:
    how = [f"{finding.score:.2f}"]
    how += [f"turned {finding.turned}°"] if finding.turned else []
    how += ["mirrored"] if finding.mirrored else []
    return f"{_KINDS[finding.kind]} ({', '.join(how)})"


def _heads(
    capture: Capture,
    seen: Sequence[Sequence[Finding]] | None,
    front: str | None,
    forward: Sequence[float] | None,
) -> list[Head]:
    """The head as the user says that it looks, and as the photographs show; what is not known is left out."""
    if front is not None and forward is not None:
        raise SansfaceError("--front and --forward say the same thing twice; leave one out.")
    shown = None if seen is None else find_head(capture, seen)
    if front is None and forward is None:
        return [] if shown is None else [shown]
    center = shown.center if shown is not None else _subject_center(capture)
    if front is None:
        given = np.array(forward, dtype=np.float64)
    else:
        given = capture.frames[_frame_named(capture, front)].camera.center - center
    length = float(np.linalg.norm(given)) if given.shape == (3,) else 0.0
    if not 0 < length < float("inf"):
        raise SansfaceError(
            f"the forward direction {forward} is not three numbers with a length; correct it."
        )
    head = Head(center, given / length)
    if shown is None:
        return [head]
    apart = np.degrees(np.arccos(np.clip(head.forward @ shown.forward, -1, 1)))
    if apart > CONTRADICTION:
        raise SansfaceError(
            f"the given front is {apart:.0f}° from where the photographs show the face; correct --front or "
            "--forward, or leave it out."
        )
    return [head, shown]


def _subject_center(capture: Capture) -> np.ndarray:
    """(3,) centre of the capture's sphere, else the point that the cameras look at."""
    if capture.sphere is not None:
        return capture.sphere.center
    return sphere_from_cameras([frame.camera for frame in capture.frames]).center


def _frame_named(capture: Capture, name: str) -> int:
    """The only frame whose photograph has that name, with or without suffix and folders."""
    wanted = Path(name).as_posix()
    found = [index for index, frame in enumerate(capture.frames) if _is_called(frame.image, wanted)]
    if len(found) == 1:
        return found[0]
    how = "no photograph" if not found else f"{len(found)} photographs"
    raise SansfaceError(
        f"the capture has {how} called {name}; say the file's name, such as {capture.frames[0].image.name}."
    )


def _is_called(image: Path, wanted: str) -> bool:
    return wanted in (image.name, image.stem) or f"/{image.as_posix()}".endswith(f"/{wanted}")
