"""The enrolment register: by what enrolled people are known again, with the key and only with it.

Of a person it holds two templates, each under an isometry of its own (`virtual.isometry`, told apart by the
entry's random id, its counter and which of the two it is): of the photograph's embedding, and of the virtual
picture's. So without a key no two templates can be compared, not even two of one person under one key. There
is no embedding of an original, no picture, no name and no file name in it, and no order of time: entries
stand in the order of their ids.

The file is safetensors: `faces` and `virtuals`, (n, d) float32, and JSON in its header with the recogniser,
ids, counters and a SHA-256 over all of it, which finds damage. Whoever may write it may enrol himself.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sansface.deidentify.keys import Key
from sansface.deidentify.virtual import isometry
from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, parse_json, write_private
from sansface.recognise.recogniser import Recogniser

VERSION = 1
KEY = "sansface_register"
"""Of the JSON in the file's header."""
FACE, VIRTUAL = "face", "virtual picture"
"""Of what a template is; words of its isometry."""
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class Entry:
    """One virtual identity.

    Attributes:
        id: 64 random bits in hexadecimal.
        counter: of the codes by which the virtual face is drawn.
        face: (d,) float32 template of the photograph that was enrolled.
        virtual: (d,) float32 template of the virtual picture made of it.
    """

    id: str
    counter: int
    face: np.ndarray
    virtual: np.ndarray

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or self.counter < 0:
            raise ValueError("an entry has an id of 16 hexadecimal digits and a counter from 0 on")
        if self.face.shape != self.virtual.shape or self.face.ndim != 1:
            raise ValueError("an entry has two templates of one length")
        if not (np.isfinite(self.face).all() and np.isfinite(self.virtual).all()):
            raise ValueError("an entry's templates are finite numbers")


@dataclass(frozen=True, eq=False)
class Register:
    """Entries in the order of their ids, for one recogniser.

    Attributes:
        recogniser: its name.
        digest: SHA-256 of its weights.
        entries: see `Entry`.
    """

    recogniser: str
    digest: str
    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        ids = [entry.id for entry in self.entries]
        if ids != sorted(set(ids)) or len({len(entry.face) for entry in self.entries}) > 1:
            raise ValueError("a register's ids rise, and its templates have one length")

    def entry(self, name: str) -> Entry:
        """The entry of an id.

        Raises:
            SansfaceError: there is none.
        """
        for entry in self.entries:
            if entry.id == name:
                return entry
        raise SansfaceError(f"the register has no entry {name}; `sansface register list` shows all.")

    def revoked(self, name: str) -> "Register":
        """Without an entry. Raises SansfaceError: see `entry`."""
        gone = self.entry(name)
        return self._with(tuple(entry for entry in self.entries if entry is not gone))

    def enrolled(self, entry: Entry) -> "Register":
        """With one more."""
        return self._with(tuple(sorted((*self.entries, entry), key=lambda one: one.id)))

    def _with(self, entries: tuple[Entry, ...]) -> "Register":
        return Register(self.recogniser, self.digest, entries)


def register_for(recogniser: Recogniser) -> Register:
    """An empty one."""
    return Register(recogniser.name, recogniser.digest)


def enrol(key: Key, face: np.ndarray, virtual: np.ndarray, counter: int, name: str | None = None) -> Entry:
    """An entry of two embeddings (d,), of a face and of its virtual picture.

    name: its id; None draws one.
    """
    name = name or secrets.token_hex(8)
    templates = (
        isometry(key, len(embedding), kind, name, counter)(embedding).astype(np.float32)
        for kind, embedding in ((FACE, face), (VIRTUAL, virtual))
    )
    return Entry(name, counter, *templates)


def opened(register: Register, key: Key, kind: str) -> np.ndarray:
    """The embeddings that a key finds in the templates: e/‖e‖ of those made with it, noise in the others.

    A distance to them is that of the templates themselves, for an isometry keeps it: ‖v − (Q e + o)‖ =
    ‖Qᵀ(v − o) − e‖. This way one turns each entry once, whatever is compared with it.

    Args:
        register: n entries.
        key: for recognition.
        kind: `FACE` or `VIRTUAL`.

    Returns:
        (n, d) float64; (0, 0) of an empty register.
    """
    found = [
        isometry(key, len(template), kind, entry.id, entry.counter).back(template)
        for entry in register.entries
        for template in [entry.face if kind == FACE else entry.virtual]
    ]
    return np.stack(found) if found else np.zeros((0, 0))


def write_register(register: Register, path: str | Path, was: Register | None = None) -> None:
    """Write a register, beside and renamed, for its owner's eyes alone.

    Args:
        register: what is written.
        path: its file.
        was: what the file held when it was read. Where somebody was enrolled or revoked since, it stays as
            it is: who was revoked must not come back.

    Raises:
        SansfaceError: the file cannot be written, or is another by now.
    """
    path = Path(path)
    if was is not None:
        try:
            changed = path.read_bytes() != _content(was)
        except OSError as error:
            raise SansfaceError(os_error_sentence("read the register", path, error)) from error
        if changed:
            raise SansfaceError(
                f"{path} was changed meanwhile by another command; nothing is enrolled: run again."
            )
    write_private(path, _content(register))


def _content(register: Register) -> bytes:
    arrays = {"faces": _stacked([one.face for one in register.entries])}
    arrays["virtuals"] = _stacked([one.virtual for one in register.entries])
    about = {
        "version": VERSION,
        "recogniser": register.recogniser,
        "digest": register.digest,
        "ids": [entry.id for entry in register.entries],
        "counters": [entry.counter for entry in register.entries],
    }
    about["sha256"] = _checksum(about, arrays)
    return save(arrays, {KEY: json.dumps(about, sort_keys=True)})


def read_register(path: str | Path, recogniser: Recogniser | None = None) -> Register:
    """Read a register.

    Args:
        path: its file.
        recogniser: whose it must be; None for whosever it is.

    Raises:
        SansfaceError: one sentence, if it is missing, damaged, of another version, no register, or of another
            recogniser.
    """
    path = Path(path)
    try:
        with path.open("rb"):  # safetensors does not say why it cannot open a file
            pass
        with safe_open(path, framework="numpy") as file:
            about = parse_json(file.metadata()[KEY].encode())
            if about["version"] != VERSION:
                raise SansfaceError(
                    f"{path} is a register of version {about['version']!r}, and this sansface reads version "
                    f"{VERSION}; use the sansface that wrote it."
                )
            arrays = {name: file.get_tensor(name) for name in ("faces", "virtuals")}
        if about.pop("sha256") != _checksum(about, arrays):
            raise ValueError("another checksum")
        rows = zip(about["ids"], about["counters"], arrays["faces"], arrays["virtuals"], strict=True)
        register = Register(about["recogniser"], about["digest"], tuple(Entry(*row) for row in rows))
    except OSError as error:
        raise SansfaceError(os_error_sentence("read the register", path, error)) from error
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SansfaceError(f"{path} is damaged or no register; take it from your backup.") from error
    if recogniser and (register.recogniser, register.digest) != (recogniser.name, recogniser.digest):
        raise SansfaceError(
            f"the register {path} is of the recogniser {register.recogniser}, not of this {recogniser.name}; "
            "name that one with --recogniser, or enrol anew."
        )
    return register


def _stacked(templates: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(templates) if templates else np.zeros((0, 0), np.float32)


def _checksum(about: dict[str, object], arrays: dict[str, np.ndarray]) -> str:
    content = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        content.update(np.ascontiguousarray(arrays[name]).tobytes())
    return content.hexdigest()
