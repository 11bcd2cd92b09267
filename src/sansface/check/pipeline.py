"""`sansface check`: everything in order, from a capture to a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sansface.capture import Camera, Capture, Sphere
from sansface.check.coverage import Coverage, common_view, coverage, faces, looks_inwards
from sansface.check.epipolar import Pair, match, neighbours
from sansface.check.faults import FOCAL, Evidence, from_masks, from_matches
from sansface.check.hull import Hull, carve, overlap
from sansface.check.report import Finding, Report
from sansface.check.views import View, names, read_views
from sansface.errors import SansfaceError

FEWEST_FRAMES = 3
FEWEST_MASKS = 6
"""Masks from which on their hull says something."""
WIDEST_GAP = 100.0
"""Degrees round the head without a view that are still no finding."""
MOST_LOST = 6
"""At most so many frames that match none of their neighbours are compared with all others."""
HEAD = "head"
"""The subject, unless meta.json says another."""
SIZES = (80.0, 1200.0)
"""Millimetres across a head, alone or with shoulders, generously."""

_AXES = {  # what a pose may have been written as, and what then mends it
    "the cameras' y and z axes point the other way, as OpenGL has them: turn both round": lambda pose: (
        np.diag([1.0, -1.0, -1.0, 1.0]) @ pose
    ),
    "the poses are the inverse of what they should be: invert each": np.linalg.inv,
    "the cameras' z axes are mirrored: turn z round, and mirror one axis of the world": lambda pose: (
        np.diag([1.0, 1.0, -1.0, 1.0]) @ pose @ np.diag([1.0, 1.0, -1.0, 1.0])
    ),
}


@dataclass(frozen=True, eq=False)
class Checked:
    """A report, and what its picture shows besides."""

    report: Report
    cameras: tuple[Camera, ...]
    sphere: Sphere | None
    hull: Hull | None


def check_capture(
    capture: Capture, progress: Callable[[float, str], None] = lambda done, note: None
) -> Checked:
    """Check poses, masks and photographs against each other.

    Args:
        capture: read with `read_capture`.
        progress: told how much is done, 0 to 1, and what is being done.

    Raises:
        SansfaceError: a photograph or mask cannot be used at all.
    """
    called = tuple(names(capture))
    given = [frame.camera for frame in capture.frames]
    aim, sphere = _aim(given, called)
    if sphere is None:
        note = "masks, matches, coverage and size, because no place is known that the cameras look at."
        return Checked(Report(called, (aim,) if aim else (), (note,)), tuple(given), None, None)
    views = read_views(capture, lambda done: progress(0.4 * done, "reading"))
    cameras = [view.camera for view in views]
    around = coverage(capture, sphere)
    away = [k for k, camera in enumerate(cameras) if not faces(camera, sphere)]
    findings = [_facing_away(called[k]) for k in away]
    findings += [_no_outline(view.name) for view in views if view.masked and view.silhouette is None]
    notes: list[str] = []
    scale = np.array([view.scale for view in views])

    masked = [k for k, view in enumerate(views) if view.silhouette is not None and k not in away]
    masks, hull, iou = None, None, np.zeros(0)
    if len(masked) >= FEWEST_MASKS:
        silhouettes = [one for k in masked if (one := views[k].silhouette) is not None]
        local = from_masks(
            silhouettes, sphere, scale[masked], lambda done: progress(0.4 + 0.4 * done, "masks")
        )
        good = [k for k in range(len(masked)) if k not in local.bad]
        hull = carve(silhouettes, good, sphere)
        iou = np.full(len(views), np.nan)
        iou[masked] = [overlap(hull, k, one) for k, one in enumerate(silhouettes)]
        masks = _spread(local, masked, len(views))
    if len(masked) < len(views):
        notes.append(_without_masks(len(masked), len(views), len(away)))
    progress(0.85, "matches")
    matches = _matches(views, around, scale, away, [k for k in range(len(views)) if k not in masked])
    lost = [k for k in range(len(views)) if matches is None or not np.isfinite(matches.error[k])]
    if lost:
        notes.append(_without_matches([called[k] for k in lost], len(views)))
    findings += _found(masks, matches, called)
    size = _size(hull, sphere)
    findings += _gaps(around, called) + ([] if hull is None else _sizes(capture, size))
    progress(1.0, "done")
    report = Report(called, tuple(findings), tuple(notes), around, masks, matches, iou, size, capture.unit)
    return Checked(report, tuple(given), sphere, hull)


def _aim(cameras: Sequence[Camera], called: Sequence[str]) -> tuple[Finding | None, Sphere | None]:
    """Do the cameras look at one place, and which? If they do not, which change would make them?"""
    if len(cameras) < FEWEST_FRAMES:
        sentence = f"{len(cameras)} photographs show too little of a head; take some thirty, from all sides."
        return Finding("gap", (), sentence), None
    if looks_inwards(cameras):
        return None, common_view(cameras)
    for what, mend in _AXES.items():
        if looks_inwards([replace(camera, cam_from_world=mend(camera.cam_from_world)) for camera in cameras]):
            return Finding("facing", (), f"the cameras do not look at the subject, because {what}."), None
    try:
        sphere = common_view(cameras)
    except SansfaceError:
        sphere = None
    away = cameras if sphere is None else [camera for camera in cameras if not faces(camera, sphere)]
    if sphere is not None and len(away) <= len(cameras) / 3:
        return None, sphere
    return Finding(
        "facing",
        (),
        f"{len(away)} of the {len(cameras)} cameras, {called[0]} among others, do not look at one subject; "
        "check the convention of the poses (camera from world or the inverse, which axes) and export again.",
    ), None


def _facing_away(name: str) -> Finding:
    sentence = (
        f"the camera of {name} looks past the subject that the others look at; correct its pose or leave it "
        "out."
    )
    return Finding("facing", (name,), sentence)


def _no_outline(name: str) -> Finding:
    sentence = (
        f"the mask of {name} has no outline inside the picture: it covers next to nothing, or all but a rim; "
        "draw it again or leave the photograph out."
    )
    return Finding("mask", (name,), sentence)


def _without_masks(masked: int, frames: int, away: int) -> str:
    if masked >= FEWEST_MASKS:
        return f"the masks of {frames - masked} of {frames} frames: they have none, or look elsewhere."
    if masked + away == 0:
        return "silhouettes, for there are no masks."
    return f"silhouettes, for only {masked} frames have masks; {FEWEST_MASKS} are needed."


def _without_matches(lost: Sequence[str], frames: int) -> str:
    listed = ", ".join(lost[:5]) + (" and others" if len(lost) > 5 else "")
    return f"the epipolar error of {len(lost)} of {frames} frames, which have too few matches: {listed}."


def _matches(
    views: Sequence[View],
    around: Coverage,
    scale: np.ndarray,
    away: Sequence[int],
    unmasked: Sequence[int],
) -> Evidence | None:
    """Compare neighbours; a frame that only its matches can judge, and that has none, with all others."""
    pairs = _matched(views, [pair for pair in neighbours(around.directions) if not {*pair} & {*away}])
    judged = {k for pair in pairs for k in (pair.first, pair.second)}
    lost = [k for k in unmasked if k not in judged and k not in away][:MOST_LOST]
    others = {(min(i, j), max(i, j)) for i in lost for j in range(len(views)) if i != j and j not in away}
    pairs += _matched(views, sorted(others))
    return from_matches(pairs, [view.camera for view in views], scale) if pairs else None


def _matched(views: Sequence[View], numbers: Sequence[tuple[int, int]]) -> list[Pair]:
    found = [match(i, j, views[i].features, views[j].features) for i, j in numbers]
    return [pair for pair in found if pair is not None]


def _spread(evidence: Evidence, where: Sequence[int], frames: int) -> Evidence:
    """Evidence of some frames, numbered as all are."""
    error = np.full(frames, np.nan)
    error[list(where)] = evidence.error
    return replace(
        evidence,
        error=error,
        bad=tuple(where[k] for k in evidence.bad),
        swapped=tuple((where[a], where[b]) for a, b in evidence.swapped),
    )


def _found(masks: Evidence | None, matches: Evidence | None, called: Sequence[str]) -> list[Finding]:
    """The simplest explanation for what masks and matches say; masks go first, for they see more."""
    both = [(what, one) for what, one in (("masks", masks), ("matches", matches)) if one is not None]
    for what, one in both:
        if one.mirrored is not None:
            return [
                Finding(
                    "mirrored",
                    (),
                    f"{one.mirrored} are mirrored between photographs and poses, as the {what} show; mirror "
                    "that axis of the cameras and one axis of the world, or turn the photographs round.",
                )
            ]
    findings = []
    fits = [one.calibration for _, one in both if one.calibration is not None]
    best = min(fits, key=lambda fit: fit.focal_error, default=None)
    if best is not None and best.significant_focal(FOCAL):
        findings.append(
            Finding(
                "focal",
                (),
                f"the focal length is wrong by about {100 * abs(1 / best.focal - 1):.0f} %: multiply "
                f"it by {best.focal:.2f}, or calibrate the camera again.",
            )
        )
    bad = sorted({k for _, one in both for k in one.bad})
    swapped = [pair for _, one in both for pair in one.swapped]
    for a, b in dict.fromkeys(swapped):
        findings.append(
            Finding(
                "pose",
                (called[a], called[b]),
                f"{called[a]} and {called[b]} have each other's poses; exchange the two.",
            )
        )
    for k in bad:
        if not any(k in pair for pair in swapped):
            why = " and ".join(what for what, one in both if k in one.bad)
            findings.append(
                Finding(
                    "pose",
                    (called[k],),
                    f"{called[k]} does not fit the other frames by its {why}: its pose or mask is wrong, or "
                    "it shows something else; correct it or leave it out.",
                )
            )
    if not findings:
        findings = [
            Finding(
                "disagreement",
                (),
                f"the {what} do not agree with the poses and no single frame is to blame; calibrate the "
                "cameras again, and look whether the subject moved.",
            )
            for what, one in both
            if not one.agree
        ]
    return findings


def _gaps(around: Coverage, called: Sequence[str]) -> list[Finding]:
    angle, before, after = around.gap
    if angle <= WIDEST_GAP:
        return []
    sentence = (
        f"no photograph between {called[before]} and {called[after]}, which are {angle:.0f} degrees apart; "
        "take some there, for what no camera sees is guessed."
    )
    return [Finding("gap", (called[before], called[after]), sentence)]


def _size(hull: Hull | None, sphere: Sphere) -> float:
    solid = np.zeros((0, 3)) if hull is None else hull.solid
    if not len(solid):
        return 2 * sphere.radius
    return float((np.quantile(solid, 0.995, axis=0) - np.quantile(solid, 0.005, axis=0)).max())


def _sizes(capture: Capture, size: float) -> list[Finding]:
    """A unit that is off by ten or a thousand is seen by the size of a head, if the subject is one."""
    if capture.meta.get("subject", HEAD) != HEAD:
        return []
    if capture.millimetre is None:
        return []
    millimetres = size / capture.millimetre
    if SIZES[0] <= millimetres <= SIZES[1]:
        return []
    sentence = (
        f"the subject would be {millimetres:.3g} mm across, which is no head; correct the unit or the scale "
        'of the poses, or say what it is: "subject" in meta.json.'
    )
    return [Finding("scale", (), sentence)]
