"""The client's whole work: a capture in, a bundle out. Nothing is written to disk and nothing is logged."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

import cv2
import numpy as np

from sansface.capture import Camera, Capture, Frame, Role, Sphere, counted
from sansface.errors import SansfaceError
from sansface.protect.contents import (
    MAX_BITS,
    MAX_NOISE,
    SCALE_STEPS,
    Bundle,
    BundleError,
    BundleFrame,
    Share,
)
from sansface.protect.frame import UserFrame, without_frame
from sansface.protect.operators import Operator, operator
from sansface.protect.photograph import read_codes
from sansface.protect.reduce import disturbed, mask_codes, modulus, neutral_codes, reduce, sensitive_codes
from sansface.protect.sphere import sphere_from_cameras, sphere_from_masks

MIN_NEUTRAL = 2
MIN_SENSITIVE = 3
THREADS = 2
RESOLUTIONS = (16, 512)
LEAST_GAIN = 0.1


@dataclass(frozen=True)
class ProtectSettings:
    """How a capture is protected.

    Raises:
        SansfaceError: a setting out of range.
    """

    resolution: int = 64  # pixels of the pictures' longer side
    operator: str = "sobel"  # a name in protect.operators.OPERATORS
    bits: int = 8  # of each σ, 1 to 16; fewer tell less. Neutral colours have 8, and 16 from 9 on
    share_masks: bool = True  # masks leave the client, at `resolution`
    center: tuple[float, float, float] | None = None  # of the bounding sphere, world units; None = find it
    radius: float | None = None  # of the bounding sphere, world units; None = find it
    blur: float | None = None  # before σ: standard deviation, reduced pixels; None = see `operator`
    noise: float = 0.0  # added to σ: standard deviation, in units of σ
    gain: float = 1.0  # least of the random factors of the sensitive views; 1 = none
    share: Share = Share.MODULUS  # what leaves of a sensitive photograph

    def __post_init__(self) -> None:
        least, most = RESOLUTIONS
        if not least <= self.resolution <= most:
            raise SansfaceError(f"the resolution {self.resolution} is not {least} to {most}; choose another.")
        if not 1 <= self.bits <= MAX_BITS:
            raise SansfaceError(f"{self.bits} bits are not 1 to {MAX_BITS}; choose another number.")
        if not 0 <= self.noise <= MAX_NOISE:
            raise SansfaceError(f"the noise {self.noise} is not 0 to {MAX_NOISE:g}; choose another.")
        if not LEAST_GAIN <= self.gain <= 1:
            raise SansfaceError(f"the gain {self.gain} is not {LEAST_GAIN} to 1; choose another.")
        if self.share is not Share.MODULUS and (self.noise > 0 or self.gain < 1):
            raise SansfaceError(
                f"of sensitive photographs the {self.share} is shared and no σ, so noise and gain have "
                "nothing to act on; leave them out."
            )
        if self.share is Share.OUTLINE and not self.share_masks:
            raise SansfaceError("outlines are to be shared, and masks are not; share masks.")
        self.sigma()

    def sigma(self) -> Operator:
        """The operator with its blur."""
        return operator(self.operator, self.blur, self.resolution)


@dataclass(frozen=True, eq=False)
class _Small:
    """One frame, as little of it as the next steps need: a sensitive frame's colours are already gone."""

    camera: Camera
    mask: np.ndarray
    codes: np.ndarray | None
    sigma: np.ndarray | None
    shared: np.ndarray | None


