"""Heads that are audited: what an attacker has of each, what was protected, and what was made of it.

Photographs are read, and reconstructions keep their radiance: all this stays where it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sansface.audit.artefacts.material import CONFIG, RUN
from sansface.audit.attackers.naive import as_pictures
from sansface.audit.portraits import (
    Portrait,
    frame_of,
    mesh_views,
    photographed,
    portraits,
    protected_views,
    radiance_views,
)
from sansface.audit.runs import done, reconstructed
from sansface.bench.baseline import baseline_config, baseline_supervision
from sansface.capture import Capture
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.protect.contents import Bundle
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.recognise.align import Placing
from sansface.recognise.detect import Face
from sansface.reconstruct.config import AnyConfig, changed, preset
from sansface.reconstruct.novel_views import TrainedHead, read_trained
from sansface.reconstruct.supervision import Supervision, from_bundle
from sansface.surface import Mesh, read_mesh

CPU = torch.device("cpu")
KINDS = {"ours": "ours", "full RGB": "full_rgb"}
"""Of reconstructions: their names in tables, and of `Sitting`."""


@dataclass(frozen=True, eq=False)
class Sitting:
    """One head, twice: what an attacker has of it, and what was protected.

    Attributes:
        name: of the folder.
        enrolled, probes: views of the face, of which none is in both.
        capture: of the probes.
        bundle: which the capture was protected as.
        ours, full_rgb: folders of reconstructions that kept their radiance, from the bundle and from all
            colours; None where there is none.
    """

    name: str
    enrolled: list[Portrait]
    probes: list[Portrait]
    capture: Capture
    bundle: Bundle
    ours: Path | None = None
    full_rgb: Path | None = None

    def trained(self, kind: str) -> TrainedHead:
        """What was reconstructed with its radiance.

        Args:
            kind: ours or full_rgb.

        Raises:
            SansfaceError: there is none.
        """
        folder = getattr(self, kind)
        if folder is None:
            raise SansfaceError(f"{self.name} has no reconstruction with its radiance; make it first.")
        return read_trained(folder, CPU)

    @property
    def truth(self) -> Path:
        """The true mesh, if it is there, in the capture's folder."""
        return self.capture.frames[0].image.parents[1] / "gt.ply"

    def mesh(self) -> Mesh:
        """What a server made of the bundle.

        Raises:
            SansfaceError: it is not there.
        """
        if self.ours is None:
            raise SansfaceError(f"{self.name} has no reconstruction; make it first.")
        return read_mesh(self.ours / "mesh.ply")

    def frontal(self) -> Portrait:
        """Of the probes that in which the nose is most nearly between the eyes."""

        def aside(one: Portrait) -> float:
            right, left, nose = one.landmarks[:3, 0]
            return abs(2 * nose - right - left) / max(abs(left - right), 1e-6)

        return min(self.probes, key=aside)


def read_sitting(
    folder: Path,
    runs: Path,
    find: Callable[[np.ndarray], Face | None],
    protection: ProtectSettings,
    steps: int | None = None,
    seed: int = 0,
) -> Sitting:
    """Two captures of one head in FOLDER/a and FOLDER/b, or one, every second view of which is enrolled.

    Runs are RUNS/NAME/ours and RUNS/NAME/full-rgb as `with_runs` makes them, or FOLDER/b-run as `Material`
    does.

    Raises:
        SansfaceError: a capture cannot be read, or shows no face; a run is of another seed, or with other
            settings.
    """
    twice = (folder / "a").is_dir()
    capture = read_capture(folder / "b" if twice else folder)
    probes = portraits(capture, find)
    enrolled = portraits(read_capture(folder / "a"), find) if twice else probes[::2]
    probes = probes if twice else probes[1::2]
    if not enrolled or not probes:
        raise SansfaceError(f"no face is found in the photographs of {folder}; give another head.")
    sitting = Sitting(folder.name, enrolled, probes, capture, protect(capture, protection))
    for kind in KINDS.values():
        run = runs / folder.name / kind.replace("_", "-")
        if run.is_dir() and done(*_asked(sitting, kind, steps), seed, run):
            sitting = replace(sitting, **{kind: run})
    if sitting.ours is None and done(from_bundle(sitting.bundle), CONFIG, seed, folder / RUN):
        sitting = replace(sitting, ours=folder / RUN)
    return sitting


def with_runs(sitting: Sitting, runs: Path, steps: int | None = None, seed: int = 0) -> Sitting:
    """The same with both reconstructions of as many steps, made in RUNS where they are missing there.

    Their radiance is kept.

    Args:
        steps: of stage 2, if not the preset's.

    Raises:
        SansfaceError: a run is of another seed, or with other settings.
    """
    for kind in KINDS.values():
        out = runs / sitting.name / kind.replace("_", "-")
        reconstructed(*_asked(sitting, kind, steps), seed, out, device="cpu")
        sitting = replace(sitting, **{kind: out})
    return sitting


def _asked(sitting: Sitting, kind: str, steps: int | None) -> tuple[Supervision, AnyConfig]:
    """What a reconstruction is made from: `ours` or `full_rgb`."""
    resolution = sitting.bundle.resolution
    if kind == "ours":
        supervision, config = from_bundle(sitting.bundle), preset("fast", resolution)
    else:
        supervision = baseline_supervision(sitting.capture, ProtectSettings(resolution=resolution))
        config = baseline_config(resolution=resolution)
    return supervision, config if steps is None else changed(config, {"stage2": {"steps": steps}})


def artefacts(sitting: Sitting, placing: Placing) -> dict[str, np.ndarray]:
    """What table 2 compares, of the views probed: name to (n, side, side, 3) float32, as far as it is there.

    The reduced original has the bundle's pixels: what the size hides, and not the operator, is seen by it.
    """
    modulus = protected_views(sitting.probes, sitting.bundle, placing)
    found = {
        "original": photographed(sitting.probes, placing),
        "original, reduced": photographed(sitting.probes, placing, sitting.bundle.resolution),
        "protected": as_pictures(modulus),
        "protected, as a drawing": as_pictures(modulus, drawing=True),
    }
    if sitting.truth.is_file():
        found["true mesh"] = mesh_views(sitting.probes, read_mesh(sitting.truth), placing)
    for name, kind in KINDS.items():
        folder = getattr(sitting, kind)
        if folder is not None:
            head, frame = sitting.trained(kind), frame_of(folder)
            found[f"mesh, {name}"] = mesh_views(sitting.probes, read_mesh(folder / "mesh.ply"), placing)
            found[f"rendering, {name}"] = radiance_views(sitting.probes, head, frame, placing)
    return found
