"""From numbers to faults: which frames are to blame, which single change would mend everything.

The simplest explanation goes first: a mirrored axis or a wrong focal length for all, then single frames, of
which two may have each other's pose.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from sansface.capture import Camera, Sphere
from sansface.check.calibration import Calibration, adjusted, calibrate
from sansface.check.epipolar import CLOSE, Pair, sampson
from sansface.check.silhouettes import Silhouette, Survey, grazing, survey

FOCAL = 0.07
"""Focal lengths may be off by this part before it is a finding."""
OUTLINE_STANDS_OUT = 0.0006
"""A frame is to blame for at least this much disagreement of outlines, in sizes of the subject: exact masks
leave 0.00002, a frame of another, similar head 0.001."""
OUTLINE_BLAME = 0.003
"""Outlines agree up to this, with masks as people draw them."""
OUTLINE_ALL = 0.012
"""Outlines that stand out by more than this, in sizes of the subject, in the median frame do not agree."""
MATCH_BLAME = 0.004
"""Matches of a pair that do not agree are farther from the epipolar lines than this, in longer sides."""
ABOVE_REST = {"masks": 5.0, "matches": 6.0}
"""A frame to blame stands out of the median one by this factor."""
MENDED = 0.35
"""A change explains a fault if it leaves at most this part of the disagreement."""
FEWEST_PAIRS = 10
"""Pairs of views from which on cameras are calibrated by their matches: fewer seem surer than they are."""
FITTED = 16
"""At most so many outlines are fitted when cameras are calibrated."""

MIRRORS = {"left and right": np.array([-1.0, 1.0]), "up and down": np.array([1.0, -1.0])}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What masks, or matches, say.

    Attributes:
        error: (frames,) disagreement in pixels of the photograph, NaN where a frame cannot be judged.
        bad: frames to blame.
        swapped: pairs of those that have each other's pose.
        mirrored: what is mirrored, if everything agrees once it is mirrored back.
        calibration: None where there is too little to fit.
        agree: False where the frames do not agree and nothing explains why.
    """

    error: np.ndarray
    bad: tuple[int, ...]
    swapped: tuple[tuple[int, int], ...]
    mirrored: str | None
    calibration: Calibration | None
    agree: bool


def from_masks(
    silhouettes: Sequence[Silhouette],
    sphere: Sphere,
    scale: np.ndarray,
    progress: Callable[[float], None] = lambda done: None,
) -> Evidence:
    """What the outlines say.

    scale: (frames,) pixels of the photographs in a reduced one.
    """
    everyone = list(range(len(silhouettes)))
    size = float(np.median([one.size for one in silhouettes]))
    first = survey(silhouettes, everyone, sphere, lambda done: progress(0.4 * done))
    mirrored = None
    if np.median(_blame(first.dissent)) > OUTLINE_BLAME * size:
        for name, flip in MIRRORS.items():
            turned = [_mirrored(one, flip) for one in silhouettes]
            again = survey(turned, everyone, sphere)
            if np.nanmean(again.outside) < MENDED * np.nanmean(first.outside):
                mirrored, silhouettes, first = name, turned, again
                break
    bad, kept, last = _blamed(silhouettes, everyone, sphere, first, size)
    progress(0.6)
    fit = _calibrated(silhouettes, kept, sphere, float(np.median(scale)))
    if bad and fit.significant_focal(FOCAL):
        # perhaps the frames to blame are only those that suffer most from the focal length
        cameras = adjusted([one.camera for one in silhouettes], np.array([np.log(fit.focal), 0, 0]))
        turned = [replace(one, camera=camera) for one, camera in zip(silhouettes, cameras, strict=True)]
        again = survey(turned, everyone, sphere)
        bad, kept, last = _blamed(turned, everyone, sphere, again, size)
        silhouettes = turned
    swapped = tuple(
        (a, b) for a, b in combinations(bad, 2) if _fit_swapped(silhouettes, a, b, kept, sphere, size)
    )
    agree = mirrored is not None or float(np.nanmedian(last.worst)) < OUTLINE_ALL * size
    return Evidence(first.worst * scale, tuple(bad), swapped, mirrored, fit, agree)


