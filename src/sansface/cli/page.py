"""The page as one file for the user's own disk."""

import hashlib
from dataclasses import dataclass

from sansface.cli.words import Flag, Out, check_free


@dataclass(frozen=True)
class Page:
    """Write the page as one file that makes a bundle from disk, without a network, and print its SHA-256.

    The same version of sansface writes the same bytes: compare the sum with docs/page.md.
    """

    out: Out
    """The file to write, such as protect.html. Open it in a browser."""
    overwrite: Flag = False
    """Replace the file if it exists."""

    def run(self) -> None:
        from sansface.files import written_beside
        from sansface.serve.standalone import standalone

        check_free(self.out, self.overwrite)
        data = standalone()
        with written_beside(self.out) as part:
            part.write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {self.out.name}")
