"""One reconstruction from supervision to a folder of results that explains itself."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from sansface.errors import SansfaceError
from sansface.evaluate.png import write_png
from sansface.fields.template import Template, placed, shipped_template
from sansface.files import fresh_folder
from sansface.protect.contents import Share
from sansface.reconstruct import checkpoint, pictures
from sansface.reconstruct.config import AnyConfig, Config
from sansface.reconstruct.device import chosen_device
from sansface.reconstruct.method import method_of
from sansface.reconstruct.placement import place
from sansface.reconstruct.record import Progress, Record, Stop
from sansface.reconstruct.resume import (
    HALF_WRITTEN,
    OURS,
    clear,
    finished,
    identity_of,
    in_frame,
    resumable,
)
from sansface.reconstruct.supervision import Supervision
from sansface.reconstruct.viewer import Viewer
from sansface.report import write_report
from sansface.surface.clean import check_decimation, largest_component
from sansface.surface.clean import decimate as decimated
from sansface.surface.mesh import FORMATS, Mesh, transform, write_mesh

HOLD = {Share.OUTLINE: 0.5, Share.CAMERA: 4.0}
"""Times the smoothness of the change from a template, where no picture of the face is compared. Outlines have
less to average out than pictures; and where there are none, only the template knows what the face has."""


class Interrupted(SansfaceError):
    """Ctrl-C: what was learnt so far has been written, and the run can be resumed."""


class Halt(Exception):
    """`on_progress` raises it to end a run at once: there is a checkpoint, and no mesh of the moment."""


def reconstruct(
    supervision: Supervision,
    out: str | Path,
    config: AnyConfig,
    *,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    template: Template | None = None,
    keep_radiance: bool = False,
    mesh_format: str = "ply",
    decimate: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    viewer: Viewer | None = None,
) -> Path:
    """Reconstruct a head.

    Args:
        out: folder for mesh, config.json, metrics.jsonl, pictures and report.html.
        seed: with the same config, thread count and device (a CPU) it gives the same mesh, bit for bit.
        device: `auto` (a CUDA device if there is one), `cpu`, `cuda`, `cuda:1` ...
        resume: go on from the checkpoint in `out`, of the same data, config and seed; a finished run stays.
        overwrite: replace the results in `out`.
        template: stage 2 begins from it, and stage 1 is left out; else the package's own does so where there
            are no neutral views for stage 1 (sec. 3.4), or no σ of the sensitive ones.
        keep_radiance: keep the checkpoint, and with it the radiance, whose renderings can be recognised.
        mesh_format: ply, obj, glb or stl; mesh.ply is always written.
        decimate: at most so many faces.
        on_progress: is told after every step and at the end; may raise `Halt`.
        viewer: is shown every step.

    Returns:
        the path of the mesh, in the capture's frame and unit.

    Raises:
        Interrupted: Ctrl-C; the folder holds the mesh of the moment and a checkpoint.
        Halt: as `on_progress` wished; the folder holds a checkpoint of its last step.
        SansfaceError: one sentence.
    """
    if mesh_format not in FORMATS:
        raise SansfaceError(f"there is no mesh format {mesh_format!r}; choose one of {', '.join(FORMATS)}.")
    if decimate is not None:
        check_decimation(decimate)
    out, where = Path(out), chosen_device(device)
    if isinstance(config, Config):
        template = template or needed_template(supervision, config)
        config = suited(config, supervision, template)
    elif template is not None:
        raise SansfaceError("splats begin from the visual hull, not from a template; choose another preset.")
    elif supervision.share is not Share.MODULUS:
        raise SansfaceError(
            f"splats learn from pictures of the face, and of those the bundle shares the {supervision.share} "
            "only; choose the preset fast."
        )
    identity = identity_of(supervision, config, seed, template, decimate)
    path = out / f"mesh.{mesh_format}"
    if resume and path.is_file() and finished(out, identity):
        if keep_radiance:
            raise SansfaceError(
                f"the run in {out} is finished and its radiance deleted; say --overwrite to run it again."
            )
        if in_frame(out, supervision, path):
            write_report(out)
        return path
    kept = resumable(out, identity) if resume else None
    if kept is None:
        fresh_folder(out, overwrite or resume)
    clear(out, HALF_WRITTEN if kept else (*HALF_WRITTEN, *OURS))
    (out / "pictures").mkdir(exist_ok=True)
    record = Record(out, supervision, config, identity, template, kept, on_progress, viewer)
    begun = {}
    if isinstance(config, Config) and template is not None:
        if record.placement is None:
            record.telling(1, 0.0, "placing the template")
            record.placement = place(template, supervision, config, seed, where)
        begun = {"start": placed(template, record.placement, where)}
    record.describe(where, status="running")
    if not supervision.unprotected:
        write_png(out / "pictures" / "protected.png", pictures.contact_sheet(supervision))

    def restore(field: nn.Module, optimiser: torch.optim.Adam, stage: int) -> int:
        if kept is None or stage > kept.run["stage"]:
            return 0
        if stage < kept.run["stage"]:
            return getattr(config, f"stage{stage}").steps
        kept.restore(field, optimiser)
        return kept.run["step"]

    with _enough_memory(out), _float32():
        with _interruptible(record):
            try:
                field = method_of(config).train(
                    supervision, config, seed, where, record.watch, restore, **begun
                )
            except Stop as stop:
                field = stop.field
            except Halt:
                if record.last is not None:
                    record.checkpoint(record.last)
                raise
        if record.stopped and record.last is not None:
            record.checkpoint(record.last)

        record.telling(3, 1.0, "surface")
        mesh = head_mesh(field, supervision, config)
    if decimate is not None:
        mesh = decimated(mesh, decimate)
    write_mesh(mesh, out / "mesh.ply", supervision.stamp)
    if mesh_format != "ply":
        write_mesh(mesh, path, supervision.stamp)
    record.telling(3, 1.0, "pictures and report")
    pictures.write_mesh_pictures(out / "pictures", mesh, supervision)
    record.describe(where, status="interrupted" if record.stopped else "done")
    write_report(out)
    if record.stopped:
        raise Interrupted(f"interrupted; {path} holds the head so far, and --resume goes on from there.")
    if not keep_radiance:
        # Last of all: whatever ends the process before this line, the run can still be resumed.
        (out / checkpoint.NAME).unlink(missing_ok=True)
    return path


def needed_template(supervision: Supervision, config: Config) -> Template | None:
    """The package's own template where stage 1 is to learn from neutral views and there are none.

    And where there is no σ: then nothing but a template knows what a face has between its outlines.
    """
    stage = config.stage1
    wanted = stage.steps > 0 and "neutral" in (stage.targets, stage.silhouettes)
    lacking = not any(view.neutral for view in supervision.views) or supervision.share is not Share.MODULUS
    return shipped_template() if wanted and lacking else None


def suited(config: Config, supervision: Supervision, template: Template | None) -> Config:
    """The settings as far as they apply: stage 1 is left out where there is a template, and what is to be
    compared must be there.

    Raises:
        SansfaceError: the sensitive pictures are all that is compared, and none is shared.
    """
    stage = config.stage2
    if supervision.share is not Share.MODULUS:
        if stage.smoothness is not None:
            times, ramp = HOLD[supervision.share], stage.smoothness
            stage = replace(stage, smoothness=replace(ramp, start=times * ramp.start, end=times * ramp.end))
        if stage.targets == "sensitive":
            raise SansfaceError(
                f"the preset {config.preset} compares pictures of the face, and of those the bundle shares "
                f"the {supervision.share} only; choose the preset fast."
            )
        colour = stage.colour if any(view.neutral for view in supervision.views) else 0.0
        stage = replace(stage, colour=colour, gradient=0.0)
    if supervision.share is Share.CAMERA:
        # The pressure is against what a visual hull has too much, and from behind there is hardly a hull.
        stage = replace(stage, volume=None)
    first = config.stage1 if template is None else replace(config.stage1, steps=0)
    return replace(config, stage1=first, stage2=stage)


def head_mesh(field: nn.Module, supervision: Supervision, config: AnyConfig) -> Mesh:
    """The surface of what was trained as one component, in the user's frame and unit.

    Raises:
        SansfaceError: there is none.
    """
    mesh = largest_component(method_of(config).surface(field, supervision, config.mesh_resolution))
    return transform(mesh, supervision.center, supervision.radius, supervision.rotation)


@contextmanager
def _interruptible(record: Record) -> Iterator[None]:
    """The first Ctrl-C ends the training after a whole step; the second one works as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        record.stopped = True
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _float32() -> Iterator[None]:
    """On a GPU convolutions may round to ten bits (TF32): σ's twin is the client's to 1e-5."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def _enough_memory(out: Path) -> Iterator[None]:
    """One sentence where memory is used up, on the GPU or not."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        kept = (
            f"go on from {out / checkpoint.NAME} with --resume"
            if (out / checkpoint.NAME).exists()
            else "try again"
        )
        raise SansfaceError(
            f"the memory is used up; free some and {kept}, or start anew with less at once: "
            "--set patch=32, --set silhouette_rays=2000, --mesh-resolution 128, or a bundle of fewer pixels."
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    # On a CPU torch has no class of its own for it.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
