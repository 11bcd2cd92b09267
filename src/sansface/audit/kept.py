"""What an audit found out once, for the next one: a folder of files, each named by what it was made from.

Whoever has the folder has the faces: landmarks, embeddings by which people are recognised, and networks that
draw faces. So it is its owner's alone, as far as the platform has permissions, and belongs on no server.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, written_beside

OWN = re.compile(r"[a-z]+-[0-9a-f]{16}\.safetensors(\.[0-9a-f]{8}\.part)?")
"""Names of what may lie in the folder."""


class Kept:
    """The folder, or none: then everything is made anew.

    Raises:
        SansfaceError: it is a file, holds what no audit made, or cannot be made.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        if folder is None:
            return
        try:
            if folder.exists() and not folder.is_dir():
                raise SansfaceError(f"{folder} is a file; give the name of a folder for what was learnt.")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            strange = sorted(path.name for path in folder.iterdir() if not OWN.fullmatch(path.name))
            if strange:
                raise SansfaceError(
                    f"{folder} holds {strange[0]}, which no audit made; choose another folder."
                )
        except OSError as error:
            raise SansfaceError(os_error_sentence("make the folder", folder, error)) from error
        _owner_only(folder, *folder.iterdir())

    def arrays(
        self, what: str, made_from: Mapping[str, Any], make: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """What `make` gives, or gave from the very same.

        Args:
            what: a word.
            made_from: all that decides: plain JSON, arrays, and dataclasses, mappings and sequences of these.
                The program's own code counts as well.
            make: gives named arrays of numbers.

        Raises:
            SansfaceError: the file is damaged or made from something else, or cannot be written.
        """
        if self.folder is None:
            return dict(make())
        known = _told({**made_from, "code": _code()})
        path = self._path(what, known)
        if path.exists():
            try:
                with safe_open(path, framework="numpy") as file:
                    told = file.metadata()
                    arrays = {name: file.get_tensor(name) for name in json.loads(told["names"])}
            except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
                raise SansfaceError(f"{path} is damaged; remove it, and it is made again.") from error
            if told["made_from"] != known:
                raise SansfaceError(f"{path} was made from something else; remove it, and it is made again.")
            return arrays
        made = {name: np.ascontiguousarray(value) for name, value in make().items()}
        with written_beside(path) as part:
            try:
                save_file(made, part, {"made_from": known, "names": json.dumps(list(made))})
            except SafetensorError as error:
                raise OSError(28 if "os error 28" in str(error) else 0, str(error)) from error
            _owner_only(part)
        return made

    def training(self, what: str, made_from: Mapping[str, Any]) -> tuple[Path | None, dict[str, Any]]:
        """Where a training's state belongs, None for nowhere, and what it is known by (`attackers.training`).

        A training is believed by whatever version of the program it was made: it shows what it is worth.
        """
        place = None if self.folder is None else self._path(what, _told(made_from))
        return place, _plain(made_from)

    def _path(self, what: str, known: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{what}-{hashlib.sha256(known.encode()).hexdigest()[:16]}.safetensors"


def _told(made_from: Mapping[str, Any]) -> str:
    return json.dumps(_plain(made_from), sort_keys=True, allow_nan=False)


def _plain(value: Any) -> Any:
    """As JSON; an array as its type, shape and digest."""
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value)
        return [value.dtype.str, list(value.shape), hashlib.sha256(content.data).hexdigest()]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value


@cache
def _code() -> str:
    """Of another version of the program nothing is believed."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _owner_only(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):
            path.chmod(0o700 if path.is_dir() else 0o600)
