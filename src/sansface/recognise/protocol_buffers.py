"""Protocol Buffers, as far as ONNX files need them: fields one after another, a key and a value each.

A key is number · 8 + wire type. ONNX's own library would bring protobuf with it, of which other libraries
want other versions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

Message = memoryview | bytes


@dataclass(frozen=True, eq=False)
class Field:
    """One field.

    Attributes:
        number: which.
        value: a whole number, or the bytes of a text, a message or a number of 4 or 8 bytes.
        whole: key and value as they stand in the message.
    """

    number: int
    value: memoryview | int
    whole: memoryview

    @property
    def message(self) -> memoryview:
        """The value, if it is no whole number.

        Raises:
            ValueError: it is one.
        """
        if isinstance(self.value, int):
            raise ValueError("a number, not a message")
        return self.value


def fields(message: Message) -> Iterator[Field]:
    """All fields in order.

    Raises:
        ValueError, IndexError: it is no such message.
    """
    data, at = memoryview(message), 0
    while at < len(data):
        begin = at
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield Field(key >> 3, value, data[begin:at])
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"wire type {kind}")
        length, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + length > len(data):
            raise ValueError("cut short")
        value, at = data[at : at + length], at + length
        yield Field(key >> 3, value, data[begin:at])


def messages(message: Message, number: int) -> Iterator[memoryview]:
    """The values of all fields of a number.  Raises: as `fields`."""
    return (field.message for field in fields(message) if field.number == number)


def first(message: Message, number: int) -> memoryview:
    """The value of the first field of a number.

    Raises:
        ValueError, IndexError: there is none, or it is no such message.
    """
    for value in messages(message, number):
        return value
    raise ValueError(f"no field {number}")


def numbers(field: Field) -> list[int]:
    """The whole numbers of a field: one, or several packed.

    Raises:
        IndexError: the last one is cut short.
    """
    if isinstance(field.value, int):
        return [field.value]
    result, at = [], 0
    while at < len(field.value):
        value, at = _varint(field.value, at)
        result.append(value)
    return result


def written(number: int, value: Message) -> bytes:
    """A field of bytes."""
    return _number(number << 3 | 2) + _number(len(value)) + bytes(value)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number too long")


def _number(value: int) -> bytes:
    result = []
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes([*result, value])
