"""What of a picture is a person, and masks for a whole capture."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Capture, Frame
from sansface.errors import SansfaceError
from sansface.faces.labels import annotate, has_transforms
from sansface.faces.tflite import Network
from sansface.files import written_beside
from sansface.protect.photograph import read_colour, read_photograph

INPUT = 256
"""Pixels of the network's input."""
REFINED = 512
"""Longer side in pixels at which the outline is made to follow the colours."""
CERTAIN = 0.05
"""Probabilities this close to 0 or 1 are not refined."""


def person_mask(picture: np.ndarray, network: Network | None = None) -> np.ndarray:
    """Where a person is, by MediaPipe's selfie segmentation, its outline refined by GrabCut.

    GrabCut: Rother, Kolmogorov and Blake 2004, started from the network's probabilities.

    Args:
        picture: (h, w, 3) uint8 sRGB.
        network: the loaded asset `person`, to save time.

    Returns:
        (h, w) uint8, 255 = person, 0 = not; all of one value if the network sees nobody, or nothing else.

    Raises:
        SansfaceError: the model is not on this device, or the extra `faces` is not installed.
    """
    network = network or Network("person")
    height, width = picture.shape[:2]
    (probability,) = network(cv2.resize(picture, (INPUT, INPUT), interpolation=cv2.INTER_AREA) / 255.0)
    scale = min(1.0, REFINED / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    probability = cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR)
    person = _refined(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), probability)
    soft = cv2.resize(person.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(soft > 0.5, 255, 0).astype(np.uint8)


def _refined(picture: np.ndarray, probability: np.ndarray) -> np.ndarray:
    labels = np.where(probability > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[probability > 1 - CERTAIN] = cv2.GC_FGD
    labels[probability < CERTAIN] = cv2.GC_BGD
    if not ((labels == cv2.GC_FGD).any() and (labels == cv2.GC_BGD).any()):
        return probability > 0.5
    cv2.setRNGSeed(0)  # its colour models start from random clusters; the same picture gives the same mask
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, labels, None, *models, 2, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def make_masks(
    capture: Capture,
    folder: Path,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Give every photograph of a capture a mask, in its folder `masks/`, and name it in its transforms.json.

    A mask that is there is kept, for a hand may have drawn it; else the picture's alpha becomes the mask;
    else the person in it. Masks are named as COLMAP names them: `masks/012.jpg.png`, and where pictures of
    several folders would share one, with their folders: `masks/front/012.jpg.png`.

    Args:
        capture: as read from `folder`.
        overwrite: draw masks anew where there are some.
        progress: called with (frames done, frames in all).

    Returns:
        How many masks were `kept`, made `from alpha`, and made `from the model`.

    Raises:
        SansfaceError: a photograph cannot be read or is a video's; a mask covers nothing or everything; two
            photographs would share one that is to be made, or one would take a photograph's place or lie
            outside the capture's folder; the model is needed and not here. Masks made so far stay.
    """
    counts = {"kept": 0, "from alpha": 0, "from the model": 0}
    network: Network | None = None
    named: dict[Path, Path] = {}
    made: dict[Path, Path] = {}
    photographs = {frame.image.resolve() for frame in capture.frames}
    for done, (frame, path) in enumerate(zip(capture.frames, _places(capture, folder), strict=True), start=1):
        if frame.video_frame is not None:
            raise SansfaceError(
                f"{frame.image} is a video, for whose frames no masks can be made; save them first."
            )
        if path in made:
            raise SansfaceError(
                f"{frame.image} and {made[path]} would both have the mask {path}; give one of them another "
                "name, or a mask of its own."
            )
        if path.exists() and not overwrite:
            read_photograph(Frame(frame.camera, frame.role, frame.image, path))  # says what is wrong with it
            counts["kept"] += 1
        else:
            _check_place(path, folder, photographs)
            picture, alpha = read_colour(frame)
            if alpha is not None:
                mask, source = np.rint(alpha * 255).astype(np.uint8), "from alpha"
            else:
                network = network or Network("person")
                mask, source = person_mask(np.rint(picture * 255).astype(np.uint8), network), "from the model"
            _check_some(mask, frame.image, source)
            _write(mask, path)
            made[path] = frame.image
            counts[source] += 1
        named[frame.image] = path
        if progress is not None:
            progress(done, len(capture.frames))
    if has_transforms(folder):  # other formats find masks by place and name
        annotate(
            folder, "mask_path", {image: _below(path, folder).as_posix() for image, path in named.items()}
        )
    return counts


def _places(capture: Capture, folder: Path) -> list[Path]:
    """Each frame's mask: its own, else in `masks/` the picture's path below its own folder of pictures, and
    `.png`; the path below the capture's folder where that would not tell two pictures apart.
    """
    images = [_below(frame.image, folder) for frame in capture.frames]
    images = [Path(image.name) if image.is_absolute() else image for image in images]
    short = [Path(*image.parts[1:]) if len(image.parts) > 1 else image for image in images]
    often = Counter(short)
    names = [brief if often[brief] == 1 else image for image, brief in zip(images, short, strict=True)]
    places = [folder / "masks" / name.with_name(f"{name.name}.png") for name in names]
    return [(one.mask or place).absolute() for one, place in zip(capture.frames, places, strict=True)]


def _below(path: Path, folder: Path) -> Path:
    """The path seen from the folder, where it lies in it."""
    path, folder = path.absolute(), folder.absolute()
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _check_place(path: Path, folder: Path, photographs: set[Path]) -> None:
    """A capture says where its masks are, and may be somebody else's: no other file is written."""
    place = path.resolve()
    if place in photographs:
        raise SansfaceError(f"the mask {path} would take the place of a photograph; correct mask_path.")
    if not place.is_relative_to(folder.resolve()):
        raise SansfaceError(f"the mask {path} would lie outside the capture's folder; correct mask_path.")


def _check_some(mask: np.ndarray, image: Path, source: str) -> None:
    share = (mask > 127).mean()
    if 0 < share < 1:
        return
    what = "nothing" if share == 0 else "the whole picture"
    raise SansfaceError(
        f"the mask {source} of {image} covers {what}; draw one by hand (255 = subject), or leave the "
        "photograph out."
    )


def _write(mask: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as part:
        part.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
