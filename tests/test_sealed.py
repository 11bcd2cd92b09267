"""The sealed original: back bit for bit with the key, and with nothing else; bound to its picture."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sansface.deidentify.keys import Key, Purpose
from sansface.deidentify.sealed import CHUNK, png, seal, unseal
from sansface.errors import SansfaceError

ONE, OTHER = (Key(Purpose.SEALING, bytes([number] * 32)) for number in (1, 2))
RECOGNITION = Key(Purpose.RECOGNITION, ONE.secret)


def pictures(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An original and what two faces of it became."""
    rng = np.random.default_rng(seed)
    original = rng.integers(0, 256, (90, 140, 3), dtype=np.uint8)
    virtual = original.copy()
    virtual[10:40, 20:50] = rng.integers(0, 256, (30, 30, 3))
    virtual[50:80, 90:139] //= 2
    return original, virtual


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 8, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        assert (
            zlib.crc32(data[at + 4 : at + 8 + length]) == struct.unpack_from(">I", data, at + 8 + length)[0]
        )
        at += 12 + length
    return found


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def read(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[:, :, ::-1]


def refused(data: bytes, key: Key = ONE) -> str:
    with pytest.raises(SansfaceError) as caught:
        unseal(data, key, "picture.png")
    return str(caught.value)


def test_the_original_comes_back_bit_for_bit():
    original, virtual = pictures()
    data = seal(original, virtual, ONE)
    np.testing.assert_array_equal(read(data), virtual)
    np.testing.assert_array_equal(unseal(data, ONE, ""), original)


SMALL = arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


@given(SMALL, st.data())
def test_whatever_changed(original, data):
    virtual = original.copy()
    for _ in range(data.draw(st.integers(0, 6))):
        y, x = (data.draw(st.integers(0, size - 1)) for size in original.shape[:2])
        virtual[y : y + data.draw(st.integers(1, 30)), x] ^= data.draw(st.integers(1, 255))
    np.testing.assert_array_equal(unseal(seal(original, virtual, ONE), ONE, ""), original)


def test_only_what_changed_is_sealed():
    original, virtual = pictures()
    (sealed,) = [content for kind, content in chunks(seal(original, virtual, ONE)) if kind == CHUNK]
    assert len(sealed) < len(png(original)) / 2  # noise: as long as its pixels
    (nothing,) = [content for kind, content in chunks(seal(original, original, ONE)) if kind == CHUNK]
    assert len(nothing) == 12 + 16


def test_the_file_holds_pixels_and_one_private_chunk_at_most():
    original, virtual = pictures()
    assert {kind for kind, _ in chunks(png(virtual))} == {b"IHDR", b"IDAT", b"IEND"}
    sealed = chunks(seal(original, virtual, ONE))
    assert [kind for kind, _ in sealed if kind not in (b"IHDR", b"IDAT")] == [CHUNK, b"IEND"]
    ancillary, private, reserved, copied = (bool(byte & 32) for byte in CHUNK)
    assert (ancillary, private, reserved, copied) == (True, True, False, False)


def test_nothing_of_the_original_stands_in_the_clear():
    original, virtual = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 200, np.uint8)
    contents = [dict(chunks(seal(original, virtual, ONE)))[CHUNK] for _ in range(20)]
    assert len({content[:12] for content in contents}) == 20  # a nonce of its own for each
    assert not [content for content in contents if b"IHDR" in content or b"PNG" in content]
    shares = np.bincount(np.frombuffer(b"".join(contents), np.uint8), minlength=256)
    assert shares.max() < 4 * shares.mean()


def test_another_key_does_not_open_it():
    data = seal(*pictures(), ONE)
    assert "does not open" in refused(data, OTHER)
    assert "for sealing" in refused(data, RECOGNITION)
    with pytest.raises(SansfaceError, match="is for recognition, and this needs one for sealing"):
        seal(*pictures(), RECOGNITION)


def test_it_opens_in_its_own_picture_alone():
    original, virtual = pictures()
    content = dict(chunks(seal(original, virtual, ONE)))[CHUNK]
    other = chunks(png(pictures(seed=5)[1]))
    assert "does not open" in refused(joined([*other[:-1], (CHUNK, content), other[-1]]))
    again = virtual.copy()
    again[0, 0, 0] ^= 1
    same = chunks(png(again))
    assert "does not open" in refused(joined([*same[:-1], (CHUNK, content), same[-1]]))
    # The same numbers in another shape are another picture, too.
    turned = chunks(png(virtual.reshape(140, 90, 3)))
    assert "does not open" in refused(joined([*turned[:-1], (CHUNK, content), turned[-1]]))
    # Compressed anew, the pixels are the same: it opens.
    packed = cv2.imencode(".png", virtual[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    back = chunks(packed)
    whole = joined([*back[:-1], (CHUNK, content), back[-1]])
    np.testing.assert_array_equal(unseal(whole, ONE, ""), original)


def test_a_shortened_or_changed_chunk_is_refused():
    parts = chunks(seal(*pictures(), ONE))
    rng = np.random.default_rng(0)
    place = [kind for kind, _ in parts].index(CHUNK)
    content = parts[place][1]
    for length in [0, 5, 12, 27, 28, *rng.integers(0, len(content), 10).tolist()]:
        cut = [*parts[:place], (CHUNK, content[:length]), *parts[place + 1 :]]
        assert "does not open" in refused(joined(cut))
    for at in rng.integers(0, len(content), 20).tolist():
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        assert "does not open" in refused(joined([*parts[:place], (CHUNK, changed), *parts[place + 1 :]]))


def test_files_that_are_cut_short_damaged_or_something_else(capfd):
    data = seal(*pictures(), ONE)
    for length in (*range(8, 60), len(data) // 2, len(data) - 13, len(data) - 1):
        assert "cut short" in refused(data[:length])
    at = data.index(CHUNK) + 40
    assert "damaged" in refused(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert "no original is sealed" in refused(png(pictures()[1]))
    for other in (b"", b"\xff\xd8\xff", b"GIF89a"):
        assert "is no PNG" in refused(other)
    grey = chunks(cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes())
    assert "does not open" in refused(joined([*grey[:-1], (CHUNK, bytes(40)), grey[-1]]))
    assert capfd.readouterr().err == ""  # nor does the decoder say a word


@given(st.binary(max_size=200))
def test_any_bytes_are_one_sentence(data):
    assert refused(b"\x89PNG\r\n\x1a\n" + data)
