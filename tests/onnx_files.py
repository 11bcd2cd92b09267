"""ONNX models written by hand, a few bytes each: no test needs a library to make them."""

import struct
from pathlib import Path

import numpy as np

from sansface.recognise.onnx import OnnxRecogniser


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    most = b""
    while value >= 128:
        most += bytes([value & 127 | 128])
        value >>= 7
    return most + bytes([value])


def tensor(name: str, sizes: list[int | str]) -> bytes:
    shape = b"".join(block(1, block(2, s) if isinstance(s, str) else number(1, s)) for s in sizes)
    return block(1, name) + block(2, block(1, number(1, 1) + block(2, shape)))


def node(kind: str, into: list[str], out: str, **told: int | float | list[int]) -> bytes:
    """told: its attributes; whole numbers one by one, as exporters write them."""
    attributes = b""
    for name, value in told.items():
        if isinstance(value, float):
            content = varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
        elif isinstance(value, int):
            content = number(3, value) + number(20, 2)
        else:
            content = b"".join(number(8, one) for one in value) + number(20, 7)
        attributes += block(5, block(1, name) + content)
    return block(1, b"".join(block(1, name) for name in into) + block(2, out) + block(4, kind) + attributes)


def weight(name: str, values: np.ndarray) -> bytes:
    shape = b"".join(number(1, size) for size in values.shape)
    return block(5, shape + number(2, 1) + block(8, name) + block(9, values.astype("<f4").tobytes()))


def residual(seed: int = 0, channels: int = 8, embedding: int = 6) -> bytes:
    """A recogniser as MobileFaceNet is: (n, 3, 112, 112) bytes to embeddings, sums of 14 and of 7 pixels."""
    rng = np.random.default_rng(seed)
    weights, steps = b"", b""

    def put(kind: str, into: list[str], out: str, made: dict[str, np.ndarray] | None = None, **told) -> str:
        nonlocal weights, steps
        for name, values in (made or {}).items():
            weights += weight(name, values)
        steps += node(kind, [*into, *(made or {})], out, **told)
        return out

    def convolved(x: str, out: str, inputs: int, outputs: int, size: int, stride: int, group: int = 1) -> str:
        scale = (2 / (inputs // group * size**2)) ** 0.5
        w = scale * rng.normal(size=(outputs, inputs // group, size, size))
        pad = [size // 2] * 4
        put("Conv", [x], out + "c", {out + "w": w}, group=group, pads=pad, strides=[stride] * 2,
            kernel_shape=[size] * 2, dilations=[1, 1])  # fmt: skip
        about = {out + "g": 1 + 0.1 * rng.random(outputs), out + "b": 0.1 * rng.normal(size=outputs)}
        about |= {out + "m": 0.1 * rng.normal(size=outputs), out + "v": 0.5 + rng.random(outputs)}
        put("BatchNormalization", [out + "c"], out + "n", about, epsilon=1e-3)
        return put("PRelu", [out + "n"], out, {out + "s": 0.25 * rng.random((outputs, 1, 1))})

    put("Sub", ["x"], "less", {"half": np.full(1, 127.5)})
    put("Mul", ["less"], "scaled", {"unit": np.full(1, 1 / 128)})
    convolved("scaled", "a", 3, channels, 9, 8)
    put("Add", ["a", convolved("a", "b", channels, channels, 3, 1, group=channels)], "sum 14")
    convolved("sum 14", "d", channels, channels, 3, 2)
    put("Add", ["d", convolved("d", "e", channels, channels, 3, 1)], "sum 7")
    put("Flatten", ["sum 7"], "flat", axis=1)
    w = rng.normal(size=(embedding, channels * 49)) / (channels * 49) ** 0.5
    put("Gemm", ["flat"], "y", {"w": w, "v": rng.normal(size=embedding)}, alpha=1.0, beta=1.0, transB=1)
    graph = steps + block(2, "residual") + weights
    graph += block(11, tensor("x", ["n", 3, 112, 112])) + block(12, tensor("y", ["n", embedding]))
    return number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13))


def last(height: int | str, width: int | str) -> bytes:
    """A model as deepface's are: (n, height, width, 3) in, the mean of each channel out."""
    perm = block(1, "perm") + b"".join(number(8, axis) for axis in (0, 3, 1, 2)) + number(20, 7)
    graph = block(1, block(1, "x") + block(2, "planes") + block(4, "Transpose") + block(5, perm))
    graph += node("GlobalAveragePool", ["planes"], "pooled") + node("Flatten", ["pooled"], "y")
    graph += (
        block(2, "last") + block(11, tensor("x", ["n", height, width, 3])) + block(12, tensor("y", ["n", 3]))
    )
    return number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13))


def means(side: int | str, batch: int | str = "n", flat: bool = True, less: bool = False) -> bytes:
    """An ONNX model that gives the mean of each channel times 1, 2, 3; the weight comes first as an input.

    less: before that it subtracts the weight.
    """
    weight = number(1, 1) + number(1, 3) + number(1, 1) + number(1, 1) + number(2, 1)
    weight += block(8, "weight") + block(9, struct.pack("<3f", 1, 2, 3))
    graph = node("Sub", ["x", "weight"], "less") if less else b""
    graph += node("Mul", ["less" if less else "x", "weight"], "scaled") + node(
        "GlobalAveragePool", ["scaled"], "pooled"
    )
    graph += node("Flatten", ["pooled"], "y") if flat else node("Identity", ["pooled"], "y")
    graph += block(2, "means") + block(5, weight)
    graph += block(11, tensor("weight", [1, 3, 1, 1])) + block(11, tensor("x", [batch, 3, side, side]))
    graph += block(12, tensor("y", [batch, 3] if flat else [batch, 3, 1, 1]))
    return number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13))


def pupil(folder: Path, channels: int = 8, embedding: int = 6) -> OnnxRecogniser:
    """`residual` as a recogniser."""
    path = folder / "pupil.onnx"
    path.write_bytes(residual(channels=channels, embedding=embedding))
    return OnnxRecogniser(path, mean=0.0, scale=1.0)


def coloured(gain: float, side: int = 512) -> bytes:
    """An ONNX model as restorers are: (1, 3, side, side) in and out, red times `gain`."""
    weight = number(1, 1) + number(1, 3) + number(1, 1) + number(1, 1) + number(2, 1)
    weight += block(8, "weight") + block(9, struct.pack("<3f", gain, 1, 1))
    graph = node("Mul", ["x", "weight"], "y") + block(2, "coloured") + block(5, weight)
    graph += block(11, tensor("x", [1, 3, side, side])) + block(12, tensor("y", [1, 3, side, side]))
    return number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13))
