"""The header of a stream of sound, which is copied with it, without what it says beside how to decode.

Containers' tags are dropped by not being copied, but two kinds of sound keep tags in the decoder's own
header: a Vorbis comment holds artist, place and file names as readily as EXIF.
"""

from sansface.errors import SansfaceError

PLAIN = frozenset(
    {
        *("aac", "ac3", "adpcm_ima_wav", "adpcm_ms", "alac", "dts", "eac3", "mp2", "mp3", "opus", "wavpack"),
        *("wmapro", "wmav1", "wmav2"),
    }
)
"""Kinds whose header is how to decode and nothing else, by FFmpeg's names; PCM has none."""
MOST = 512
"""Bytes of such a header at most: Opus takes 276."""
STREAMINFO = 34
"""Bytes of FLAC's first block, which is all that a decoder needs (RFC 9639, 8.2)."""


def plain_header(kind: str, header: bytes) -> bytes:
    """The header without names.

    Args:
        kind: FFmpeg's canonical name of the codec.
        header: its extradata.

    Raises:
        SansfaceError: it is damaged, or of a kind in which names may stand elsewhere.
    """
    if not header or (kind in PLAIN and len(header) <= MOST):
        return header
    if kind == "flac":
        start = header.find(b"fLaC") + 8 if header[:4] == b"fLaC" else 0
        if len(header) >= start + STREAMINFO:
            return header[start : start + STREAMINFO]
    if kind == "vorbis":
        identification, _, setup = _vorbis_packets(header)
        # Vorbis I specification, 5: no vendor, no comment, and the framing bit.
        return _laced([identification, b"\x03vorbis" + bytes(8) + b"\x01", setup])
    raise SansfaceError(
        f"sound of the kind {kind} may have names in its header; convert the sound to AAC first."
    )


def _vorbis_packets(header: bytes) -> list[bytes]:
    """The three packets, of which FFmpeg knows two ways to write them behind each other."""
    packets, at = [], 0
    if header[0] == 2:
        sizes, at = [], 1
        for _ in range(2):
            size = 0
            while header[at : at + 1] == b"\xff":
                size, at = size + 255, at + 1
            size, at = size + sum(header[at : at + 1]), at + 1
            sizes.append(size)
        for size in sizes:
            packets.append(header[at : at + size])
            at += size
        packets.append(header[at:])
    else:
        for _ in range(3):
            size = int.from_bytes(header[at : at + 2], "big")
            packets.append(header[at + 2 : at + 2 + size])
            at += 2 + size
    marks = [packet[:7] for packet in packets]
    if marks != [b"\x01vorbis", b"\x03vorbis", b"\x05vorbis"]:
        raise SansfaceError("the header of the film's sound is damaged; convert the sound to AAC first.")
    return packets


def _laced(packets: list[bytes]) -> bytes:
    sizes = b"".join(b"\xff" * (len(one) // 255) + bytes([len(one) % 255]) for one in packets[:-1])
    return bytes([len(packets) - 1]) + sizes + b"".join(packets)