def _blamed(
    silhouettes: Sequence[Silhouette], frames: list[int], sphere: Sphere, first: Survey, size: float
) -> tuple[list[int], list[int], Survey]:
    """Take away the frame that is most to blame, as long as one stands out; at most a third of them."""
    bad, kept = [], list(frames)
    while len(kept) > max(4, 2 * len(frames) / 3):
        among = first.dissent[np.ix_(kept, kept)]
        blame = _blame(among)
        if blame.max() < max(OUTLINE_STANDS_OUT * size, ABOVE_REST["masks"] * float(np.median(blame))):
            break
        bad.append(kept.pop(int(blame.argmax())))
    return sorted(bad), kept, survey(silhouettes, kept, sphere) if bad else first


def _fit_swapped(
    silhouettes: Sequence[Silhouette], a: int, b: int, kept: Sequence[int], sphere: Sphere, size: float
) -> bool:
    """Would both frames agree with the good ones if they exchanged their cameras?"""
    turned = list(silhouettes)
    turned[a] = replace(silhouettes[a], camera=silhouettes[b].camera)
    turned[b] = replace(silhouettes[b], camera=silhouettes[a].camera)
    dissent = survey(turned, [*kept, a, b], sphere).dissent
    blame = _blame(dissent[np.ix_([*kept, a, b], [*kept, a, b])])
    return bool(blame[-2:].max() < OUTLINE_BLAME * size)


def _blame(dissent: np.ndarray) -> np.ndarray:
    """(n,) pixels of dissent that each frame has part in, per other frame.  dissent: (n, n)."""
    return (dissent.sum(axis=0) + dissent.sum(axis=1)) / (len(dissent) - 1)


def _mirrored(one: Silhouette, flip: np.ndarray) -> Silhouette:
    """The mask of a mirrored photograph, with the camera as it is but for its principal point."""
    size = np.array([one.camera.width, one.camera.height])
    K = np.array(one.camera.K)
    K[:2, 2] = _flipped(K[:2, 2], flip, size)
    camera = Camera(K, one.camera.width, one.camera.height, one.camera.cam_from_world)
    distance = np.ascontiguousarray(one.distance[:: int(flip[1]), :: int(flip[0])])
    return Silhouette(camera, distance, _flipped(one.outline, flip, size), one.size)


