"""ONNX models written by hand, a few bytes each: no test needs a library to make them."""

import struct


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


def node(kind: str, into: list[str], out: str) -> bytes:
    return block(1, b"".join(block(1, name) for name in into) + block(2, out) + block(4, kind))


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


def coloured(gain: float, side: int = 512) -> bytes:
    """An ONNX model as restorers are: (1, 3, side, side) in and out, red times `gain`."""
    weight = number(1, 1) + number(1, 3) + number(1, 1) + number(1, 1) + number(2, 1)
    weight += block(8, "weight") + block(9, struct.pack("<3f", gain, 1, 1))
    graph = node("Mul", ["x", "weight"], "y") + block(2, "coloured") + block(5, weight)
    graph += block(11, tensor("x", [1, 3, side, side])) + block(12, tensor("y", [1, 3, side, side]))
    return number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13))
