"""The verb backup."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from sansface.errors import SansfaceError
from sansface.extras import require

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from sansface.serve.store import Store


@dataclass(frozen=True)
class Backup:
    """Encrypted backups of the service: new, list, restore, expire, deletions; docs/deploy.md.

    new, list, expire: with --to FOLDER. deletions: note in --to FOLDER what was deleted since; do it often:
    only what is noted stays deleted when a backup is restored. restore ARCHIVE: into an empty deployment.
    """

    what: Positional[Literal["new", "list", "restore", "expire", "deletions"]]
    """What to do."""
    archive: Positional[Path | None] = None
    """restore: of what."""
    to: Path | None = None
    """Folder of the backups: on another disk than the store."""
    days: float = 30.0
    """How long backups are kept: not longer than the server's --backup-days says."""
    data: Path = Path("sansface-data")
    """Folder for the database and the store, as for `sansface serve`."""
    key_file: Path | None = None
    """restore: the key under which the archive was written, where the deployment has another one now."""

    def run(self) -> None:
        backup = require("sansface.serve.backup", extra="serve")
        if not self.days > 0:
            raise SansfaceError("--days is a number above 0; correct it.")
        if self.what == "restore":
            if self.archive is None:
                raise SansfaceError("name the archive: sansface backup restore FOLDER/sansface-….backup")
            return self._restore(self.archive)
        if self.to is None or self.archive is not None:
            raise SansfaceError(f"name the folder, and nothing else: sansface backup {self.what} --to FOLDER")
        match self.what:
            case "list":
                for archive in backup.archives(self.to):
                    made = datetime.fromtimestamp(archive.made, UTC)
                    left = self.days - archive.days()
                    print(
                        f"{archive.path.name}  {made:%Y-%m-%d %H:%M} UTC  {archive.size / 1e6:.1f} MB  "
                        + (f"{left:.1f} days left" if left > 0 else "expired")
                    )
            case "expire":
                for archive in backup.expire(self.to, self.days):
                    print(f"{archive.path.name} removed.")
            case "deletions":
                engine, _, key = self._opened()
                noted = backup.note_deletions(engine, key, self.to, self.days)
                print(f"{len(noted)} deletions are noted in {self.to}.")
            case "new":
                engine, store, key = self._opened()
                archive, lost = backup.new(engine, store, key, self.to, self.days)
                print(f"{archive.path}: {archive.size / 1e6:.1f} MB.")
                if lost:
                    raise SansfaceError(
                        f"the backup is written, but {len(lost)} objects are lost from the store, "
                        f"the first {lost[0]}; restoring leaves out what they belong to."
                    )

    def _restore(self, archive: Path) -> None:
        from sansface.serve import backup
        from sansface.serve.deployment import read_key

        engine, store, key = self._opened()
        if self.key_file is not None:
            key = read_key(self.key_file)
        restored = backup.restore(archive, engine, store, key, self.days)
        rows = ", ".join(f"{number} {table}" for table, number in restored.rows.items() if number)
        print(f"Restored {rows or 'no rows'}, and {restored.objects} objects.")
        print(f"{restored.left_out} rows were left out: deleted since, expired, or without their bytes.")

    def _opened(self) -> "tuple[Engine, Store, bytes]":
        from sansface.serve.database import open_database
        from sansface.serve.deployment import deployment
        from sansface.serve.store import Store

        where = deployment(self.data)
        return open_database(where.database), Store(where.store, where.key), where.key
