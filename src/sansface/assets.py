"""Files of others that the package uses but does not hold: where each comes from, its checksum, its licence.

They lie in the user's cache after `sansface assets pull`, or in the folder that `SANSFACE_ASSETS` names: a
mirror with the same relative paths, beside which nothing is downloaded. A file is used only if its SHA-256 is
the one that stands here.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.files import os_error_sentence

MIRROR = "SANSFACE_ASSETS"
"""The environment variable that names a folder with these files."""

_GOOGLE = "https://storage.googleapis.com/mediapipe-assets/"
_OPENCV = "https://media.githubusercontent.com/media/opencv/opencv_zoo/47534e27c9851bb1128ccc0102f1145e27f23f98/models/"


@dataclass(frozen=True)
class Asset:
    """One file of somebody else's.

    Attributes:
        path: relative to the cache or the mirror, with slashes.
        sha256: of the file, in hexadecimal.
        licence: its own.
        purpose: what the package does with it.
        converted: SHA-256 of the file that `sansface assets convert` makes, whose contents are the same;
            None where there is no conversion.
        address: where the very file lies, pinned to a commit or to an object's generation; None where no
            such address is known for certain.
        by_hand: where to look for it otherwise.
    """

    path: str
    sha256: str
    licence: str
    purpose: str
    address: str | None = None
    by_hand: str = ""
    converted: str | None = None

    @property
    def checksums(self) -> tuple[str, ...]:
        """All SHA-256 by which the file is known."""
        return (self.sha256,) if self.converted is None else (self.sha256, self.converted)


# MediaPipe's addresses, generations and checksums stand in third_party/external_files.bzl of
# google-ai-edge/mediapipe; YuNet's checksum is the one of its LFS pointer in opencv/opencv_zoo.
ASSETS: dict[str, Asset] = {
    "yunet": Asset(
        "weights/face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "MIT",
        "finds faces and five landmarks",
        _OPENCV + "face_detection_yunet/face_detection_yunet_2023mar.onnx",
    ),
    "face-short-range": Asset(
        "weights/mediapipe/face_detection_short_range.tflite",
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
        "Apache-2.0",
        "finds large faces",
        _GOOGLE + "face_detection_short_range.tflite?generation=1661875748538815",
    ),
    "face-landmarks": Asset(
        "weights/mediapipe/face_landmark_b.tflite",
        "c603fa6149219a3e9487dc9abd7a0c24474c77263273d24868378cdf40aa26d1",
        "Apache-2.0",
        "468 landmarks, and whether there is a face",
        _GOOGLE + "face_landmark.tflite?generation=1662063817995673",
    ),
    "person": Asset(
        "weights/mediapipe/selfie_segmentation.tflite",
        "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
        "Apache-2.0",
        "draws masks",
        _GOOGLE + "selfie_segmentation.tflite?generation=1661875931201364",
    ),
    "hair": Asset(
        "weights/mediapipe/hair_segmentation.tflite",
        "d2c940c4fd80edeaf38f5d7387d1b4235ee320ed120080df67c663e749e77633",
        "Apache-2.0",
        "finds hair",
        _GOOGLE + "hair_segmentation.tflite?generation=1661875756623461",
    ),
    "litert-web": Asset(
        "web/litertjs-core-2.5.3.tgz",
        "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
        "Apache-2.0",
        "runs masks and faces in the page",
        "https://registry.npmjs.org/@litertjs/core/-/core-2.5.3.tgz",
    ),
    "edgeface": Asset(
        "weights/edgeface_xs_deq_112.onnx",
        "94dd19d3097564396517049104c3565a694cc7c303b1826840fb292b090edc5b",
        "code BSD-3, weights for research",
        "recognises faces, to audit",
        by_hand="an ONNX export of EdgeFace XS, whose weights are at github.com/otroshi/edgeface",
    ),
    "mobilefacenet": Asset(
        "weights/mobilefacenet_insightface_112.onnx",
        "c9153412c52b236b579d84300932c44cfe93c04c6dbee23dc70d793b4fd7cf4f",
        "research only",
        "recognises faces, to audit",
        by_hand="an ONNX export of InsightFace's MobileFaceNet, see github.com/deepinsight/insightface",
    ),
    "ict": Asset(
        "ict/ict.npz",
        "fba6e962fb08f7f3fa8b05f64d83114d194e19755caee915d6dab26987b8a237",
        "MIT",
        "a parametric head",
        by_hand="`sansface assets convert ict FOLDER` makes it of a clone of github.com/ICT-VGL/ICT-FaceKit",
        converted="4a39e3735dd1fd0dd0709d970952e3e4bba017a9518656dc7cae15c3d5348b2e",
    ),
}
"""Every file, by the name under which `sansface assets` knows it."""

FACES = ("yunet", "face-short-range", "face-landmarks")
"""What must be there before a photograph may be called neutral."""
CLIENT = (*FACES, "person")
"""What the extra `faces` needs on a device."""
PAGE = ("person", "face-short-range", "face-landmarks", "litert-web")
"""What the service gives its page, to draw masks and find faces on the user's device."""


