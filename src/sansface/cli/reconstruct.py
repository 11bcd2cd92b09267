"""The verbs reconstruct, from a bundle, and render, of what was kept."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from sansface.cli.words import FRAME_SUFFIX, Flag, Out, PresetName, Settings
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.progress import duration, progress_bar
from sansface.settings import with_settings

if TYPE_CHECKING:
    from sansface.cli.bench import Baseline
    from sansface.fields.template import Template
    from sansface.reconstruct.config import AnyConfig
    from sansface.reconstruct.run import Progress
    from sansface.reconstruct.supervision import Supervision


@dataclass(frozen=True)
class Reconstruct:
    """On the server: a head from a bundle. Writes mesh, report, settings and metrics into a folder.

    Ctrl-C leaves a usable head, and --resume goes on from there.
    """

    bundle: Positional[Path]
    """The bundle, such as head.sfb."""
    out: Out
    """Folder for the results; must be empty or new."""
    frame: Path | None = None
    """The way back to the capture's frame and unit; else NAME.frame.json if it still lies beside the bundle,
    else the mesh is in the bundle's own frame."""
    template: Path | None = None
    """A head template that stage 2 begins from, in place of stage 1; without it the package's own is taken
    where the bundle has no neutral frames, or nothing between the outlines of the sensitive ones."""
    preset: PresetName = "fast"
    """fast: minutes on two cores. paper: VolSDF's own network and rates, for a GPU and patience; paper-small:
    a tenth of that with small networks, for comparisons. splats: a second one, 2D Gaussian splatting."""
    seed: int = 0
    """Decides everything random."""
    device: str = "auto"
    """auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    resume: Flag = False
    """Go on with an interrupted run of the same bundle, settings and seed."""
    overwrite: Flag = False
    """Replace the results of an earlier run in the folder."""
    keep_radiance: Flag = False
    """Keep the trained radiance; what it renders can be recognised."""
    mesh_resolution: int | None = None
    """Cells of the marching cubes along an edge of the cube; else the preset's."""
    format: Literal["ply", "obj", "glb", "stl"] = "ply"
    """Of the mesh; mesh.ply is always written."""
    decimate: int | None = None
    """Reduce the mesh to about so many faces."""
    set: Settings = ()
    """Another setting of the preset: NAME=VALUE, such as stage2.steps=100."""
    view: Flag = False
    """Show the run in a browser on this machine: surface, cameras, what was received (extra view)."""
    port: int = 8080
    """Of the view, on 127.0.0.1; else the next free one."""

    def run(self) -> None:
        require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.capture import counted
        from sansface.fields.template import read_template
        from sansface.protect.bundle import bundle_digest, read_bundle
        from sansface.protect.frame import read_frame
        from sansface.reconstruct.config import preset
        from sansface.reconstruct.supervision import from_bundle

        more = [] if self.mesh_resolution is None else [f"mesh_resolution={self.mesh_resolution}"]
        bundle = read_bundle(self.bundle)
        beside = self.bundle.with_suffix(FRAME_SUFFIX)
        way_back = self.frame or (beside if beside.exists() else None)
        frame = None if way_back is None else read_frame(way_back, bundle_digest(bundle))
        views = counted(frame.role for frame in bundle.frames)
        config = with_settings(preset(self.preset, bundle.resolution, views), [*self.set, *more])
        train(
            from_bundle(bundle, frame),
            config,
            self,
            self.keep_radiance,
            self.format,
            self.decimate,
            self.port if self.view else None,
            None if self.template is None else read_template(self.template),
        )


@dataclass(frozen=True)
class Render:
    """Novel views of a reconstruction whose radiance was kept. What they show can be recognised.

    They are for the audit. With --radiance-of, the geometry of one head wears the radiance of another.
    """

    head: Positional[Path]
    """Folder of a reconstruction with --keep-radiance."""
    out: Out
    """Folder for the pictures; must be empty or new."""
    radiance_of: Path | None = None
    """Another such folder, whose radiance is worn."""
    views: int = 7
    """Pictures, from one side of the face to the other."""
    size: int = 256
    """Pixels of their side."""
    device: str = "auto"
    """auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    overwrite: Flag = False
    """Replace earlier pictures in the folder."""

    def run(self) -> None:
        require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.evaluate.png import write_png
        from sansface.files import fresh_folder
        from sansface.reconstruct.device import chosen_device
        from sansface.reconstruct.novel_views import novel_view, orbit, read_trained, worn

        if not (1 <= self.views <= 180 and 16 <= self.size <= 4096):
            raise SansfaceError(
                f"1 to 180 views of 16 to 4096 pixels can be rendered, not {self.views} of {self.size}."
            )
        device = chosen_device(self.device)
        head = read_trained(self.head, device)
        radiance = None if self.radiance_of is None else worn(head, read_trained(self.radiance_of, device))
        fresh_folder(self.out, self.overwrite)
        cameras = orbit(head, self.views, self.size)
        with progress_bar("rendering") as show:
            for done, (azimuth, camera) in enumerate(cameras.items(), start=1):
                write_png(self.out / f"view_{azimuth:+04d}.png", novel_view(head, camera, radiance))
                show(done / len(cameras))
        print(f"{self.out}: {len(cameras)} views. They may show who it is; see docs/threat-model.md.")


def train(
    supervision: "Supervision",
    config: "AnyConfig",
    options: "Reconstruct | Baseline",
    keep_radiance: bool = False,
    mesh_format: str = "ply",
    decimate: int | None = None,
    view_port: int | None = None,
    template: "Template | None" = None,
) -> None:
    """Reconstruct with a progress bar, and say where things lie."""
    from sansface.files import read_json
    from sansface.protect.frame import NORMALISED
    from sansface.reconstruct.run import Interrupted, reconstruct
    from sansface.reconstruct.viewer import Viewer

    if options.resume and options.overwrite:
        raise SansfaceError("--resume goes on and --overwrite starts anew; say one of them.")
    began = time.monotonic()
    viewer = None if view_port is None else Viewer(supervision, view_port)
    if viewer:
        print(f"view: {viewer.address} as long as this runs")
    with progress_bar("reconstructing") as show:

        def tell(now: "Progress") -> None:
            where = f"stage {now.stage}, step {now.step}/{now.steps}: " if now.steps else ""
            show(now.done, where + now.note, now.seconds_left)

        try:
            mesh = reconstruct(
                supervision,
                options.out,
                config,
                seed=options.seed,
                device=options.device,
                resume=options.resume,
                overwrite=options.overwrite,
                template=template,
                keep_radiance=keep_radiance,
                mesh_format=mesh_format,
                decimate=decimate,
                on_progress=tell,
                viewer=viewer,
            )
        except Interrupted as stopped:
            raise KeyboardInterrupt(str(stopped)) from stopped
        finally:
            if viewer:
                viewer.close()
    took = duration(time.monotonic() - began)
    where = "the capture's frame, unit " + supervision.unit
    if supervision.unit == NORMALISED:
        where = "the bundle's own frame, the unit sphere; --frame gives the capture's"
    print(f"mesh: {mesh}, in {where}, after {took}")
    begun = read_json(options.out / "config.json")["template"]
    if begun is not None:
        how = begun["placement"]["how"]
        alone = "" if how == "silhouettes" else ": no outline was shared, so its place and size are a guess"
        print(f"template: {begun['sha256'][:12]} in place of stage 1, placed by the {how}{alone}")
    print(f"report: {options.out / 'report.html'}")
