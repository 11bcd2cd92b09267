"""The verb head."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from sansface.cli.words import Flag, Out
from sansface.errors import SansfaceError
from sansface.extras import require

VIEW = 160
"""Pixels of a rendering: a ray of the neural head takes a tenth of a millisecond."""


@dataclass(frozen=True)
class Head:
    """Fit the parametric head to one photograph, on your device: a mesh, its codes, and how sure they are.

    A head by many photographs is far more exact: see `sansface reconstruct`. What is written describes a
    person and is biometric data.
    """

    photograph: Positional[Path]
    """JPEG, PNG, TIFF, WebP; HEIC with the extra heic. Of several faces the largest."""
    out: Out
    """Folder for mesh.ply, head.json and report.html."""
    shading: Flag = False
    """Refine the shape by the light on it, too: some seconds more."""
    views: Flag = False
    """Render it from other sides, too, by the neural head: some seconds a side, and needs the extra
    reconstruct."""
    overwrite: Flag = False
    """Replace an earlier head in the folder."""

    def run(self) -> None:
        single = require("sansface.deidentify.single", extra="deidentify")
        import numpy as np

        from sansface.deidentify.faces import Tools
        from sansface.files import fresh_folder
        from sansface.photographs.decode import decode_rgb

        photograph, tools = decode_rgb(self.photograph, "photograph"), Tools()
        rng = np.random.default_rng(secrets.randbits(128))
        try:
            head, appearance = single.single_head(photograph, tools, rng, self.shading)
        except SansfaceError as error:
            raise SansfaceError(f"{self.photograph}: {error}") from error
        views = []
        if self.views:
            rendered = require("sansface.heads.neural.views", extra="reconstruct")
            cameras = [single.turned(degrees).resized(VIEW, VIEW) for degrees in single.TURNS]
            views = rendered.views(head, appearance, cameras)
        out = fresh_folder(self.out, self.overwrite)
        said = single.write_head(tools.model, head, appearance, out, views)
        print(
            f"{out / 'mesh.ply'}: landmarks {said['landmarks']['mean']:.2%} of the distance between the eyes "
            f"off; surface uncertain by {said['surface spread']:.1f} mm."
        )
        print(f"Pictures and numbers: {out / 'report.html'}")
