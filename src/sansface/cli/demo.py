"""The verb demo: all the others, one after the other."""

import time
from dataclasses import dataclass
from pathlib import Path

from sansface.cli.evaluate import Evaluate
from sansface.cli.protect import Inspect, Protect
from sansface.cli.reconstruct import Reconstruct
from sansface.cli.words import Flag, Out
from sansface.extras import require
from sansface.progress import duration, progress_bar


@dataclass(frozen=True)
class Demo:
    """Try everything on a procedural head: photograph, protect, inspect, reconstruct, evaluate, report.

    Nothing is downloaded and nobody is shown. Takes some minutes.
    """

    out: Out = Path("sansface-demo")
    """Folder for the capture, the bundle and the reconstruction."""
    seed: int = 0
    """Which head, and the seed of its reconstruction."""
    overwrite: Flag = False
    """Replace an earlier demo in the same folder."""

    def run(self) -> None:
        require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.demo import make_demo_capture
        from sansface.files import fresh_folder

        began = time.monotonic()
        fresh_folder(self.out, self.overwrite)
        capture, bundle, head = (self.out / name for name in ("capture", "head.sfb", "reconstruction"))
        print(f"1/5 photograph a procedural head: {capture}")
        with progress_bar("photographing") as show:
            make_demo_capture(
                capture,
                self.seed,
                overwrite=self.overwrite,
                progress=lambda done, views: show(done / views),
            )
        print(f"\n2/5 protect, on the device: {bundle}")
        Protect(capture, bundle, overwrite=self.overwrite).run()
        print(f"\n3/5 inspect what would leave the device: {bundle}")
        Inspect(bundle, sheet=self.out / "contact-sheet.png", overwrite=self.overwrite).run()
        print(f"\n4/5 reconstruct, from the bundle alone: {head}")
        Reconstruct(bundle, head, seed=self.seed, overwrite=self.overwrite).run()
        print("\n5/5 evaluate")
        Evaluate(head / "mesh.ply", truth=capture / "gt.ply", capture=capture).run()
        print(f"whole demo: {duration(time.monotonic() - began)}")
