"""What a bundle holds, and the rules that it obeys.

A `Bundle` that breaks a rule cannot be constructed, so whoever writes one and whoever reads one obey the
same rules. Cameras are in the unit-sphere frame, x_world = center + radius · x_norm, already scaled to the
pictures' size.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sansface.capture import UNITS, Camera, Role
from sansface.errors import SansfaceError
from sansface.protect.operators import Operator, operator_from_parameters

SCHEMAS = (1, 2, 3)
"""Versions of the manifest. The second can say more bits, operators and strengths; the third that of the
sensitive photographs σ does not leave."""
FIRST_OPERATORS = ("sobel", "scharr", "prewitt", "central")
"""What the first version knows, without blur."""
MAX_FRAMES = 500
MAX_RESOLUTION = 1024
MAX_SCALE = 2.0
"""σ of values in [0, 1] never exceeds √3; what noise adds is cut off here."""
SCALE_STEPS = 256
"""`scale` is a whole number of 1/256."""
MAX_BITS = 16
MAX_NOISE = 1.0
"""Largest standard deviation of the noise on σ."""
MAX_DISTANCE = 1000.0
"""A camera's largest distance from the sphere's center, in radii."""
MAX_FOCAL = 1e6
"""Largest focal length and principal point, in pixels."""
MAX_WORLD = 1e9
"""Largest coordinate of the sphere's center, and largest radius, in the world's unit."""
SOURCES = ("masks", "cameras", "given")


class Share(StrEnum):
    """What leaves of a sensitive photograph, besides its camera."""

    MODULUS = "modulus"  # σ, and its mask where masks are shared
    OUTLINE = "outline"  # its mask alone
    CAMERA = "camera"  # nothing


class BundleError(SansfaceError):
    """A bundle that breaks a rule: one sentence."""


@dataclass(frozen=True, eq=False)
class BundleFrame:
    """One picture as it leaves the client.

    Attributes:
        camera: in the unit-sphere frame, of the picture's size, undistorted, its centre outside the sphere.
        role: neutral pictures keep their colours, sensitive ones only σ.
        image: neutral: (h, w, 3) uint8 or uint16, sRGB premultiplied by coverage, code / max in [0, 1].
            sensitive: (h, w) of the same dtype, σ; code 0 = withheld, else (code − 1) / (levels − 1) · scale.
        mask: (h, w) uint8 coverage, 255 = wholly subject, or None where the user keeps it.
        scale: the modulus that the largest code of a sensitive picture says; 1 for a neutral one.
        bits: of σ; the arrays are uint8 up to 8, else uint16.
        reach: of σ, in pixels: a sensitive picture is withheld where the mask's outline is so near.

    Raises:
        BundleError: three channels on a sensitive frame, colour outside the mask, a value at the outline or
            beyond the levels, wrong dtypes or sizes, an invalid camera.
    """

    camera: Camera
    role: Role
    image: np.ndarray
    mask: np.ndarray | None = None
    scale: float = 1.0
    bits: int = 8
    reach: int = 1

    def __post_init__(self) -> None:
        shape = (self.camera.height, self.camera.width)
        if not 1 <= self.bits <= MAX_BITS:
            raise BundleError(f"{self.bits!r} bits are not 1 to {MAX_BITS}; choose another number.")
        if self.image.dtype != word(self.bits):
            raise BundleError(
                f"a picture is of {self.image.dtype}, unlike the declared {self.bits} bits; protect again."
            )
        if not isinstance(self.role, Role):
            raise BundleError(f"the role {self.role!r} is neither neutral nor sensitive; protect again.")
        if self.role is Role.SENSITIVE and self.image.ndim != 2:
            raise BundleError("a sensitive frame has more than one channel; only sigma may leave the client.")
        if self.image.shape != (shape if self.role is Role.SENSITIVE else (*shape, 3)):
            raise BundleError(
                f"a {self.role} picture of shape {self.image.shape} is unlike its camera; protect again."
            )
        if self.mask is not None and (self.mask.dtype != np.uint8 or self.mask.shape != shape):
            raise BundleError("a mask is not of 8 bits or not of its picture's size; protect again.")
        self._check_camera()
        if self.role is Role.SENSITIVE:
            self._check_sensitive()
        else:
            self._check_neutral()

    def values(self) -> np.ndarray:
        """What the codes say.

        Returns:
            Neutral: (h, w, 3) float32, premultiplied sRGB in [0, 1].
            Sensitive: (h, w) float32 σ, 0 where withheld.
        """
        codes = self.image.astype(np.float32)
        if self.role is Role.NEUTRAL:
            return codes / np.float32(np.iinfo(self.image.dtype).max)
        return np.maximum(codes - 1, 0) / np.float32(levels(self.bits) - 1) * np.float32(self.scale)

    def shared(self) -> np.ndarray:
        """(h, w) bool: where the picture says something; False at a sensitive one's outline and beyond."""
        if self.role is Role.SENSITIVE:
            return self.image != 0
        return np.ones(self.image.shape[:2], dtype=bool)

    def _check_camera(self) -> None:
        if self.camera.distortion.any():
            raise BundleError("a camera has distortion, and pictures leave undistorted; protect again.")
        K = self.camera.K
        if np.abs(K).max() > MAX_FOCAL or min(K[0, 0], K[1, 1]) < 1.0:
            raise BundleError(
                "a camera's intrinsics are out of all proportion; correct the capture's intrinsics."
            )
        if np.abs(self.camera.cam_from_world[:3, 3]).max() > MAX_DISTANCE:
            raise BundleError("a camera is over 1,000 radii away; correct the capture's poses or the radius.")
        if not np.linalg.norm(self.camera.center) > 1.0:
            raise BundleError("a camera is inside the unit sphere; give a smaller radius and protect again.")

    def _check_sensitive(self) -> None:
        steps = self.scale * SCALE_STEPS
        if not 1 <= steps <= MAX_SCALE * SCALE_STEPS or steps != int(steps):
            raise BundleError(
                f"the scale {self.scale!r} is not a multiple of 1/256 up to {MAX_SCALE:g}; protect again."
            )
        shared = self.shared()
        if self.image.max() > levels(self.bits):
            raise BundleError(
                f"a sensitive picture has values that {self.bits} bits cannot say; protect again."
            )
        if self.mask is not None and (shared & ~inside_outline(self.mask == 255, self.reach)).any():
            raise BundleError(
                "a sensitive picture has values at its outline, where they leak; protect again."
            )

    def _check_neutral(self) -> None:
        if self.scale != 1.0:
            raise BundleError("a neutral picture has a scale other than 1; protect again.")
        if self.mask is None:
            return
        # Colour is premultiplied, c <= coverage, so its code is at most what the mask's code can stand for.
        wide = self.mask.astype(np.int64)
        most = wide if self.image.dtype == np.uint8 else wide * 257 + 129
        if (self.image > most[..., None]).any():
            raise BundleError("a neutral picture has colour outside its mask; protect again.")


