"""The verb assets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from sansface.errors import SansfaceError
from sansface.progress import progress_bar


@dataclass(frozen=True)
class Assets:
    """Models that the client uses but does not hold: list them, pull them (a download), verify them.

    SANSFACE_ASSETS names a folder that holds them already; then nothing is downloaded. `convert ict FOLDER`
    makes the parametric head of a clone of github.com/ICT-VGL/ICT-FaceKit.
    """

    what: Positional[Literal["list", "pull", "verify", "convert"]]
    """What to do."""
    names: Positional[tuple[str, ...]] = ()
    """Which ones: names of the list. Else all; pull: those that find faces and draw masks; convert: ict and
    the folder of its originals."""

    def run(self) -> None:
        from sansface import assets

        if self.what == "convert":
            self._convert()
            return
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

    def _convert(self) -> None:
        from sansface.heads.ict import convert

        if len(self.names) != 2 or self.names[0] != "ict":
            raise SansfaceError(
                "only ict is converted: sansface assets convert ict FOLDER, the clone of ICT-FaceKit."
            )
        with progress_bar("converting") as show:
            path = convert(Path(self.names[1]), show)
        print(f"ict: {path}")
