"""A zip file with one way to write it.

Members are stored, not compressed, in the order given, with fixed times and attributes, without extra fields,
comments or gaps, so the same members always give the same bytes, and any tool can open them.
The reader accepts plain zips of this kind and allocates nothing in proportion to what they declare:
members are views of the bytes at hand. That nothing hides between members is shown by the caller,
who packs again what it understood and compares (`sansface.protect.bundle`).

Layout and field names: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end).
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION = 20
_MADE_BY = 3 << 8 | _VERSION  # Unix, so that the mode below has a meaning
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01 00:00:00, the earliest that a zip can say
_MODE = 0o100644 << 16


class ContainerError(ValueError):
    """The bytes are not a zip of this kind; the message is a short reason on one line."""


def pack(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The zip's bytes, piece by piece, for (name, content) pairs; names are ASCII."""
    directory = []
    offset = 0
    for name, content in members:
        path = name.encode("ascii")
        shared = (0, 0, _TIME, _DATE, zlib.crc32(content), len(content), len(content), len(path), 0)
        directory.append(
            _ENTRY.pack(b"PK\x01\x02", _MADE_BY, _VERSION, *shared, 0, 0, 0, _MODE, offset) + path
        )
        header = _LOCAL.pack(b"PK\x03\x04", _VERSION, *shared) + path
        yield header
        yield content
        offset += len(header) + len(content)
    entries = b"".join(directory)
    yield entries
    yield _END.pack(b"PK\x05\x06", 0, 0, len(directory), len(directory), len(entries), offset, 0)


def unpack(data: bytes, max_members: int) -> dict[str, memoryview]:
    """The members of a stored zip, as views of `data`.

    Raises:
        ContainerError: not a zip, compressed or encrypted members, a name twice, names that lead elsewhere,
            sizes that the file does not have, or more members than `max_members`.
    """
    if len(data) < _END.size or data[:4] != b"PK\x03\x04":
        raise ContainerError("it is not a zip file, or it is cut short")
    start = len(data) - _END.size
    signature, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(data, start)
    if signature != b"PK\x05\x06" or comment or disk or first_disk or here != count:
        raise ContainerError("its end is missing or followed by something else; it may be cut short")
    if count > max_members:
        raise ContainerError(f"it declares {count} members, more than the {max_members} allowed")
    if offset + size != start:
        raise ContainerError("its directory is not where its end says")
    members: dict[str, memoryview] = {}
    entry, content = offset, 0
    for _ in range(count):
        entry, content = _read_entry(data, entry, start, content, offset, members)
    if entry != start or content != offset:
        raise ContainerError("its members or its directory do not have the sizes that they declare")
    return members


def _read_entry(
    data: bytes, position: int, end: int, begins: int, limit: int, members: dict[str, memoryview]
) -> tuple[int, int]:
    """Add the member of the directory entry at `position`, which must begin at `begins` and end by `limit`.

    Returns:
        Where the next entry starts, and where the next member must begin.
    """
    if position + _ENTRY.size > end:
        raise ContainerError("its directory is cut short")
    entry = _ENTRY.unpack_from(data, position)
    signature, _, _, flags, method, _, _, _, packed, size, name_size, extra, comment, _, _, _, offset = entry
    name_end = position + _ENTRY.size + name_size
    if signature != b"PK\x01\x02" or name_end > end:
        raise ContainerError("its directory is damaged")
    name = data[name_end - name_size : name_end].decode("ascii", errors="replace")
    shown = ascii(name[:60])
    if name.startswith(("/", "\\")) or ".." in name or "\\" in name or ":" in name:
        raise ContainerError(f"member {shown} has an absolute or parent path")
    if name in members:
        raise ContainerError(f"member {shown} occurs twice")
    if flags & 1:
        raise ContainerError(f"member {shown} is encrypted")
    if method != 0:
        raise ContainerError(f"member {shown} is compressed, and a bundle's members are only stored")
    if packed != size:
        raise ContainerError(f"member {shown} declares {size} bytes but stores {packed}")
    if extra or comment:
        raise ContainerError(f"member {shown} carries an extra field or a comment")
    if offset != begins:
        raise ContainerError(f"member {shown} overlaps another or leaves a gap")
    content = offset + _LOCAL.size + name_size
    if content + size > limit:
        raise ContainerError(f"member {shown} declares {size} bytes, more than the file holds")
    members[name] = memoryview(data)[content : content + size]
    return name_end, content + size
