"""A recogniser's network with weights that can be taught on.

Convolutional networks alone: of an ONNX file's steps those of residual networks such as MobileFaceNet and
InsightFace's. `layers` runs the same file as it is.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.audit.attackers.layers import inner_layers
from sansface.errors import SansfaceError
from sansface.recognise.onnx import OnnxRecogniser
from sansface.recognise.protocol_buffers import Message, fields, first, messages, numbers
from sansface.recognise.recogniser import Recogniser


class Teachable(nn.Module):
    """The network of a recogniser that takes planes of 112 pixels.

    Attributes:
        names: of the layers that `InnerLayers` reads.

    Raises:
        SansfaceError: it has no such layers, or takes a step that is none of `STEPS`.
    """

    def __init__(self, recogniser: OnnxRecogniser) -> None:
        super().__init__()
        layers = inner_layers(recogniser)
        self.names, self.offset, self.factor = layers.names, layers.offset, layers.factor
        try:
            steps = list(_steps(recogniser.weights))
        except (ValueError, IndexError, KeyError, TypeError, struct.error, RuntimeError) as error:
            raise SansfaceError(
                f"{recogniser.weights} is no network of convolutions alone, and cannot be taught; name "
                "another recogniser."
            ) from error
        self.steps = nn.ModuleList(step for step, _, _ in steps)
        self.wires = [(into, out) for _, into, out in steps]
        self.input, self.output = self.wires[0][0][0], self.wires[-1][1]
        self.last = {name: number for number, (into, _) in enumerate(self.wires) for name in into}

    def forward(self, faces: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What the network says of faces, and its layers' values.

        Args:
            faces: (n, 3, 112, 112) float32 sRGB in [0, 1].

        Returns:
            (n, d), and by name (n, c, h, w).
        """
        values = {self.input: (faces - self.offset) * self.factor}
        layers = {}
        for number, (step, (into, out)) in enumerate(zip(self.steps, self.wires, strict=True)):
            values[out] = step(*(values[name] for name in into))
            if out in self.names:
                layers[out] = values[out]
            for name in into:  # of what nobody asks for again the memory is given back
                if self.last[name] == number:
                    values.pop(name, None)
        return values[self.output], layers


def first_teachable(recognisers: Sequence[Recogniser]) -> tuple[Recogniser, Teachable] | None:
    """The first recogniser that can be taught, and its network."""
    for one in recognisers:
        if isinstance(one, OnnxRecogniser):
            with suppress(SansfaceError):
                return one, Teachable(one)
    return None


class _Normalisation(nn.BatchNorm2d):
    """Of vectors as well as of planes."""

    def forward(self, input: Tensor) -> Tensor:
        about = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(input, *about, self.training, 0.1, self.eps)


class _With(nn.Module):
    """Two values put together, or one and a constant."""

    def __init__(self, put: Any, constants: list[Tensor]) -> None:
        super().__init__()
        self.put = put
        self.constant = nn.Buffer(constants[0]) if constants else None

    def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        return self.put(a, self.constant if b is None else b)


def _convolution(weights: list[Tensor], told: dict[str, Any]) -> nn.Module:
    outputs, inputs, *size = weights[0].shape
    pads = told.get("pads", [0] * 4)
    if pads[:2] != pads[2:] or set(told.get("dilations", [1])) != {1}:
        raise ValueError("unlike on both sides")
    groups, strides = told.get("group", 1), told.get("strides", [1, 1])
    step = nn.Conv2d(
        inputs * groups, outputs, (size[0], size[1]), strides, pads[:2], groups=groups, bias=len(weights) > 1
    )  # fmt: skip
    return _filled(step, dict(zip(("weight", "bias"), weights, strict=False)))


def _normalisation(weights: list[Tensor], told: dict[str, Any]) -> nn.Module:
    step = _Normalisation(len(weights[0]), eps=told.get("epsilon", 1e-5))
    names = ("weight", "bias", "running_mean", "running_var")
    return _filled(step, dict(zip(names, weights, strict=True)))


def _bend(weights: list[Tensor], told: dict[str, Any]) -> nn.Module:
    return _filled(nn.PReLU(weights[0].numel()), {"weight": weights[0].flatten()})


def _linear(weights: list[Tensor], told: dict[str, Any]) -> nn.Module:
    if (told.get("transA", 0), told.get("alpha", 1.0), told.get("beta", 1.0)) != (0, 1.0, 1.0):
        raise ValueError("scaled")
    weight = weights[0] if told.get("transB", 0) else weights[0].T
    step = nn.Linear(weight.shape[1], weight.shape[0], bias=len(weights) > 1)
    return _filled(step, dict(zip(("weight", "bias"), [weight, *weights[1:]], strict=True)))


STEPS = {
    "Add": lambda weights, told: _With(torch.add, weights),
    "BatchNormalization": _normalisation,
    "Conv": _convolution,
    "Flatten": lambda weights, told: nn.Flatten(told.get("axis", 1)),
    "Gemm": _linear,
    "Mul": lambda weights, told: _With(torch.mul, weights),
    "PRelu": _bend,
    "Sub": lambda weights, told: _With(torch.sub, weights),
}
"""By ONNX's names, what is made of a step's weights and attributes."""


def _filled(step: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    known = {name: value for name, value in step.state_dict().items() if name not in values}
    step.load_state_dict(known | values)
    return step


def _steps(path: Path) -> Iterator[tuple[nn.Module, list[str], str]]:
    """Each step, the names of what it takes and of what it gives.

    Of a graph field 1 is a node and 5 a weight; of a node 1 and 2 are what goes in and out, 4 the operation
    and 5 an attribute.
    """
    graph = first(path.read_bytes(), 7)
    weights = dict(_weight(one) for one in messages(graph, 5))
    for node in messages(graph, 1):
        into = [bytes(name).decode() for name in messages(node, 1)]
        make = STEPS[bytes(first(node, 4)).decode()]
        own = [weights[name] for name in into if name in weights]
        told = dict(_attribute(one) for one in messages(node, 5))
        yield make(own, told), [n for n in into if n not in weights], bytes(first(node, 2)).decode()


def _weight(tensor: Message) -> tuple[str, Tensor]:
    """Name and values: of a tensor field 1 is its shape, 2 the type, 4 or 9 the values, 8 the name."""
    known = list(fields(tensor))
    shape = [size for one in known if one.number == 1 for size in numbers(one)]
    values = next(one.message for one in known if one.number in (4, 9))
    if [one.value for one in known if one.number == 2] != [1]:
        raise ValueError("not of float32")
    filled = torch.frombuffer(bytearray(values), dtype=torch.float32).reshape(shape)
    return bytes(first(tensor, 8)).decode(), filled


def _attribute(attribute: Message) -> tuple[str, Any]:
    """Name and value: a float in field 2, a whole number in 3, several in 8."""
    known = {one.number: one for one in fields(attribute)}
    value: Any = [number for one in fields(attribute) if one.number == 8 for number in numbers(one)]
    if 3 in known:
        value = known[3].value
    elif 2 in known:
        value = struct.unpack("<f", known[2].message)[0]
    return bytes(first(attribute, 1)).decode(), value