def protect(
    capture: Capture,
    settings: ProtectSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    rng: np.random.Generator | None = None,
) -> Bundle:
    """Protect a capture; the bundle is in the capture's own frame, which `protect_capture` takes off.

    For each photograph: decode, remove the background by its mask, undistort, average down to `resolution`;
    a sensitive one then becomes σ, withheld at its outline, with gain and noise if asked for. Then the
    bounding sphere is found, cameras are put in the unit-sphere frame, and values become codes.

    Args:
        capture: at least three sensitive frames, and two neutral ones or none: a template takes their place.
        settings: the defaults if None.
        progress: called with (frames done, frames in all).
        rng: draws gain and noise. Whoever knows its seed takes both off again, so on people use the default:
            a seed from the operating system that is kept nowhere.

    Raises:
        SansfaceError: one sentence; see `read_codes`, `Bundle` and the checks here.
    """
    settings = settings or ProtectSettings()
    _check_roles(capture.frames, settings.share)
    _check_each_once(capture.frames)
    sigma = settings.sigma()
    rng = rng or np.random.default_rng(secrets.randbits(128))
    small = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for frame in pool.map(partial(_reduced, settings=settings, sigma=sigma), capture.frames):
                small.append(_disturbed(frame, settings, rng))
                if progress is not None:
                    progress(len(small), len(capture.frames))
    finally:
        cv2.setNumThreads(threads)
    sphere = _sphere(capture, settings, small)
    _check_outside(capture.frames, small, sphere)
    most = max(float(frame.sigma.max()) for frame in small if frame.sigma is not None)
    scale = max(1, ceil(most * SCALE_STEPS)) / SCALE_STEPS if settings.share is Share.MODULUS else 1.0
    return Bundle(
        frames=tuple(
            _finished(frame, one, sphere, scale, settings, sigma)
            for frame, one in zip(capture.frames, small, strict=True)
        ),
        resolution=settings.resolution,
        operator=sigma,
        bits=settings.bits,
        scale=scale,
        center=sphere.center,
        radius=sphere.radius,
        unit=capture.unit,
        sphere_source=sphere.source,
        noise=settings.noise,
        gain=settings.gain < 1,
        share=settings.share,
    )


