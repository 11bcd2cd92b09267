"""What a run writes while it trains: metrics, checkpoints, previews, and what it says of itself."""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sansface import __version__
from sansface.evaluate.png import write_png
from sansface.fields.template import Placement, Template
from sansface.files import write_json, written_beside
from sansface.reconstruct import checkpoint, pictures
from sansface.reconstruct.config import AnyConfig
from sansface.reconstruct.method import method_of
from sansface.reconstruct.resume import frame_of, rows_until
from sansface.reconstruct.stages import Moment
from sansface.reconstruct.supervision import Supervision
from sansface.reconstruct.viewer import Viewer

CHECKPOINT_SECONDS = 10.0
PREVIEW_SECONDS = 20.0
METRIC_STEPS = 10
FINISH_SECONDS = 10.0
"""What surface, pictures and report take, for the first estimate of the time left."""


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


class Stop(Exception):
    """Ends the training after a whole step."""

    def __init__(self, field: nn.Module) -> None:
        self.field = field


class Record:
    """Of one run, into its folder."""

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
        self.rows = rows_until(out / "metrics.jsonl", kept.run) if kept else []

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
            raise Stop(moment.field)

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
                "frame": frame_of(self.supervision),
                "template": self._template(),
                "decimate": self.identity["decimate"],
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
