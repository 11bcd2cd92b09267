"""The only place that decodes a photograph or a mask.

Pixels are taken as the file stores them: EXIF orientation is not applied, because intrinsics belong to the
stored pixels. Nothing but pixels is kept; EXIF, names and thumbnails end here.
"""

from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Camera, Frame
from sansface.errors import SansfaceError
from sansface.files import os_error_sentence

ROUNDING = 5 / 255
"""Coverage this close to 0 or 1 is that: mattes and JPEG masks seldom reach the ends exactly."""


def read_photograph(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Decode a photograph and its coverage, from the mask file or else from the picture's own alpha.

    Returns:
        (h, w, 3) float32 sRGB in [0, 1], not premultiplied, and
        (h, w) float32 coverage in [0, 1], 1 = subject.

    Raises:
        SansfaceError: naming the file: missing, unreadable, cut short, of another size than the intrinsics,
            not of 8 or 16 bits; no mask, or one that is empty or covers the whole picture.
    """
    colour, alpha = read_colour(frame)
    if frame.mask is not None:
        source, coverage = frame.mask, _read_mask(frame.mask, frame.camera)
    elif alpha is not None:
        source, coverage = frame.image, alpha
    else:
        raise SansfaceError(
            f"the {frame.role} photograph {frame.image} has no mask, so its background cannot be removed; "
            "add a mask_path, or an alpha channel."
        )
    coverage = np.where(coverage <= ROUNDING, 0, np.where(coverage >= 1 - ROUNDING, 1, coverage))
    if not (coverage >= 0.5).any():
        raise SansfaceError(f"the mask of {source} is empty; draw the subject in white (255) on black.")
    if (coverage == 1).all():
        raise SansfaceError(
            f"the mask of {source} is white all over; draw the background in black to remove it."
        )
    return colour, coverage.astype(np.float32)


def read_colour(frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode a photograph alone.

    Returns:
        (h, w, 3) float32 sRGB in [0, 1], not premultiplied, and
        (h, w) float32 alpha, None where there is none or it is the same all over.

    Raises:
        SansfaceError: naming the file: missing, unreadable, cut short, of another size than the intrinsics,
            not of 8 or 16 bits.
    """
    if frame.video_frame is None:
        pixels = _decode(frame.image, "photograph")
    else:
        pixels = _decode_video(frame.image, frame.video_frame)
    _check_size(pixels, frame.camera, frame.image, "photograph")
    colour = pixels[:, :, :3][:, :, ::-1] if pixels.shape[2] > 1 else np.repeat(pixels, 3, axis=2)
    alpha = pixels[:, :, 3] if pixels.shape[2] == 4 else None
    return colour, alpha if alpha is not None and alpha.min() != alpha.max() else None


def _read_mask(path: Path, camera: Camera) -> np.ndarray:
    pixels = _decode(path, "mask")
    _check_size(pixels, camera, path, "mask")
    first = pixels[:, :, 0]
    if pixels.shape[2] >= 3 and (pixels[:, :, :3] != first[:, :, None]).any():
        raise SansfaceError(f"the mask {path} is coloured; save it as one grey channel, 255 = subject.")
    if pixels.shape[2] == 4 and pixels[:, :, 3].min() < 1:
        raise SansfaceError(
            f"the mask {path} is partly transparent; save it as one grey channel, 255 = subject."
        )
    return first


def _decode(path: Path, kind: str) -> np.ndarray:
    """(h, w, c) float32 in [0, 1] with c of 1, 3 (BGR) or 4 (BGRA)."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SansfaceError(f"the {kind} {path} is missing; correct the path in the capture.") from error
    except OSError as error:
        raise SansfaceError(os_error_sentence(f"read the {kind}", path, error)) from error
    if _cut_short(data):
        raise SansfaceError(f"the {kind} {path} is cut short; copy it again from where it came.")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise SansfaceError(f"the {kind} {path} cannot be decoded; save it again as PNG or JPEG.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise SansfaceError(f"the {kind} {path} is of {pixels.dtype}; save it with 8 or 16 bits a channel.")
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] not in (1, 3, 4):
        raise SansfaceError(
            f"the {kind} {path} has {pixels.shape[2]} channels; save it as grey, RGB or RGBA."
        )
    return pixels.astype(np.float32) / np.float32(255 if pixels.dtype == np.uint8 else 65535)


def _decode_video(path: Path, number: int) -> np.ndarray:
    """(h, w, 3) float32 BGR in [0, 1] of one frame of a video, counted from 0; nothing is written."""
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
    return pixels.astype(np.float32) / np.float32(255)


def _cut_short(data: bytes) -> bool:
    """True for a PNG or JPEG without its end: some decoders fill the rest with grey and say nothing."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    if not data.startswith(b"\xff\xd8"):
        return False
    position = 2
    while (
        position + 4 <= len(data) and data[position : position + 2] != b"\xff\xda"
    ):  # segments up to the scan
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return b"\xff\xd9" not in data[position:]


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