def _flipped(points: np.ndarray, flip: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.where(flip < 0, size - points, points)


def _calibrated(
    silhouettes: Sequence[Silhouette], kept: Sequence[int], sphere: Sphere, scale: float
) -> Calibration:
    """Focal factor and shift from some outlines against all masks."""
    chosen = [kept[k] for k in np.unique(np.linspace(0, len(kept) - 1, FITTED).round().astype(int))]
    thin = [replace(one, outline=one.outline[::2]) for one in silhouettes]

    def prepare(cameras: Sequence[Camera]) -> Callable[[Sequence[Camera]], np.ndarray]:
        moved = [replace(one, camera=camera) for one, camera in zip(thin, cameras, strict=True)]
        return grazing(moved, chosen, kept, sphere)

    groups = np.repeat(np.arange(len(chosen)), [len(thin[index].outline) for index in chosen])
    return calibrate([one.camera for one in thin], prepare, groups, scale)


def from_matches(pairs: Sequence[Pair], cameras: Sequence[Camera], scale: np.ndarray) -> Evidence:
    """What matches between neighbours say.

    pairs: those that could be judged.  scale: (frames,) pixels of the photographs in a reduced one.
    """
    errors = _pair_errors(pairs, cameras)
    error = _of_frames(pairs, errors, len(cameras))
    limit = max(CLOSE, MATCH_BLAME * float(np.median([max(one.width, one.height) for one in cameras])))
    mirrored = None
    if len(errors) >= 3 and np.median(errors) > limit / 2:
        for name, flip in MIRRORS.items():
            turned = [_mirrored_pair(pair, cameras, flip) for pair in pairs]
            again = _pair_errors(turned, cameras)
            if np.median(again) < MENDED * np.median(errors):
                mirrored, pairs, errors = name, turned, again
                break
    bad, kept = _blamed_by_pairs(pairs, errors, limit)
    fit = None
    if len(kept) >= FEWEST_PAIRS:
        groups = np.repeat(np.arange(len(kept)), [pair.points.shape[1] for pair in kept])

        def residuals(cameras: Sequence[Camera]) -> np.ndarray:
            return np.concatenate([sampson(pair, cameras) for pair in kept])

        fit = calibrate(cameras, lambda _: residuals, groups, float(np.median(scale)))
    if bad and fit is not None and fit.significant_focal(FOCAL):
        cameras = adjusted(cameras, np.array([np.log(fit.focal), 0, 0]))
        bad, kept = _blamed_by_pairs(pairs, _pair_errors(pairs, cameras), limit)
    wrong = [pair for pair, e in zip(pairs, _pair_errors(pairs, cameras), strict=True) if e > limit]
    suspects = sorted(
        {k for pair in wrong for k in (pair.first, pair.second)}
    )  # may have too few pairs to blame
    couples = combinations(suspects, 2)
    swapped = tuple(
        (a, b) for a, b in couples if {a, b} & {*bad} and _swapped_error(pairs, cameras, a, b) < limit
    )
    bad = sorted({*bad, *(k for couple in swapped for k in couple)})
    left = np.median(_pair_errors(kept, cameras)) if kept else 0.0
    agree = mirrored is not None or bool(left < limit)
    return Evidence(error * scale, tuple(bad), swapped, mirrored, fit, agree)


def _pair_errors(pairs: Sequence[Pair], cameras: Sequence[Camera]) -> np.ndarray:
    return np.array([np.median(abs(sampson(pair, cameras))) for pair in pairs])


def _of_frames(pairs: Sequence[Pair], errors: np.ndarray, frames: int) -> np.ndarray:
    """(frames,) median over the pairs that a frame is part of; NaN where there is none."""
    own = [[error for error, pair in zip(errors, pairs, strict=True) if frame in (pair.first, pair.second)]
           for frame in range(frames)]  # fmt: skip
    return np.array([np.median(some) if some else np.nan for some in own])


def _blamed_by_pairs(pairs: Sequence[Pair], errors: np.ndarray, least: float) -> tuple[list[int], list[Pair]]:
    """Take away the frame with most pairs that disagree, if most of its pairs do.

    One such pair alone says that one of two frames is wrong, but not which: then neither is blamed.
    """
    limit = max(least, ABOVE_REST["matches"] * float(np.median(errors))) if len(errors) else 0.0
    kept = list(zip(pairs, errors, strict=True))
    bad = []
    while True:
        count: dict[int, list[bool]] = {}
        for pair, error in kept:
            for frame in (pair.first, pair.second):
                count.setdefault(frame, []).append(bool(error > limit))
        guilty = [(sum(own), frame) for frame, own in count.items() if sum(own) >= 2 and np.mean(own) > 0.6]
        if not guilty:
            return sorted(bad), [pair for pair, error in kept if error <= limit]
        worst = max(guilty)[1]
        bad.append(worst)
        kept = [(pair, error) for pair, error in kept if worst not in (pair.first, pair.second)]


def _swapped_error(pairs: Sequence[Pair], cameras: Sequence[Camera], a: int, b: int) -> float:
    turned = list(cameras)
    turned[a], turned[b] = cameras[b], cameras[a]
    own = [pair for pair in pairs if {a, b} & {pair.first, pair.second}]
    return float(np.median(_pair_errors(own, turned)))


def _mirrored_pair(pair: Pair, cameras: Sequence[Camera], flip: np.ndarray) -> Pair:
    """Matches in mirrored photographs, principal points kept."""
    centers = [cameras[frame].K[:2, 2] for frame in (pair.first, pair.second)]
    points = [
        np.where(flip < 0, 2 * center - own, own) for own, center in zip(pair.points, centers, strict=True)
    ]
    return replace(pair, points=np.stack(points))