def inside_outline(whole: np.ndarray, reach: int) -> np.ndarray:
    """Pixels whose neighbourhood, borders repeated, is wholly subject: σ there never sees the outline.

    Args:
        whole: (h, w) bool, pixels that are subject all over.
        reach: of σ: the neighbourhood has 2 · reach + 1 rows and columns.
    """
    height, width = whole.shape
    padded = np.pad(whole, reach, mode="edge")
    rows = np.ones((height, width + 2 * reach), dtype=bool)
    result = np.ones_like(whole)
    for row in range(2 * reach + 1):
        rows &= padded[row : row + height]
    for column in range(2 * reach + 1):
        result &= rows[:, column : column + width]
    return result


def word(bits: int) -> type[np.uint8] | type[np.uint16]:
    """The unsigned integers that codes of so many bits are stored as; neutral pictures fill them."""
    return np.uint8 if bits <= 8 else np.uint16


def levels(bits: int) -> int:
    """How many values a sensitive picture tells apart, coded 1, 2, ...; code 0, withheld, comes on top.

    2^bits, less one where a word of 8 or 16 bits has no room for the code 0 beside them.
    """
    return min(2**bits, int(np.iinfo(word(bits)).max))


@dataclass(frozen=True, eq=False)
class Bundle:
    """What the server receives, and nothing more.

    Attributes:
        frames: at least one of them sensitive; with a mask each, or none with one, but for `Share.CAMERA`.
        resolution: pixels of every picture's longer side.
        operator: σ.
        bits: of σ, 1 to 16.
        scale: the largest modulus that a code can say; a multiple of 1/256.
        center, radius: x_world = center + radius · x_norm.
        unit: of the world, one of `sansface.capture.UNITS`.
        sphere_source: `masks`, `cameras` or `given`.
        noise: standard deviation of the Gaussian noise that was added to σ; 0 = none.
        gain: was each sensitive picture multiplied by a factor of its own? The factors are nowhere.
        share: what there is of sensitive photographs; σ is wholly withheld unless it is `Share.MODULUS`.

    Raises:
        BundleError: a rule is broken.
    """

    frames: tuple[BundleFrame, ...]
    resolution: int
    operator: Operator
    bits: int
    scale: float
    center: np.ndarray
    radius: float
    unit: str = "unknown"
    sphere_source: str = "given"
    noise: float = 0.0
    gain: bool = False
    share: Share = Share.MODULUS

    def __post_init__(self) -> None:
        center = np.array(self.center, dtype=np.float64)
        object.__setattr__(self, "center", center)
        if not 1 <= len(self.frames) <= MAX_FRAMES:
            raise BundleError(f"it has {len(self.frames)} frames, not 1 to {MAX_FRAMES}; choose photographs.")
        if not any(frame.role is Role.SENSITIVE for frame in self.frames):
            raise BundleError("it holds no sensitive frame, so nothing in it is protected; label the frames.")
        self._check_share()
        if not 1 <= self.resolution <= MAX_RESOLUTION:
            raise BundleError(
                f"the resolution {self.resolution} is not 1 to {MAX_RESOLUTION}; choose another."
            )
        if self.unit not in UNITS or self.sphere_source not in SOURCES:
            raise BundleError("its unit, or the source of its sphere, is not on our list; protect again.")
        if center.shape != (3,) or not np.abs(center).max() <= MAX_WORLD or not 0 < self.radius <= MAX_WORLD:
            raise BundleError("its sphere is not a finite center and a positive radius; give them again.")
        if not 0 <= self.noise <= MAX_NOISE:
            raise BundleError(f"the noise {self.noise!r} is not 0 to {MAX_NOISE:g}; choose less.")
        for frame in self.frames:
            width, height = frame.camera.width, frame.camera.height
            if frame.bits != self.bits:
                raise BundleError(
                    f"a picture is not of the {self.bits} bits that are declared; protect again."
                )
            if max(width, height) != self.resolution:
                raise BundleError(
                    f"a picture of {width} x {height} is unlike the declared resolution "
                    f"{self.resolution}; protect again."
                )
            if frame.role is Role.SENSITIVE and frame.scale != self.scale:
                raise BundleError("a sensitive picture's scale is unlike the bundle's; protect again.")
            if frame.role is Role.SENSITIVE and frame.reach != self.operator.reach:
                raise BundleError("a sensitive picture's reach is unlike its operator's; protect again.")
        operator_from_parameters(self.operator.parameters())

    def _check_share(self) -> None:
        if not isinstance(self.share, Share):
            raise BundleError(f"what it shares is none of {', '.join(Share)}; protect again.")
        sensitive = [frame for frame in self.frames if frame.role is Role.SENSITIVE]
        neutral = [frame for frame in self.frames if frame.role is Role.NEUTRAL]
        masked = neutral if self.share is Share.CAMERA else self.frames
        if len({frame.mask is None for frame in masked}) > 1:
            raise BundleError("some frames have a mask and some have none; share all masks or none.")
        if self.share is Share.MODULUS:
            if not all(frame.shared().any() for frame in sensitive):
                raise BundleError(
                    "a sensitive picture is wholly withheld; correct its mask or raise the resolution."
                )
            return
        if any(frame.shared().any() for frame in sensitive) or self.noise or self.gain or self.scale != 1:
            raise BundleError(
                f"of sensitive photographs it says to share the {self.share} and not σ, and there is some; "
                "protect again."
            )
        if self.share is Share.OUTLINE and self.frames[0].mask is None:
            raise BundleError("it says to share outlines, and has no masks; protect again.")
        if self.share is Share.CAMERA and any(frame.mask is not None for frame in sensitive):
            raise BundleError("it says to share no outline of a sensitive photograph; protect again.")
        if self.share is Share.CAMERA and not neutral:
            raise BundleError(
                "nothing of its sensitive photographs is shared, and there is no neutral one; share outlines."
            )

    @property
    def schema(self) -> int:
        """The first version of the manifest that can say all of it: so older readers read what they can."""
        if self.share is not Share.MODULUS:
            return 3
        plain = self.operator.name in FIRST_OPERATORS and self.operator.blur == 0
        return 1 if plain and self.bits in (8, 16) and self.noise == 0 and not self.gain else 2
