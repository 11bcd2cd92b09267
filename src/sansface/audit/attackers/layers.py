"""A recogniser's inner layers as descriptors: made for clear faces, they tell protected ones apart as well.

What the last layer says of a protected face is nearly worthless, for nobody taught it such pictures. What
lies in the middle of the network, the sums that end its residual blocks, describes edges and parts of any
picture, and a linear model learns from a protected gallery what of it counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from sansface.audit.attackers.descriptors import even
from sansface.errors import SansfaceError
from sansface.recognise.align import EYES, SIDE
from sansface.recognise.onnx import OnnxRecogniser, planes
from sansface.recognise.protocol_buffers import fields, first, messages, written
from sansface.recognise.recogniser import Recogniser

SMALLEST, LARGEST = 7, 14
"""Sides of the layers that are read: smaller ones say little of where, larger ones little but edges."""
CONTRAST = 0.2
"""Of the enlarged picture, whose values lie in [0, 1]: so much is one local deviation of √σ."""


def enlarged(pictures: np.ndarray, eyes: float, contrast: float = 6.0) -> np.ndarray:
    """Protected pictures as a recogniser of 112 pixels takes them: √σ, made even, the face as large as it
    knows it.

    Args:
        pictures: (n, h, w) float32 ≥ 0, faces placed by `align.cut`.
        eyes: pixels between the eyes.
        contrast: standard deviation within which contrast is made even, pixels.

    Returns:
        (n, 112, 112) float32 in [0, 1].
    """
    zoom = EYES / eyes
    centre = np.array(pictures.shape[:0:-1]) / 2
    # OpenCV's pixel centres are whole numbers.
    shift = SIDE / 2 - 0.5 - zoom * (centre - 0.5)
    fit = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    values = [
        cv2.warpAffine(one, fit, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for one in even(pictures, contrast)
    ]
    return np.clip(0.5 + CONTRAST * np.stack(values), 0, 1)


def signed_root(values: np.ndarray) -> np.ndarray:
    """Square roots of the absolute values, with their signs: large ones count less."""
    return np.sign(values) * np.sqrt(np.abs(values))


def describe_layers(
    layers: "Mapping[str, InnerLayers]", pictures: np.ndarray, eyes: float
) -> dict[str, np.ndarray]:
    """What several recognisers' layers say of protected pictures.

    Args:
        layers: name of a recogniser to its layers; of none nothing is said.
        pictures, eyes: as for `enlarged`.

    Returns:
        Recogniser and layer to (n, d) float32.
    """
    if not layers:
        return {}
    large = enlarged(pictures, eyes)
    return {
        f"{name} {layer}": values
        for name, network in layers.items()
        for layer, values in network(large).items()
    }


def layers_of(recognisers: Sequence[Recogniser]) -> "dict[str, InnerLayers]":
    """Of those recognisers that have such layers; an attacker does without the others'."""
    found = {}
    for one in recognisers:
        if isinstance(one, OnnxRecogniser):
            with suppress(SansfaceError):
                found[one.name] = inner_layers(one)
    return found


def inner_layers(recogniser: OnnxRecogniser) -> "InnerLayers":
    """What lies inside, for a parrot to learn from.

    Raises:
        SansfaceError: it has no layers of that kind, or takes pictures of another size than 112 or no planes.
    """
    if recogniser.placing.side != SIDE or recogniser.order is not planes:
        raise SansfaceError(f"{recogniser.weights} takes no planes of {SIDE} pixels; give another file.")
    return InnerLayers(recogniser.weights, recogniser.mean / 255, 255 / recogniser.scale)


class InnerLayers:
    """The middle and the last residual sum of each size, of a recogniser in an ONNX file.

    Args:
        path: of the file.
        offset, factor: the network takes (value − offset) · factor of values in [0, 1].

    Raises:
        SansfaceError: the file is missing or no ONNX network, or has no such layers.
    """

    def __init__(self, path: Path, offset: float, factor: float) -> None:
        self.offset, self.factor = offset, factor
        try:
            content = path.read_bytes()
            sums = list(_sums(content))
            network = _with_outputs(content, sums)
        except (OSError, cv2.error, IndexError, ValueError) as error:
            raise SansfaceError(f"{path} is no readable ONNX network; give another file.") from error
        by_side: dict[int, list[str]] = {}
        for name, value in _answers(network, np.zeros((SIDE, SIDE), np.float32)):
            square = value.ndim == 4 and value.shape[2] == value.shape[3]
            if name in sums and square and SMALLEST <= value.shape[2] <= LARGEST:
                by_side.setdefault(value.shape[2], []).append(name)
        self.names = [
            name for one in by_side.values() for name in dict.fromkeys((one[(len(one) - 1) // 2], one[-1]))
        ]
        if not self.names:
            raise SansfaceError(
                f"{path} has no residual sums of {SMALLEST} to {LARGEST} pixels; give another file."
            )
        self._network = _with_outputs(content, self.names)

    def __call__(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """Signed square roots of the layers' values: name to (n, d) float32, of (n, 112, 112) float32 in [0,
        1]."""
        result: dict[str, np.ndarray] = {}
        for index, picture in enumerate((pictures - self.offset) * self.factor):
            for name, value in _answers(self._network, picture):
                if name in self.names:
                    rows = result.setdefault(name, np.empty((len(pictures), value.size), np.float32))
                    rows[index] = signed_root(value).ravel()
        return result

    def maps(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """The layers' values as they are: name to (n, c, h, w) float32, of (n, 112, 112, 3) float32 sRGB in
        [0, 1]."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.names}
        for picture in (pictures - self.offset) * self.factor:
            for name, value in _answers(self._network, picture.transpose(2, 0, 1)):
                if name in found:
                    found[name].append(value.copy())
        return {name: np.concatenate(values) for name, values in found.items()}


def _answers(network: cv2.dnn.Net, picture: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Of one picture, (h, w) or (3, h, w)."""
    network.setInput(np.broadcast_to(picture, (1, 3, *picture.shape[-2:])).astype(np.float32))
    names = network.getUnconnectedOutLayersNames()
    yield from zip(names, map(np.asarray, network.forward(names)), strict=True)


# OpenCV keeps only what a network declares as its outputs. Of an ONNX model field 7 is the graph; of a graph
# 1 is a node and 12 an output; of a node 2 is an output's name and 4 the operation.
_GRAPH, _NODE, _OUTPUT = 7, 1, 12


def _sums(content: bytes) -> Iterator[str]:
    for node in messages(first(content, _GRAPH), _NODE):
        if any(bytes(operation) == b"Add" for operation in messages(node, 4)):
            yield from (bytes(name).decode() for name in messages(node, 2))


def _with_outputs(content: bytes, names: list[str]) -> cv2.dnn.Net:
    """The network with layers declared as outputs besides its own."""
    # A tensor of float32 with no shape: OpenCV finds it by itself.
    kind = written(2, written(1, b"\x08\x01" + written(2, b"")))
    more = b"".join(written(_OUTPUT, written(1, name.encode()) + kind) for name in names)
    whole = (
        written(_GRAPH, bytes(field.message) + more) if field.number == _GRAPH else bytes(field.whole)
        for field in fields(content)
    )
    return cv2.dnn.readNetFromONNX(np.frombuffer(b"".join(whole), np.uint8))
