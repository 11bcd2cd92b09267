"""The verb key: make the secrets of keyed de-identification."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from sansface.extras import require


@dataclass(frozen=True)
class NewKey:
    """new: 256 bits from the operating system in a file that only you may read. None is ever written over.

    Keep a copy in another place: nobody can make it again. Who has it can undo what it hides: docs/keys.md.
    """

    what: Positional[Literal["new"]]
    """What to do."""
    file: Positional[Path]
    """Where to write it."""
    purpose: Literal["recognition", "sealing"] = "recognition"
    """recognition: draws virtual faces and knows people by them. sealing: opens originals inside pictures."""

    def run(self) -> None:
        keys = require("sansface.deidentify.keys", extra="deidentify")
        keys.write_key(keys.new_key(keys.Purpose(self.purpose)), self.file)
        print(f"{self.file}: a key for {self.purpose}. Keep a copy elsewhere, and show it to nobody.")
