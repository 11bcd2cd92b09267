"""Backups: one encrypted file with all rows and the objects that they name, and what was deleted since.

An archive is `sansface-TIME-RANDOM.backup`, sealed as objects of the store are (`encryption.py`), by a key
of its own purpose and bound to its file name, so that none can be given out as a younger one. Sealed in it
are members, each a header of 2 bytes length of the name and 8 bytes length of the content, both big-endian,
then name, then content:

    about                JSON: format, the columns of each table
    rows/TABLE           JSON lines, a row each; several a table, and no table before one that it refers to
    objects/NAME         an object of the store
    end                  JSON: names of objects that were not to be had

Rows are of one instant. Objects follow; one that was deleted meanwhile is missing, and counts as deleted.
Tokens are left out, so that a restored service knows nobody who had signed out, and so are checkpoints.

What is deleted after an archive was made is still in it. So beside the archives lies `sansface.deletions`,
sealed too: the ids of all that was deleted as long ago as the oldest archive. Every `new` brings it up to
date, and `note_deletions` in between, as often as one can bear to lose deletions together with the
database. `restore` needs it and leaves out whatever is named there. An archive that is older than the
stated days is not restored, and `expire` removes it: by then what was deleted is deleted for good.
"""

import hashlib
import json
import re
import secrets
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Engine, Table, insert, select
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, parse_json
from sansface.serve.database import DAY, now, reading
from sansface.serve.encryption import Damaged, seal, unseal
from sansface.serve.names import BUNDLES, CHECKPOINTS, RESULTS, of_bundle
from sansface.serve.places import Folder
from sansface.serve.retention import MARGIN
from sansface.serve.store import Lost, Store
from sansface.serve.tables import Base, Deletion

FORMAT = 1
PURPOSE = "backup"
DELETIONS = "sansface.deletions"
NOT_KEPT = {"tokens"}
_NAME = re.compile(r"sansface-(\d{8}T\d{6}Z)-[0-9a-f]{8}\.backup")
_TIME = "%Y%m%dT%H%M%SZ"
_HEADER = struct.Struct(">HQ")
_BATCH = 1000


@dataclass(frozen=True)
class Archive:
    """A backup in a folder.

    Attributes:
        made: seconds since 1970.
        size: bytes.
    """

    path: Path
    made: float
    size: int

    def days(self) -> float:
        """How old it is."""
        return (time.time() - self.made) / DAY


@dataclass(frozen=True)
class Restored:
    """What came back: rows of each table, objects, and rows that were left out: deleted since, or expired."""

    rows: dict[str, int]
    objects: int
    left_out: int


