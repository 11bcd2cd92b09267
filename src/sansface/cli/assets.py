"""The verb assets."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Assets:
    """Models that the client uses but does not hold: list them, pull them (a download), verify them.

    SANSFACE_ASSETS names a folder that holds them already; then nothing is downloaded.
    """

    what: Positional[Literal["list", "pull", "verify"]]
    """What to do."""
    names: Positional[tuple[str, ...]] = ()
    """Which ones: names of the list. Else all; pull: those that find faces and draw masks."""

    def run(self) -> None:
        from sansface import assets

        names = self.names or (assets.CLIENT if self.what == "pull" else tuple(assets.ASSETS))
        if self.what == "list":
            print(assets.describe(names))
        elif self.what == "pull":
            for name in names:
                print(f"{name}: {assets.pull(name)}")
        else:
            states = {name: assets.state(name) for name in names}
            print("\n".join(f"{name}: {found}" for name, found in states.items()))
            wrong = [name for name, found in states.items() if found == "changed"]
            if wrong:
                assets.find(wrong[0])  # says which file, and what to do
