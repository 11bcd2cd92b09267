"""One reconstruction from supervision to a folder of results that explains itself."""

import hashlib
import json
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sansface import __version__
from sansface.errors import SansfaceError
from sansface.evaluate.png import write_png
from sansface.fields.template import Placement, Template, placed, shipped_template
from sansface.files import fresh_folder, read_json, write_json, written_beside
from sansface.protect.contents import Share
from sansface.reconstruct import checkpoint, pictures
from sansface.reconstruct.config import AnyConfig, Config
from sansface.reconstruct.method import method_of
from sansface.reconstruct.placement import place
from sansface.reconstruct.stages import Moment
from sansface.reconstruct.supervision import Supervision
from sansface.reconstruct.viewer import Viewer
from sansface.report import write_report
from sansface.surface.clean import decimate as decimated
from sansface.surface.clean import largest_component
from sansface.surface.mesh import FORMATS, Mesh, transform, write_mesh

CHECKPOINT_SECONDS = 10.0
PREVIEW_SECONDS = 20.0
METRIC_STEPS = 10
FINISH_SECONDS = 10.0
"""What surface, pictures and report take, for the first estimate of the time left."""


class Interrupted(SansfaceError):
    """Ctrl-C: what was learnt so far has been written, and the run can be resumed."""


class Halt(Exception):
    """`on_progress` raises it to end a run at once: there is a checkpoint, and no mesh of the moment."""


class _Stop(Exception):
    """Ends the training after a whole step."""

    def __init__(self, field: nn.Module) -> None:
        self.field = field


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    stage: int  # 1 or 2; 3 while surface, pictures and report are made
    step: int  # done of this stage
    steps: int
    done: float  # share of all steps of all stages, 0 to 1
    seconds: float  # since the run began, resumed parts included
    seconds_left: float
    losses: dict[str, float]
    note: str


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
    identity = _identity(supervision, config, seed, template)
    path = out / f"mesh.{mesh_format}"
    if resume and path.is_file() and _finished(out, identity):
        return path
    kept = _resumable(out, identity) if resume else None
    if kept is None:
        fresh_folder(out, overwrite or resume)
    _clear(out, _HALF_WRITTEN if kept else (*_HALF_WRITTEN, *_OURS))
    (out / "pictures").mkdir(exist_ok=True)
    log = _Log(out, supervision, config, identity, template, kept, on_progress, viewer)
    begun = {}
    if isinstance(config, Config) and template is not None:
        if log.placement is None:
            log.telling(1, 0.0, "placing the template")
            log.placement = place(template, supervision, config, seed, where)
        begun = {"start": placed(template, log.placement, where)}
    log.describe(where, status="running")
    if not supervision.unprotected:
        write_png(out / "pictures" / "protected.png", pictures.contact_sheet(supervision))

    def restore(field: nn.Module, optimiser: torch.optim.Adam, stage: int) -> int:
        if kept is None or stage > kept.run["stage"]:
            return 0
        if stage < kept.run["stage"]:
            return getattr(config, f"stage{stage}").steps
        kept.restore(field, optimiser)
        return kept.run["step"]

    with _enough_memory(out):
        with _interruptible(log):
            try:
                field = method_of(config).train(supervision, config, seed, where, log.watch, restore, **begun)
            except _Stop as stop:
                field = stop.field
            except Halt:
                if log.last is not None:
                    log.checkpoint(log.last)
                raise
        if log.stopped and log.last is not None:
            log.checkpoint(log.last)

        log.telling(3, 1.0, "surface")
        mesh = head_mesh(field, supervision, config)
    if decimate is not None:
        mesh = decimated(mesh, decimate)
    write_mesh(mesh, out / "mesh.ply")
    if mesh_format != "ply":
        write_mesh(mesh, path)
    log.telling(3, 1.0, "pictures and report")
    pictures.write_mesh_pictures(out / "pictures", mesh, supervision)
    log.describe(where, status="interrupted" if log.stopped else "done")
    write_report(out)
    if log.stopped:
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
        # There is less to average out than where pictures are compared.
        if stage.smoothness is not None:
            smoothness = stage.smoothness
            stage = replace(
                stage, smoothness=replace(smoothness, start=smoothness.start / 2, end=smoothness.end / 2)
            )
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