def folder() -> Path:
    """The mirror if one is named, else the cache of this user.

    Raises:
        SansfaceError: no mirror is named and pooch, which knows the cache's place, is not installed.
    """
    mirror = os.environ.get(MIRROR)
    return Path(mirror) if mirror else Path(require("pooch", extra="faces").os_cache("sansface"))


def state(name: str) -> str:
    """`here`, `missing` or `changed` (there is a file, of another checksum).

    Raises:
        SansfaceError: no asset has that name, or the file cannot be read.
    """
    path = folder() / _asset(name).path
    if not path.exists():
        return "missing"
    try:
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() in _asset(name).checksums
    except OSError as error:
        raise SansfaceError(os_error_sentence("read", path, error)) from error
    return "here" if same else "changed"


def find(name: str) -> Path:
    """The file of an asset on this device. Downloads nothing.

    Raises:
        SansfaceError: it is not here, or its checksum is another.
    """
    asset, found = _asset(name), state(name)
    path = folder() / asset.path
    if found == "missing":
        pulled = asset.address is not None and not os.environ.get(MIRROR)
        remedy = f"get it by `sansface assets pull {name}`" if pulled else "put it there"
        where = asset.address or f"no known address: {asset.by_hand}"
        raise SansfaceError(f"{path} is missing ({asset.licence}; {where}); {remedy}.")
    if found == "changed":
        raise SansfaceError(
            f"{path} has another SHA-256 than this version's {name}; remove it, then run "
            f"`sansface assets pull {name}`."
        )
    return path


def pull(name: str) -> Path:
    """The file of an asset, downloaded into the cache if it is not here.

    Raises:
        SansfaceError: it has no known address, the download failed or brought another file, the place cannot
            be written; or a mirror is named and does not hold it.
    """
    asset, found = _asset(name), state(name)
    path = folder() / asset.path
    if found == "here":
        return path
    if os.environ.get(MIRROR) or asset.address is None:
        why = (
            f"the mirror {folder()} does not hold it"
            if asset.address
            else "no address of this very file is known"
        )
        source = asset.address or asset.by_hand
        raise SansfaceError(
            f"{name} is not downloaded, for {why}; put the file of SHA-256 {asset.sha256} at {path} yourself "
            f"({source})."
        )
    pooch = require("pooch", extra="faces")
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(asset.address, f"sha256:{asset.sha256}", fname=path.name, path=path.parent)
    except ValueError as error:  # pooch's word for another checksum; it keeps nothing of the file
        raise SansfaceError(
            f"{asset.address} gave another file than expected (SHA-256); try again, or put {name} at {path} "
            "yourself."
        ) from error
    except OSError as error:  # requests' errors are of this kind, too
        raise SansfaceError(
            f"{name} cannot be downloaded from {asset.address} to {path} ({type(error).__name__}); try "
            "again, or put the file there yourself."
        ) from error
    return path


def describe(names: Sequence[str]) -> str:
    """For the screen: name, state, licence and purpose of each; below them its path, checksum and address."""
    lines = [f"in {folder()}:"]
    for name in names:
        asset = _asset(name)
        lines.append(f"{name:<17} {state(name):<8} {asset.licence}; {asset.purpose}")
        lines += [f"  {asset.path}", f"  SHA-256 {asset.sha256}"]
        lines.append(f"  {asset.address or f'no known address: {asset.by_hand}'}")
    return "\n".join(lines)


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        raise SansfaceError(f"there is no asset {name!r}; choose of {', '.join(ASSETS)}.")
    return ASSETS[name]