def archives(folder: Path) -> list[Archive]:
    """All backups of a folder, the oldest first.

    Raises:
        SansfaceError: there is no such folder.
    """
    try:
        found = [(path, match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        made = [(path, datetime.strptime(text, _TIME).replace(tzinfo=UTC)) for path, text in found]
        listed = [Archive(path, when.timestamp(), path.stat().st_size) for path, when in made]
    except OSError as error:
        raise SansfaceError(os_error_sentence("read the folder", folder, error)) from error
    return sorted(listed, key=lambda archive: (archive.made, archive.path.name))


def new(engine: Engine, store: Store, key: bytes, folder: Path, days: float) -> tuple[Archive, list[str]]:
    """Make a backup.

    Args:
        key: 32 bytes, the deployment's.
        folder: made if it is not there, for the owner alone.
        days: how long backups are kept.

    Returns:
        The archive, and the names of objects that rows name but that are lost from the store.

    Raises:
        SansfaceError: the store or the folder cannot be used.
    """
    made = int(time.time())
    text = datetime.fromtimestamp(made, UTC).strftime(_TIME)
    path = folder / f"sansface-{text}-{secrets.token_hex(4)}.backup"
    missing: list[str] = []
    _write(path, _framed(_members(engine, store, missing)), key)
    gone = note_deletions(engine, key, folder, days)
    lost = [name for name in missing if name.split("/")[1] not in gone]
    return Archive(path, made, path.stat().st_size), lost


def note_deletions(engine: Engine, key: bytes, folder: Path, days: float) -> dict[str, Any]:
    """Bring `sansface.deletions` up to date: those of the database and those that stand in it already.

    Returns:
        All of them: id to kind and time.

    Raises:
        SansfaceError: the file is damaged, of another key, or cannot be written.
    """
    path = folder / DELETIONS
    with Session(reading(engine)) as session:
        oldest = now(session) - days * DAY - MARGIN
        found = {row.object_id: [row.kind, row.at] for row in session.scalars(select(Deletion))}
    if path.exists():
        found = _deletions(path, key) | found
    found = {id: [kind, at] for id, (kind, at) in found.items() if at >= oldest}
    _write(path, [json.dumps(found, sort_keys=True, allow_nan=False).encode()], key)
    return found


def expire(folder: Path, days: float) -> list[Archive]:
    """Remove archives that are older than so many days, and what interrupted ones left; returns the archives.

    Raises:
        SansfaceError: the folder cannot be used.
    """
    over = [archive for archive in archives(folder) if archive.days() >= days]
    try:
        for archive in over:
            archive.path.unlink(missing_ok=True)
        Folder(folder).tidy(time.time() - DAY)
    except OSError as error:
        raise SansfaceError(os_error_sentence("remove backups from", folder, error)) from error
    return over


def restore(path: Path, engine: Engine, store: Store, key: bytes, days: float) -> Restored:
    """Fill an empty deployment from an archive, after all of it was verified, without what was deleted since.

    Args:
        engine: of a database with tables and no row.
        store: without objects; it may have another key than the archive.
        key: the archive's.
        days: how long backups are kept.

    Raises:
        SansfaceError: not empty; the archive is damaged, of another key or version, or too old; the file with
            deletions is missing.
    """
    archive = next((found for found in archives(path.parent) if found.path.name == path.name), None)
    if archive is None:
        raise SansfaceError(f"{path} is no backup; name a file sansface-….backup, as it was written.")
    if archive.days() >= days:
        raise SansfaceError(
            f"{path} is older than {days:g} days, when what was deleted must be gone; remove it."
        )
    if not (path.parent / DELETIONS).exists():
        raise SansfaceError(
            f"there is no {DELETIONS} beside {path.name}, and without it deleted data would come back; "
            "write it from the old database with `sansface backup deletions`, or copy it to there."
        )
    deleted = _deletions(path.parent / DELETIONS, key)
    _check_empty(engine, store)
    missing = _verify(path, key)
    return _fill(path, key, engine, store, deleted, {name.split("/")[1] for name in missing})


def _fill(
    path: Path, key: bytes, engine: Engine, store: Store, deleted: dict[str, Any], missing: set[str]
) -> Restored:
    tables = {table.name: table for table in _tables()}
    rows, objects, out = dict.fromkeys(tables, 0), set(), 0
    gone = deleted.keys() | missing
    put: list[str] = []
    try:
        with Session(engine) as session, session.begin(), _members_of(path, key) as members:
            at = now(session)
            for name, content in members:
                kind, _, rest = name.partition("/")
                if kind == "rows":
                    table = tables[rest]
                    read = [parse_json(line) for line in content.splitlines()]
                    kept = [row for row in read if not _is_gone(table, row, gone, at)]
                    if kept:
                        session.execute(insert(table), [_unnumbered(table, row) for row in kept])
                    rows[rest] += len(kept)
                    out += len(read) - len(kept)
                    objects |= {named for row in kept if (named := _names(table, row))}
                elif kind == "objects" and rest in objects:
                    put.append(rest)
                    store.put(rest, content)
            known = set(session.scalars(select(Deletion.object_id)))
            session.add_all(
                Deletion(object_id=id, kind=kind, at=when)
                for id, (kind, when) in deleted.items()
                if id not in known
            )
    except BaseException:
        for name in put:  # no row names them now, and the next try needs an empty store
            with suppress(SansfaceError):
                store.delete(name)
        raise
    return Restored(rows, len(put), out)


def _is_gone(table: Table, row: dict[str, Any], gone: set[str], at: float) -> bool:
    """Was it deleted since, does it refer to what was, or has it expired? Then so is what refers to it."""
    if table.name in ("events", "deletions"):  # they hold ids only
        return False
    ids = [row["id"]] if "id" in row else []
    refers = [row[key.parent.name] for key in table.foreign_keys]
    if row.get("expires", at + 1) > at and not gone.intersection(ids + refers):
        return False
    gone.update(ids)
    return True


def _unnumbered(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Without a number that the database gives: PostgreSQL would give it out once more."""
    own = table.autoincrement_column
    return row if own is None else {name: value for name, value in row.items() if name != own.name}


def _names(table: Table, row: dict[str, Any]) -> str | None:
    """The object in the store that a row names."""
    match table.name:
        case "bundles":
            return of_bundle(row["id"])
        case "result_files":
            return row["stored"]
    return None


def _digest(table: Table, row: dict[str, Any]) -> str:
    """SHA-256 of that object."""
    return row["digest" if table.name == "bundles" else "sha256"]


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in NOT_KEPT]


def _check_empty(engine: Engine, store: Store) -> None:
    with reading(engine).connect() as connection:
        for table in Base.metadata.sorted_tables:
            if connection.execute(select(table).limit(1)).first() is not None:
                raise SansfaceError(
                    "the database is not empty; restore into a new one, so that nothing is mixed or lost."
                )
    if any(next(store.names(folder), None) for folder in (BUNDLES, RESULTS, CHECKPOINTS)):
        raise SansfaceError("the store is not empty; restore into a new folder or bucket.")


def _verify(path: Path, key: bytes) -> list[str]:
    """Read all of an archive; returns the names of objects that are missing in it.

    Raises:
        SansfaceError: damaged, of another key or of another version.
    """
    tables = {table.name: table for table in _tables()}
    wrong = SansfaceError(f"{path} does not hold what a backup holds; take another one.")
    promised: dict[str, str] = {}
    last, missing = "", []
    with _members_of(path, key) as members:
        for name, content in members:
            kind, _, rest = name.partition("/")
            if (kind == "about") != (last == "") or last == "end":
                raise wrong
            match kind:
                case "about":
                    if parse_json(content) != _about():
                        raise SansfaceError(
                            f"{path} is of another version of sansface; restore it with that, then update."
                        )
                case "rows" if rest in tables:
                    for line in content.splitlines():
                        row = parse_json(line)
                        if named := _names(tables[rest], row):
                            promised[named] = _digest(tables[rest], row)
                case "objects" if rest in promised:
                    if hashlib.sha256(content).hexdigest() != promised.pop(rest):
                        raise wrong
                case "end":
                    missing = parse_json(content)
                case _:
                    raise wrong
            last = kind
    if last != "end" or promised.keys() != set(missing):
        raise wrong
    return missing


def _members(engine: Engine, store: Store, missing: list[str]) -> Iterator[tuple[str, bytes]]:
    """All members of a new archive; fills `missing`."""
    names: list[str] = []
    yield "about", json.dumps(_about()).encode()
    with _one_instant(engine) as connection:
        for table in _tables():
            found = connection.execution_options(yield_per=_BATCH).execute(
                select(table).order_by(*table.primary_key)
            )
            for part in found.mappings().partitions():
                rows = [dict(row) for row in part]
                names += [name for row in rows if (name := _names(table, row))]
                yield f"rows/{table.name}", b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    for name in names:
        try:
            content = store.get(name)
        except Lost:
            missing.append(name)
        else:
            yield f"objects/{name}", content
    yield "end", json.dumps(missing).encode()


def _about() -> dict[str, Any]:
    return {"format": FORMAT, "tables": {table.name: [c.name for c in table.columns] for table in _tables()}}


@contextmanager
def _one_instant(engine: Engine) -> Iterator[Connection]:
    """A connection that sees all tables as they are at one moment, and holds nobody up."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with reading(engine).connect() as connection:
        yield connection


def _framed(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    for name, content in members:
        yield _HEADER.pack(len(name.encode()), len(content)) + name.encode()
        yield content


@contextmanager
def _members_of(path: Path, key: bytes) -> Iterator[Iterator[tuple[str, bytes]]]:
    with _opened(path) as stream:
        yield _unframed(_Pieces(unseal(stream, key, PURPOSE, path.name)))


def _unframed(pieces: "_Pieces") -> Iterator[tuple[str, bytes]]:
    while pieces.more():
        name, size = _HEADER.unpack(pieces.take(_HEADER.size))
        yield pieces.take(name).decode(), pieces.take(size)


class _Pieces:
    """Bytes that come in pieces, to be taken by number."""

    def __init__(self, pieces: Iterator[bytes]):
        self._pieces, self._held = pieces, bytearray()

    def more(self, size: int = 1) -> bool:
        """Are there so many bytes left?"""
        while len(self._held) < size and (piece := next(self._pieces, None)) is not None:
            self._held += piece
        return len(self._held) >= size

    def take(self, size: int) -> bytes:
        """So many bytes; Damaged if there are fewer."""
        if not self.more(size):
            raise Damaged
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken


def _write(path: Path, parts: Iterable[bytes], key: bytes) -> None:
    try:
        Folder(path.parent).write(path.name, seal(parts, key, PURPOSE, path.name))
    except OSError as error:
        raise SansfaceError(os_error_sentence("write", path, error)) from error


def _deletions(path: Path, key: bytes) -> dict[str, Any]:
    with _opened(path) as stream:
        return parse_json(b"".join(unseal(stream, key, PURPOSE, DELETIONS)))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb") as stream:
            yield stream
    except Damaged:
        raise SansfaceError(
            f"{path} does not open: it is damaged or renamed, or its key is another one; "
            "name the file with the right key, or take another backup."
        ) from None
    except OSError as error:
        raise SansfaceError(os_error_sentence("read", path, error)) from error