class _Log:
    """Everything that a run writes while it trains."""

    def __init__(
        self,
        out: Path,
        supervision: Supervision,
        config: AnyConfig,
        identity: dict[str, Any],
        template: Template | None,
        kept: checkpoint.Checkpoint | None,
        on_progress: Callable[[Progress], None] | None,
        viewer: Viewer | None,
    ) -> None:
        self.out, self.supervision, self.config, self.identity = out, supervision, config, identity
        self.template, self.on_progress, self.viewer = template, on_progress, viewer
        # Where a checkpoint goes on from, the template has its place already.
        self.placement = Placement.of(**kept.run["placement"]) if kept and template else None
        self.method = method_of(config)
        self.stopped = False
        self.last: Moment | None = None
        self.before = float(kept.run["seconds"]) if kept else 0.0
        self.began = self.checkpointed = self.previewed = time.monotonic()
        self.rate: dict[int, float] = {}
        self.moment_began = self.began
        self.rows = _rows_until(out / "metrics.jsonl", kept.run) if kept else []

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def watch(self, moment: Moment) -> None:
        """After each step: metrics, now and then a checkpoint and a preview, progress."""
        self.last = moment
        now = time.monotonic()
        spent, self.moment_began = now - self.moment_began, now
        self.rate[moment.stage] = 0.9 * self.rate.get(moment.stage, spent) + 0.1 * spent
        if moment.step % METRIC_STEPS == 0 or moment.step == moment.steps:
            row = {"step": moment.step, "stage": moment.stage, "seconds": round(self.seconds(), 3)}
            self.rows.append(row | moment.losses)
        if now - self.checkpointed > CHECKPOINT_SECONDS or moment.step == moment.steps:
            self.checkpoint(moment)
        if now - self.previewed > PREVIEW_SECONDS:
            self.preview(moment)
        progress = self._progress(moment)
        if self.on_progress:
            self.on_progress(progress)
        if self.viewer:
            note = f"stage {moment.stage}, step {moment.step} of {moment.steps}: {progress.note}"
            surface = partial(self.method.surface, moment.field, self.supervision)
            self.viewer.show(surface, note, progress.done)
        if self.stopped:
            raise _Stop(moment.field)

    def checkpoint(self, moment: Moment) -> None:
        """Metrics first: a checkpoint never knows of a step that they do not."""
        with written_beside(self.out / "metrics.jsonl") as part:
            part.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
        run = self.identity | {"stage": moment.stage, "step": moment.step, "seconds": self.seconds()}
        if self.placement:
            run["placement"] = asdict(self.placement)
        checkpoint.save(self.out / checkpoint.NAME, moment.field, moment.optimiser, run)
        self.checkpointed = time.monotonic()

    def preview(self, moment: Moment) -> None:
        """Normals of the surface so far: geometry, never the radiance."""
        picture = pictures.preview(moment.field, self.supervision, self.method.normals)
        name = f"preview_{moment.stage}_{moment.step:06d}.png"
        write_png(self.out / "pictures" / name, picture)
        self.previewed = time.monotonic()

    def telling(self, stage: int, done: float, what: str) -> None:
        """What is being done beside the steps."""
        if self.on_progress:
            self.on_progress(Progress(stage, 0, 0, done, self.seconds(), FINISH_SECONDS / 2, {}, what))

    def _progress(self, moment: Moment) -> Progress:
        stages = {1: self.config.stage1.steps, 2: self.config.stage2.steps}
        rate = self.rate[moment.stage]
        left = rate * (moment.steps - moment.step)
        done = moment.step + (stages[1] if moment.stage == 2 else 0)
        if moment.stage == 1:
            left += rate * stages[2]
        note = "neutral colour" if moment.stage == 1 else "protected gradients"
        return Progress(
            moment.stage,
            moment.step,
            moment.steps,
            done / max(1, sum(stages.values())),
            self.seconds(),
            left + FINISH_SECONDS,
            moment.losses,
            "UNPROTECTED colour" if self.supervision.unprotected else note,
        )

    def describe(self, device: torch.device, status: str) -> None:
        """config.json: all that is needed to tell, or to repeat, what was done."""
        views = self.supervision.views
        write_json(
            self.out / "config.json",
            {
                "status": status,
                "unprotected": self.supervision.unprotected,
                "seed": self.identity["seed"],
                "device": str(device),
                "threads": torch.get_num_threads(),
                "received": {
                    "sensitive": sum(not v.neutral for v in views),
                    "neutral": sum(v.neutral for v in views),
                    "resolution": max(max(v.target.shape[:2]) for v in views),
                    "operator": self.supervision.operator.name,
                    "blur": self.supervision.operator.blur,
                    "gain": self.supervision.gain,
                    "share": self.supervision.share.value,
                    "sha256": self.identity["data"],
                },
                "frame": {
                    "center": [float(c) for c in self.supervision.center],
                    "radius": float(self.supervision.radius),
                    "rotation": self.supervision.rotation.tolist(),
                    "front": pictures.front(self.supervision).tolist(),
                    "unit": self.supervision.unit,
                },
                "template": self._template(),
                "seconds": {"total": round(self.seconds(), 2)},
                "versions": {
                    "sansface": __version__,
                    "python": platform.python_version(),
                    **{name: version(name) for name in ("torch", "numpy", "scikit-image", "trimesh")},
                },
                "config": self.config.as_dict(),
            },
        )

    def _template(self) -> dict[str, Any] | None:
        if self.template is None or self.placement is None:
            return None
        about = {"sha256": self.template.sha256, "source": self.template.source}
        return about | {"identities": len(self.template.identities), "placement": asdict(self.placement)}


