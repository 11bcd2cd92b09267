"""Recognisers in ONNX files, run by OpenCV."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from sansface import assets
from sansface.errors import SansfaceError
from sansface.faces.tflite import without_chatter
from sansface.files import os_error_sentence
from sansface.recognise.align import Placing
from sansface.recognise.protocol_buffers import fields, first, messages

BATCH = 8
"""Faces at a time: of 32, whose values leave the cache, each takes a quarter longer."""


def planes(faces: np.ndarray) -> np.ndarray:
    """(n, side, side, 3) as (n, 3, side, side): red, green, blue."""
    return faces.transpose(0, 3, 1, 2)


def backwards(faces: np.ndarray) -> np.ndarray:
    """(n, side, side, 3) with blue first."""
    return faces[..., ::-1]


class OnnxRecogniser:
    """A network that takes faces with value = (byte − mean) / scale, and gives (n, d).

    Args:
        weights: its file.
        name: for tables; the file's if None.
        mean, scale: of the input.
        placing: where the face must lie.
        order: of the input's values, `planes` or `backwards`.

    Raises:
        SansfaceError: the file is missing, is no ONNX that OpenCV can run, takes pictures of another size or
            gives no vectors.
    """

    def __init__(
        self,
        weights: Path,
        name: str | None = None,
        mean: float = 127.5,
        scale: float = 127.5,
        placing: Placing | None = None,
        order: Callable[[np.ndarray], np.ndarray] = planes,
    ) -> None:
        self.name, self.weights = name or weights.stem, weights
        self.placing = placing or Placing()
        self.mean, self.scale, self.order = mean, scale, order
        self.input = f"(byte - {float(mean)}) / {float(scale)}, {order.__name__}"
        data = _read(weights)
        self.digest = hashlib.sha256(data).hexdigest()
        nobody = np.zeros((1, self.placing.side, self.placing.side, 3), np.float32)
        _check_input(data, order(nobody).shape, weights)
        try:
            with without_chatter():
                self._network = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
            shape = self.embed(nobody).shape
        except cv2.error as error:
            raise SansfaceError(
                f"OpenCV cannot run {weights} ({error.err}); export the recogniser to ONNX again, for "
                f"pictures of {self.placing.side} pixels."
            ) from error
        if len(shape) != 2 or shape[0] != 1:
            raise SansfaceError(f"{weights} gives {shape}, not a vector for each face; give a recogniser.")

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """See `Recogniser`."""
        values = self.order(((255 * faces - self.mean) / self.scale).astype(np.float32))
        found = []
        for start in range(0, len(values), BATCH):
            self._network.setInput(np.ascontiguousarray(values[start : start + BATCH]))
            found.append(self._network.forward().copy())
        return np.concatenate(found)


def edgeface() -> OnnxRecogniser:
    """EdgeFace XS (George et al. 2023)."""
    return OnnxRecogniser(assets.find("edgeface"), "edgeface", mean=127.5, scale=127.5)


def mobilefacenet() -> OnnxRecogniser:
    """InsightFace's MobileFaceNet (Chen et al. 2018), which scales its input itself."""
    return OnnxRecogniser(assets.find("mobilefacenet"), "mobilefacenet", mean=0.0, scale=1.0)


SOURCE = "github.com/deepinsight/insightface, model zoo; weights for research that is not commercial"
"""Of InsightFace's weights."""


def insightface(weights: Path) -> OnnxRecogniser:
    """A recogniser of InsightFace's model packs, such as `w600k_r50.onnx`.

    Those that begin with a subtraction and a multiplication take bytes, the others (byte − 127.5) / 127.5.
    """
    if not weights.is_file():
        raise SansfaceError(f"{weights} is missing; get one ({SOURCE}), or correct the path.")
    try:
        own = {"Sub", "Mul"} <= set(operations(weights.read_bytes())[:8])
    except (OSError, ValueError, IndexError):
        own = False  # what is wrong is said below
    return OnnxRecogniser(weights, mean=0.0, scale=1.0) if own else OnnxRecogniser(weights)


DEEPFACE = "github.com/serengil/deepface_models; each network under its own licence"
"""Source of deepface's weights."""
BOX_EYES, BOX_ABOVE = 0.324, 0.088
"""Where a face lies in deepface's picture, which is a detector's box with black bars: the eyes' distance, and
how far it lies above the middle, in sides. Medians of YuNet's boxes of 109 photographs of LFW, by 0.0.103."""


def deepface(weights: Path) -> OnnxRecogniser:
    """A network of deepface's in ONNX, such as `arcface_weights.onnx`: values in [0, 1], of any square.

    Raises:
        SansfaceError: also where the square's size is not declared.
    """
    if not weights.is_file():
        raise SansfaceError(f"{weights} is missing; get one ({DEEPFACE}), or correct the path.")
    shape = _declared(_read(weights), weights)
    if len(shape) != 4 or shape[1] != shape[2] or not shape[1]:
        raise SansfaceError(
            f"{weights} takes an input of {_told(shape)}, not 1 × side × side × 3 as deepface's networks do; "
            "give another one, or say onnx:PATH."
        )
    side = shape[1]
    placing = Placing(side, BOX_EYES * side, (0.0, -BOX_ABOVE * side))
    return OnnxRecogniser(weights, mean=0.0, scale=255.0, placing=placing, order=backwards)


def operations(data: bytes) -> list[str]:
    """The kinds of an ONNX model's steps, in order: GraphProto.node = 1, NodeProto.op_type = 4.

    Raises:
        ValueError, IndexError: it is no such model.
    """
    return [bytes(first(step, 4)).decode() for step in messages(first(data, 7), 1)]


def _read(weights: Path) -> bytes:
    try:
        return weights.read_bytes()
    except OSError as error:
        raise SansfaceError(os_error_sentence("read the recogniser", weights, error)) from error


def _check_input(data: bytes, wanted: tuple[int, ...], weights: Path) -> None:
    """Refuse a network that declares another size: OpenCV runs some of them all the same."""
    shape = _declared(data, weights)
    if len(shape) != 4 or any(
        size not in (0, want) for size, want in zip(shape[1:], wanted[1:], strict=True)
    ):
        raise SansfaceError(
            f"{weights} takes an input of {_told(shape)}, not {_told(wanted)}; give weights of that size."
        )


def _declared(data: bytes, weights: Path) -> tuple[int, ...]:
    try:
        return declared_input(data)
    except (ValueError, IndexError) as error:
        raise SansfaceError(f"{weights} is no ONNX file that can be read; give another one.") from error


def _told(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size or "?") for size in shape)


def declared_input(data: bytes) -> tuple[int, ...]:
    """The shape of an ONNX model's first input that is no weight; 0 for a size that is open.

    Read by hand, for OpenCV does not tell it. Fields of onnx.proto3: ModelProto.graph 7, GraphProto.input 11
    and .initializer 5, TensorProto.name 8, ValueInfoProto.name 1 and .type 2, TypeProto.tensor_type 1,
    Tensor.shape 2, TensorShapeProto.dim 1, Dimension.dim_value 1.

    Raises:
        ValueError, IndexError: it is no such model.
    """
    graph = first(data, 7)
    weights = {bytes(first(tensor, 8)) for tensor in messages(graph, 5)}
    for one in messages(graph, 11):
        if bytes(first(one, 1)) in weights:
            continue
        sizes = []
        for dimension in messages(first(first(first(one, 2), 1), 2), 1):
            known = [f.value for f in fields(dimension) if f.number == 1 and isinstance(f.value, int)]
            sizes.append(known[0] if known else 0)
        return tuple(sizes)
    raise ValueError("no input")
