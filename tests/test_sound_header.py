"""What is copied of a sound's header: how to decode, and no name."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sansface.deidentify.film import Copy, Film
from sansface.deidentify.sound_header import STREAMINFO, _laced, _vorbis_packets, plain_header
from sansface.errors import SansfaceError

av = pytest.importorskip("av")

CANARY = b"ARTIST=CANARY of somebody"


def vorbis(comment: bytes, identification: bytes = b"", setup: bytes = b"") -> list[bytes]:
    body = struct.pack("<I", 0) + struct.pack("<II", 1, len(comment)) + comment + b"\x01"
    return [b"\x01vorbis" + identification, b"\x03vorbis" + body, b"\x05vorbis" + setup]


@given(st.binary(max_size=600), st.binary(max_size=2000), st.binary(max_size=600), st.booleans())
def test_vorbis_keeps_its_setup_and_loses_its_comment(identification, comment, setup, laced):
    packets = vorbis(CANARY + comment, identification, setup)
    header = _laced(packets) if laced else b"".join(struct.pack(">H", len(one)) + one for one in packets)
    assert CANARY in header
    found = _vorbis_packets(plain_header("vorbis", header))
    assert [found[0], found[2]] == [packets[0], packets[2]]
    assert found[1] == b"\x03vorbis" + bytes(8) + b"\x01"


def test_flac_keeps_what_a_decoder_needs():
    info = bytes(range(STREAMINFO))
    blocks = b"fLaC" + b"\x00\x00\x00\x22" + info + b"\x84\x00\x00" + bytes([len(CANARY)]) + CANARY
    assert plain_header("flac", blocks) == plain_header("flac", info) == info


@pytest.mark.parametrize("kind", ["vorbis", "flac", "speex", "aac"])
def test_what_cannot_be_read_or_is_not_known_is_refused(kind):
    header = bytes([2, 3, 3]) + 30 * b"x" if kind != "aac" else bytes(5000)
    with pytest.raises(SansfaceError, match="convert the sound to AAC first"):
        plain_header(kind, header)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("sound", ["vorbis", "flac"])
def test_no_name_of_a_sounds_header_is_copied_and_it_is_still_heard(tmp_path: Path, sound, suffix):
    source, out = tmp_path / "source.mkv", tmp_path / f"out{suffix}"
    wave = (8000 * np.sin(np.arange(44100) / 20)).astype(np.int16)
    with av.open(str(source), "w") as film:
        picture = film.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        tone = film.add_stream(sound, rate=44100, layout="stereo", options={"strict": "experimental"})
        if sound == "vorbis":
            tone.codec_context.open()
            packets = _vorbis_packets(bytes(tone.codec_context.extradata))
            packets[1] = vorbis(CANARY)[1]
            tone.codec_context.extradata = _laced(packets)
        for number in range(25):
            shown = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * number, np.uint8), format="rgb24")
            film.mux(picture.encode(shown))
        resampler = av.AudioResampler(format=tone.codec_context.format, layout="stereo", rate=44100)
        heard = av.AudioFrame.from_ndarray(
            wave[None].repeat(2, 0).T.reshape(1, -1), format="s16", layout="stereo"
        )
        heard.sample_rate = 44100
        for frame in resampler.resample(heard):
            film.mux(tone.encode(frame))
        last = [packet for packet in tone.encode() if packet.size]  # FLAC ends in an empty one
        film.mux([*picture.encode(), *last])
    film = Film(source)
    film.check_sounds("matroska" if suffix == ".mkv" else "mp4")
    with out.open("wb") as file, Copy(file, "matroska" if suffix == ".mkv" else "mp4") as copy:
        for moment in film.moments(copy):
            copy.picture(moment.pixels, moment)
    if sound == "vorbis":
        assert CANARY in source.read_bytes()
    assert CANARY not in out.read_bytes()
    with av.open(str(out)) as film:
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in film.decode(audio=0)])
    assert np.abs(heard).max() > 0
    assert len(heard) > 80_000