def protect_capture(
    capture: Capture,
    settings: ProtectSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[Bundle, UserFrame]:
    """What `protect` makes without the user's frame and unit, and the way back, which stays with the user."""
    return without_frame(protect(capture, settings, progress, rng))


def _check_roles(frames: Sequence[Frame], share: Share) -> None:
    neutral, sensitive = counted(frame.role for frame in frames)
    if neutral == 0 and share is Share.CAMERA:
        raise SansfaceError(
            "no frame is neutral, and of sensitive ones nothing is to be shared, so nothing is left; give at "
            f"least {MIN_NEUTRAL} neutral frames, or share outlines: --preset strict."
        )
    if 0 < neutral < MIN_NEUTRAL:
        raise SansfaceError(
            f"one neutral frame is too few; give at least {MIN_NEUTRAL}, of a head its rear, else views "
            "that show nothing to be hidden, or none: then a head template takes their place."
        )
    if sensitive == 0:
        raise SansfaceError(
            "all frames are neutral, so there is nothing to protect; label every photograph in which any of "
            'the face shows "role": "sensitive", or let `sansface roles` decide.'
        )
    if sensitive < MIN_SENSITIVE:
        raise SansfaceError(
            f"{sensitive} sensitive frames are too few; give {MIN_SENSITIVE} or more of the face, or of "
            "what else is to be hidden."
        )


def _check_each_once(frames: Sequence[Frame]) -> None:
    """One photograph by two names could be sensitive by the one and leave in colour by the other."""
    seen: dict[tuple[object, ...], Frame] = {}
    for frame in frames:
        try:
            file = frame.image.stat()
        except OSError:
            continue  # reading it will say so
        known = seen.setdefault((file.st_dev, file.st_ino, frame.video_frame), frame)
        if known is not frame:
            raise SansfaceError(
                f"{known.image} and {frame.image} are one photograph; remove one of the two frames."
            )


def _reduced(frame: Frame, settings: ProtectSettings, sigma: Operator) -> _Small:
    colour, coverage = read_codes(frame)
    try:
        reduced = reduce(colour, coverage, frame.camera, settings.resolution)
    except SansfaceError as error:
        raise SansfaceError(f"the photograph {frame.image} cannot be reduced: {error}.") from error
    mask = mask_codes(reduced)
    if frame.role is Role.NEUTRAL:
        return _Small(reduced.camera, mask, neutral_codes(reduced, settings.bits), None, None)
    if settings.share is not Share.MODULUS:
        nothing = np.zeros(mask.shape, dtype=np.float32)
        return _Small(reduced.camera, mask, None, nothing, nothing > 0)
    values, shared = modulus(reduced, sigma)
    if not shared.any():
        raise SansfaceError(
            f"the photograph {frame.image} is all outline at {settings.resolution} pixels, so nothing of it "
            "can be shared; correct its mask, raise the resolution, blur less or leave it out."
        )
    return _Small(reduced.camera, mask, None, values, shared)


def _disturbed(frame: _Small, settings: ProtectSettings, rng: np.random.Generator) -> _Small:
    if frame.sigma is None or frame.shared is None:
        return frame
    values = disturbed(frame.sigma, settings.noise, settings.gain, rng)
    return replace(frame, sigma=np.where(frame.shared, values, np.float32(0)))


def _sphere(capture: Capture, settings: ProtectSettings, small: Sequence[_Small]) -> Sphere:
    """What the user says, else what the capture says, else the masks' visual hull, else the cameras.

    Of a sensitive photograph whose outline stays, not even the sphere may tell: then neither the hull nor
    what the capture found by all masks.
    """
    given = capture.sphere
    if given is not None and settings.share is Share.CAMERA and given.source != "given":
        given = None
    if given is None and (settings.center is None or settings.radius is None):
        cameras = [frame.camera for frame in small]
        told = [frame for frame in small if settings.share is not Share.CAMERA or frame.codes is not None]
        hull = sphere_from_masks([frame.camera for frame in told], [frame.mask for frame in told])
        given = hull or sphere_from_cameras(cameras)
    if settings.center is None and settings.radius is None and given is not None:
        return given
    center = settings.center if settings.center is not None or given is None else given.center
    radius = settings.radius if settings.radius is not None or given is None else given.radius
    return Sphere(np.array(center, dtype=np.float64), radius, "given")  # type: ignore[arg-type]


def _check_outside(frames: Sequence[Frame], small: Sequence[_Small], sphere: Sphere) -> None:
    distances = [float(np.linalg.norm(one.camera.center - sphere.center)) for one in small]
    for frame, distance in zip(frames, distances, strict=True):
        if not distance > sphere.radius:
            raise SansfaceError(
                f"the camera of {frame.image} is inside the bounding sphere ({distance:.4g} from its center, "
                f"radius {sphere.radius:.4g}); correct the pose, or give a smaller radius."
            )
    seeing = sum(_sees(one.camera, sphere) for one in small)
    if seeing < len(small) / 2:
        raise SansfaceError(
            f"only {seeing} of {len(small)} cameras see anything of the bounding sphere; correct its center "
            "and radius, or the poses."
        )
    for frame, one, distance in zip(frames, small, distances, strict=True):
        if 2 * np.diag(one.camera.K)[:2].max() * sphere.radius < distance:
            raise SansfaceError(
                f"the camera of {frame.image} is so far away ({distance:.4g}, the bounding sphere's radius "
                f"is {sphere.radius:.4g}) that the subject is less than a pixel wide; correct the pose."
            )


def _sees(camera: Camera, sphere: Sphere) -> bool:
    """May some of the sphere be in the picture? It is taken as the square around it."""
    (place,), (depth,) = camera.project(sphere.center[None])
    if depth <= 0:
        return bool(depth > -sphere.radius)
    size = np.array([camera.width, camera.height])
    reach = np.diag(camera.K)[:2] * sphere.radius / depth
    return bool((np.maximum(-place, place - size) <= reach).all())


def _finished(
    frame: Frame, one: _Small, sphere: Sphere, scale: float, settings: ProtectSettings, sigma: Operator
) -> BundleFrame:
    mask = one.mask if settings.share_masks else None
    try:
        camera = one.camera.normalized(sphere.center, sphere.radius)
        if one.sigma is None or one.shared is None:
            return BundleFrame(camera, frame.role, one.codes, mask, bits=settings.bits)  # type: ignore[arg-type]
        if settings.share is Share.CAMERA:
            mask = None
        codes = sensitive_codes(one.sigma, one.shared, scale, settings.bits)
        return BundleFrame(camera, frame.role, codes, mask, scale, settings.bits, sigma.reach)
    except BundleError as error:
        raise SansfaceError(f"the photograph {frame.image} cannot go into a bundle: {error}") from error
