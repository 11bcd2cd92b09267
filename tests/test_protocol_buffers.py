"""Protocol Buffers: what is written is read, the whole is its parts, and what is cut short is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sansface.recognise.protocol_buffers import fields, first, messages, numbers, written

NUMBERS = st.integers(1, 2**29 - 1)
PARTS = st.lists(st.tuples(NUMBERS, st.binary(max_size=300)), max_size=6)


@given(PARTS)
def test_what_is_written_is_read(parts):
    message = b"".join(written(number, value) for number, value in parts)
    read = list(fields(message))
    assert [(field.number, bytes(field.message)) for field in read] == parts
    assert b"".join(bytes(field.whole) for field in read) == message
    for number in {number for number, _ in parts}:
        of_it = [value for one, value in parts if one == number]
        assert [bytes(value) for value in messages(message, number)] == of_it
        assert bytes(first(message, number)) == of_it[0]


def test_every_wire_type_has_its_length():
    """Field 1 is 150 as the format's own documentation encodes it; 2 has four bytes, 3 eight, 4 a text."""
    message = b"\x08\x96\x01" + b"\x15abcd" + b"\x19abcdefgh" + b"\x22\x02hi"
    read = list(fields(message))
    assert [field.number for field in read] == [1, 2, 3, 4]
    assert read[0].value == 150
    assert [bytes(field.message) for field in read[1:]] == [b"abcd", b"abcdefgh", b"hi"]
    with pytest.raises(ValueError, match="not a message"):
        _ = read[0].message


def test_whole_numbers_are_read_one_by_one_and_packed():
    """Field 4 is 3, 270, 86942, as the format's own documentation packs them."""
    (packed,) = fields(b"\x22\x06\x03\x8e\x02\x9e\xa7\x05")
    assert numbers(packed) == [3, 270, 86942]
    (one,) = fields(b"\x08\x96\x01")
    assert numbers(one) == [150]
    (broken,) = fields(b"\x22\x01\x8e")
    with pytest.raises(IndexError):
        numbers(broken)


@given(PARTS.filter(len), st.data())
def test_what_is_cut_short_is_refused_or_ends_between_fields(parts, data):
    message = b"".join(written(number, value) for number, value in parts)
    cut = message[: data.draw(st.integers(0, len(message) - 1))]
    try:
        whole = b"".join(bytes(field.whole) for field in fields(cut))
    except (ValueError, IndexError):
        return
    assert whole == cut


def test_what_is_no_message_is_refused():
    for broken in (b"\x0b", b"\x0c", b"\xff" * 12, b"\x0a\x05abc"):
        with pytest.raises((ValueError, IndexError)):
            list(fields(broken))
    with pytest.raises(ValueError, match="no field 7"):
        first(written(1, b"a"), 7)