@contextmanager
def _interruptible(log: _Log) -> Iterator[None]:
    """The first Ctrl-C ends the training after a whole step; the second one works as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        log.stopped = True
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


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


def chosen_device(name: str) -> torch.device:
    """`auto` is a CUDA device if there is one.

    Raises:
        SansfaceError: the device cannot be had.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.rand(1, generator=torch.Generator(device), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SansfaceError(
            f"the device {name!r} is not to be had here; use --device auto or cpu."
        ) from error
    return device


def _identity(
    supervision: Supervision, config: AnyConfig, seed: int, template: Template | None
) -> dict[str, Any]:
    """What a run is known by: a checkpoint continues the same data, settings, seed and template only."""
    data = hashlib.sha256()
    for view in supervision.views:
        for array in (view.target, view.shared, view.coverage, view.camera.K, view.camera.cam_from_world):
            data.update(np.ascontiguousarray(array).tobytes())
    sigma = supervision.operator
    for kernel in (sigma.kernel_x, sigma.kernel_y):
        data.update(np.ascontiguousarray(kernel).tobytes())
    kinds = [view.kind.value for view in supervision.views]
    words = [kinds, sigma.modulus, sigma.blur, sigma.window, supervision.tolerance, supervision.gain]
    words += [supervision.share.value]
    data.update(json.dumps(words).encode())
    return {
        "data": data.hexdigest(),
        "config": _digest(config.as_dict()),
        "seed": seed,
        "template": template and template.sha256,
    }


def _digest(settings: Any) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _finished(out: Path, identity: dict[str, Any]) -> bool:
    """Does `out` hold all of this very run already, and no checkpoint any more?"""
    if (out / checkpoint.NAME).exists() or not (out / "config.json").exists():
        return False
    said = read_json(out / "config.json")
    try:
        of = {
            "data": said["received"]["sha256"],
            "config": _digest(said["config"]),
            "seed": said["seed"],
            "template": said["template"] and said["template"]["sha256"],
        }
        return said["status"] == "done" and of == identity
    except (KeyError, TypeError):
        return False


def _resumable(out: Path, identity: dict[str, Any]) -> checkpoint.Checkpoint | None:
    """The checkpoint to go on from; None if the run ended before its first one and has to begin again."""
    if not out.is_dir():
        raise SansfaceError(f"there is no folder {out} to resume; start without --resume.")
    if not (out / checkpoint.NAME).exists():
        if any(path.name.removesuffix(".part") not in (*_BEGUN, checkpoint.NAME) for path in out.iterdir()):
            raise SansfaceError(
                f"there is no checkpoint in {out} to resume from, so what it holds is finished or another "
                "run; start anew with --overwrite."
            )
        return None
    kept = checkpoint.load(out / checkpoint.NAME)
    for key, what in (
        ("data", "another bundle"),
        ("template", "another template"),
        ("config", "other settings"),
        ("seed", "another seed"),
    ):
        if kept.run.get(key) != identity[key]:
            raise SansfaceError(
                f"the run in {out} began with {what}; give the same, or start with --overwrite."
            )
    return kept


_BEGUN = ("config.json", "metrics.jsonl", "pictures")
"""All that a run has written before its first checkpoint."""

_OURS = (
    *(f"mesh.{suffix}" for suffix in FORMATS),
    *("config.json", "metrics.jsonl", "score.json", "report.html", checkpoint.NAME),
    *(f"pictures/{kind}*.png" for kind in pictures.KINDS),
)

_HALF_WRITTEN = tuple(f"{pattern}.part" for pattern in _OURS)


def _clear(out: Path, patterns: tuple[str, ...]) -> None:
    """Remove an earlier run's results, and nothing that is not ours."""
    for pattern in patterns:
        for path in out.glob(pattern):
            path.unlink()


def _rows_until(path: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of the steps that the checkpoint knows."""
    if not path.exists():
        return []
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if (row["stage"], row["step"]) <= (run["stage"], run["step"])]
    except (ValueError, KeyError, TypeError) as error:
        raise SansfaceError(f"{path} is damaged; start anew with --overwrite.") from error
