"""One row of a table: a method at one strength, on all photographs, by every instrument."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sansface.audit.scores import Rate, bootstrapped
from sansface.bench.deidentify.cohort import Cohort, Portrait
from sansface.bench.deidentify.fits import Change, Refits
from sansface.bench.deidentify.kid import Backbone, kid, kid_spread, standardised
from sansface.bench.deidentify.quality import Quality, quality
from sansface.bench.deidentify.scorers import Scored, Scorer, scored
from sansface.deidentify.methods import Method
from sansface.errors import SansfaceError
from sansface.recognise.align import Placing
from sansface.recognise.detect import Yunet, at


@dataclass(frozen=True, eq=False)
class Instruments:
    """What every method is measured by.

    Attributes:
        cohort: whose photographs.
        scorers: recognisers.
        yunet: finds faces again.
        backbone: of KID.
        clear: (g, d) its features of clear photographs of strangers.
        refits: None leaves POSE and EXP out.
        fits: on how many of the photographs, for a fit takes seconds.
        seed: of all that is random.
    """

    cohort: Cohort
    scorers: tuple[Scorer, ...]
    yunet: Yunet
    backbone: Backbone
    clear: np.ndarray
    refits: Refits | None
    fits: int
    seed: int

    @property
    def placings(self) -> tuple[Placing, ...]:
        return tuple(dict.fromkeys(one.recogniser.placing for one in self.scorers))


@dataclass(frozen=True, eq=False)
class Hidden:
    """One picture that a method made, and what was measured on it.

    Attributes:
        index: of the portrait.
        quality: beside the photograph.
        detected: is a face found where it was?
        crops: of each recogniser's placing (side, side, 3) float32, by the face found in the hidden picture,
            else by the photograph's: the attacker always has a try.
        features: (d,) of the backbone.
        changes: of pose and expression, by the method and by jitter; None where not fitted.
        seconds: of CPU that the method took.
        picture: (h, w, 3) uint8, where it is asked for.
    """

    index: int
    quality: Quality
    detected: bool
    crops: dict[Placing, np.ndarray]
    features: np.ndarray
    changes: tuple[Change, Change] | None
    seconds: float
    picture: np.ndarray | None


@dataclass(frozen=True)
class Row:
    """Means over all pictures of one method at one strength; None for what was not measured, or is infinite.

    Attributes:
        pictures: how many were made; refused: photographs times draws that the method refused; refused_of:
            the portraits, by index, of which it refused any.
        detected: share in which a face is still found where it was.
        changed: share of the pixels that changed; outside: pictures in which one beyond the head did.
        psnr, ssim, psnr_face, ssim_face: see `Quality`.
        kid, kid_spread: of hidden faces and strangers' clear ones.
        pose, pose_jitter: degrees; expression, expression_jitter: distances; of `fitted` pictures.
        seconds: of CPU, for a picture.
        scored: by each recogniser.
    """

    pictures: int
    refused: int
    detected: Rate
    changed: float
    outside: int
    psnr: float | None
    ssim: float
    psnr_face: float | None
    ssim_face: float
    kid: float
    kid_spread: float
    pose: float | None
    pose_jitter: float | None
    expression: float | None
    expression_jitter: float | None
    fitted: int
    seconds: float
    scored: tuple[Scored, ...]
    refused_of: tuple[int, ...] = ()


def runs(
    method: Method, portraits: Sequence[Portrait], draws: int, seed: int, left_out: Collection[int] = ()
) -> Iterator[tuple[int, np.ndarray | None, float]]:
    """Hide every photograph but those left out, so many times each with fresh randomness of its own.

    Yields:
        index of the portrait, the picture or None where the method refuses, and seconds of CPU.
    """
    for index, portrait in enumerate(portraits):
        for draw in range(0 if index in left_out else draws):
            began = time.process_time()
            try:
                picture = method(portrait.picture.copy(), np.random.default_rng([seed, index, draw]))
            except SansfaceError:
                yield index, None, time.process_time() - began
                continue
            if picture.shape != portrait.picture.shape or picture.dtype != np.uint8:
                raise TypeError(f"the method gives {picture.shape} of {picture.dtype}, not what it was given")
            yield index, picture, time.process_time() - began


def found_again(yunet: Yunet, picture: np.ndarray, landmarks: np.ndarray) -> tuple[bool, np.ndarray]:
    """Is a face found where it was, and (5, 2) where it is cut out: there, else where it was."""
    face = at(yunet.faces(picture), landmarks)
    return face is not None, landmarks if face is None else face.landmarks


def measured(
    method: Method,
    by: Instruments,
    draws: int = 1,
    with_pictures: bool = False,
    left_out: Collection[int] = (),
) -> tuple[list[Hidden], list[int]]:
    """Everything that can be said of single pictures; and of which portraits, as often as the method refused.

    left_out: portraits that are not tried.
    """
    result, refused = [], []
    for index, picture, seconds in runs(method, by.cohort.portraits, draws, by.seed, left_out):
        if picture is None:
            refused.append(index)
            continue
        portrait = by.cohort.portraits[index]
        detected, landmarks = found_again(by.yunet, picture, portrait.landmarks)
        refits = by.refits if index < by.fits else None
        result.append(
            Hidden(
                index=index,
                quality=quality(portrait.picture, picture, portrait.landmarks, portrait.faces),
                detected=detected,
                crops={one: one.cut(picture, landmarks) for one in by.placings},
                features=by.backbone.features(picture, landmarks),
                changes=refits and refits.changes(index, portrait.picture, picture, portrait.landmarks),
                seconds=seconds,
                picture=picture if with_pictures else None,
            )
        )
    return result, refused


def row(pictures: Sequence[Hidden], refused: Sequence[int], by: Instruments) -> Row:
    """Summed up.

    Raises:
        SansfaceError: the method refused every photograph.
    """
    if len(pictures) < 2:
        raise SansfaceError(
            f"the method refused {len(refused)} photographs and hid {len(pictures)}; give others, or more."
        )
    rng = np.random.default_rng([by.seed, 2])
    which = np.array([one.index for one in pictures])
    labels = by.cohort.labels[which]
    features = np.stack([one.features for one in pictures])
    clear = by.clear
    if not by.backbone.standard:
        clear, features = standardised(clear, features)
    changes = [one.changes for one in pictures if one.changes]
    pose, expression = (
        [tuple(getattr(one, name) for one in two) for two in changes] for name in ("pose", "expression")
    )
    of = [one.quality for one in pictures]
    return Row(
        pictures=len(pictures),
        refused=len(refused),
        detected=bootstrapped(np.array([one.detected for one in pictures], np.float64), labels, rng),
        changed=float(np.mean([one.changed for one in of])),
        outside=sum(one.outside > 0 for one in of),
        psnr=_finite(np.mean([one.psnr for one in of])),
        ssim=float(np.mean([one.ssim for one in of])),
        psnr_face=_finite(np.mean([one.psnr_face for one in of])),
        ssim_face=float(np.mean([one.ssim_face for one in of])),
        kid=kid(features, clear),
        kid_spread=kid_spread(features, clear, rng),
        pose=_mean(pose, 0),
        pose_jitter=_mean(pose, 1),
        expression=_mean(expression, 0),
        expression_jitter=_mean(expression, 1),
        fitted=len(changes),
        seconds=float(np.mean([one.seconds for one in pictures])),
        scored=tuple(
            scored(one, one.recogniser.embed(_crops(pictures, one.recogniser.placing)), which, rng)
            for one in by.scorers
        ),
        refused_of=tuple(sorted(set(refused))),
    )


def as_json(one: Row) -> dict[str, Any]:
    """Plain JSON."""
    return asdict(one)


def from_json(told: dict[str, Any]) -> Row:
    """Back again."""
    back = tuple(Scored.from_json(one) for one in told["scored"])
    read = {"detected": Rate(**told["detected"]), "scored": back, "refused_of": tuple(told["refused_of"])}
    return Row(**{**told, **read})


def _crops(pictures: Sequence[Hidden], placing: Placing) -> np.ndarray:
    return np.stack([one.crops[placing] for one in pictures])


def _mean(pairs: Sequence[tuple[float, ...]], which: int) -> float | None:
    return float(np.mean([pair[which] for pair in pairs])) if pairs else None


def _finite(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
