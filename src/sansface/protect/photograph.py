"""A photograph of a capture with its mask, as the file stores them.

EXIF orientation is not applied, because intrinsics belong to the stored pixels.
"""

from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Camera, Frame
from sansface.errors import SansfaceError
from sansface.photographs.decode import decode

ROUNDING = 5 / 255
"""Coverage this close to 0 or 1 is that: mattes and JPEG masks seldom reach the ends exactly."""


def read_codes(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Decode a photograph and its coverage, from the mask file or else from the picture's own alpha.

    Returns:
        (h, w, 3) uint8 or uint16 sRGB, not premultiplied, and
        (h, w) uint8 or uint16 coverage, 0 = background, the type's largest value = subject.

    Raises:
        SansfaceError: naming the file: missing, unreadable, cut short, of another size than the intrinsics,
            not of 8 or 16 bits; no mask, or one that is empty or covers the whole picture.
    """
    colour, alpha = _colour_codes(frame)
    if frame.mask is not None:
        source, coverage = frame.mask, _read_mask(frame.mask, frame.camera)
    elif alpha is not None:
        source, coverage = frame.image, alpha
    else:
        raise SansfaceError(
            f"the {frame.role} photograph {frame.image} has no mask, so its background cannot be removed; "
            "add a mask_path, or an alpha channel."
        )
    most = np.iinfo(coverage.dtype).max
    coverage = np.where(coverage <= ROUNDING * most, coverage.dtype.type(0), coverage)
    coverage[coverage >= (1 - ROUNDING) * most] = most
    if coverage.max() < most / 2:
        raise SansfaceError(f"the mask of {source} is empty; draw the subject in white (255) on black.")
    if coverage.min() == most:
        raise SansfaceError(
            f"the mask of {source} is white all over; draw the background in black to remove it."
        )
    return colour, coverage


def read_photograph(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """The same as `read_codes` in fractions of one, which take four times the memory.

    Returns:
        (h, w, 3) float32 sRGB in [0, 1], not premultiplied, and
        (h, w) float32 coverage in [0, 1], 1 = subject.

    Raises:
        SansfaceError: as `read_codes` does.
    """
    colour, coverage = read_codes(frame)
    return fractions(colour), fractions(coverage)


def read_colour(frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode a photograph alone.

    Returns:
        (h, w, 3) float32 sRGB in [0, 1], not premultiplied, and
        (h, w) float32 alpha, None where there is none or it is the same all over.

    Raises:
        SansfaceError: naming the file: missing, unreadable, cut short, of another size than the intrinsics,
            not of 8 or 16 bits.
    """
    colour, alpha = _colour_codes(frame)
    return fractions(colour), None if alpha is None else fractions(alpha)


def fractions(codes: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] of uint8 or uint16 codes; float32 stays as it is."""
    if codes.dtype == np.float32:
        return codes
    return codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)


def _colour_codes(frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
    if frame.video_frame is None:
        pixels = decode(frame.image, "photograph", upright=False)
    else:
        pixels = _decode_video(frame.image, frame.video_frame)
    _check_size(pixels, frame.camera, frame.image, "photograph")
    colour = pixels[:, :, :3][:, :, ::-1] if pixels.shape[2] > 1 else np.repeat(pixels, 3, axis=2)
    alpha = pixels[:, :, 3] if pixels.shape[2] == 4 else None
    return colour, alpha if alpha is not None and alpha.min() != alpha.max() else None


def _read_mask(path: Path, camera: Camera) -> np.ndarray:
    pixels = decode(path, "mask", upright=False)
    _check_size(pixels, camera, path, "mask")
    first = pixels[:, :, 0]
    if pixels.shape[2] >= 3 and (pixels[:, :, :3] != first[:, :, None]).any():
        raise SansfaceError(f"the mask {path} is coloured; save it as one grey channel, 255 = subject.")
    if pixels.shape[2] == 4 and pixels[:, :, 3].min() < np.iinfo(pixels.dtype).max:
        raise SansfaceError(
            f"the mask {path} is partly transparent; save it as one grey channel, 255 = subject."
        )
    return first


def _decode_video(path: Path, number: int) -> np.ndarray:
    """(h, w, 3) uint8 BGR of one frame of a video, counted from 0; nothing is written."""
    if not path.is_file():
        raise SansfaceError(f"the video {path} is missing; correct the path in the capture.")
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        for _ in range(number):  # a seek may land beside the frame; so every one before it is passed over
            if not video.grab():
                break
        found, pixels = video.read()
    except cv2.error:
        found, pixels = False, None
    finally:
        video.release()
    if not found or pixels is None:
        raise SansfaceError(
            f"the video {path} has no frame {number} that can be decoded; choose another moment."
        )
    return pixels


def _check_size(pixels: np.ndarray, camera: Camera, path: Path, kind: str) -> None:
    height, width = pixels.shape[:2]
    if (width, height) == (camera.width, camera.height):
        return
    hint = "resize neither by hand; give the intrinsics of this very file"
    if (height, width) == (camera.width, camera.height):
        hint = "it lies on its side, perhaps by its EXIF orientation; rotate its pixels and drop the tag"
    raise SansfaceError(
        f"the {kind} {path} is {width} x {height}, but its intrinsics are for "
        f"{camera.width} x {camera.height}; {hint}."
    )
