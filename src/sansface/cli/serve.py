"""The verb serve."""

from dataclasses import dataclass
from pathlib import Path

from sansface.cli.words import Settings
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.settings import with_settings


@dataclass(frozen=True)
class Serve:
    """The web page and the API behind it, on 127.0.0.1; docs/service.md. Workers are `sansface worker`.

    SANSFACE_STORE_KEY is the key by which everything kept is encrypted; SANSFACE_DATABASE and SANSFACE_STORE
    are URLs, where the folder is not enough.
    """

    data: Path = Path("sansface-data")
    """Folder for the database and the store."""
    port: int = 8000
    """On 127.0.0.1; 0 takes a free one."""
    retention_days: float = 30.0
    """Bundles, jobs and results are deleted so long after the bundle came."""
    backup_days: float = 30.0
    """The longest that you keep a backup: so long deletions are remembered."""
    set: Settings = ()
    """A limit of docs/service.md, such as account_jobs=20; may be said more than once."""

    def run(self) -> None:
        web = require("sansface.serve.web", extra="serve")
        from sansface.serve.deployment import deployment
        from sansface.serve.limits import Limits
        from sansface.serve.service import Retention

        if not (self.retention_days > 0 and self.backup_days > 0):
            raise SansfaceError("--retention-days and --backup-days are numbers above 0; correct them.")
        limits = with_settings(Limits(), self.set)
        web.serve(deployment(self.data), self.port, limits, Retention(self.retention_days, self.backup_days))
