"""Run the trials of the paper's tables: every capture, every trial, every seed, each once and resumable.

    OUT/runs/CAPTURE/PRESET/TRIAL/SEED/    a reconstruction's folder, with result.json when it is scored
    OUT/TABLE.md, .csv, .png               made of all results that lie there

Photographs are read, so all this stays on the device where they are; full RGB is stamped UNPROTECTED.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sansface.bench.rows import contents
from sansface.bench.trials import TABLES, Trial
from sansface.capture import Capture, Sphere, counted
from sansface.errors import SansfaceError
from sansface.evaluate import score
from sansface.evaluate.h3ds import h3ds_distance
from sansface.fields.template import shipped_template
from sansface.files import read_json, write_json
from sansface.formats import read_capture
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.reconstruct.config import Config, preset
from sansface.reconstruct.run import Progress, needed_template, reconstruct
from sansface.reconstruct.supervision import from_bundle
from sansface.settings import with_settings
from sansface.surface import Mesh, read_mesh

TRUTHS = ("gt.ply", "full_head.obj")
"""Names of the true mesh: ours, H3DS's. FaceScape's lies beside the folder, as FOLDER.ply."""
MARGIN = 1.05
"""Of a bounding sphere that is taken from the truth."""
REGION = Path("regions", "face.txt")
"""Of an H3DS scene: the truth's vertices by which its benchmark aligns."""
RESULT = "result.json"


@dataclass(frozen=True)
class Subject:
    """A capture with its truth.

    Attributes:
        name: of the folder.
        capture: with a sphere.
        truth: in the capture's frame.
        radius: R, world units.
        region: (k,) vertices of the truth, for the distance of H3DS; None: all.
        digest: of all files that this was read from.
    """

    name: str
    capture: Capture
    truth: Mesh
    radius: float
    region: np.ndarray | None
    digest: str


@dataclass(frozen=True)
class Result:
    """One scored run.  score: in R, see `evaluate.geometry`.  h3ds: see `evaluate.h3ds`, in units of R."""

    capture: str
    preset: str
    trial: str
    seed: int
    score: float
    millimetres: float | None
    h3ds: float
    h3ds_vertices: int
    seconds: float


def read_subject(folder: Path, format: str | None = None) -> Subject:
    """A capture and the truth beside it.

    Raises:
        SansfaceError: no truth, or whatever is wrong with the capture.
    """
    capture = read_capture(folder, format)
    places = [*(folder / name for name in TRUTHS), folder.with_name(folder.name + ".ply")]
    truth = next((path for path in places if path.is_file()), None)
    if truth is None:
        raise SansfaceError(
            f"{folder} has no true mesh to compare with; put it there as {TRUTHS[0]}, in the cameras' frame."
        )
    mesh = read_mesh(truth)
    if capture.sphere is None:
        capture = replace(capture, sphere=_sphere_of(mesh))
    assert capture.sphere is not None
    region = None
    if (folder / REGION).is_file():
        region = np.loadtxt(folder / REGION, dtype=np.int64, ndmin=1)
    digest = contents(folder)
    if not truth.is_relative_to(folder):
        digest += hashlib.sha256(truth.read_bytes()).hexdigest()
    return Subject(folder.resolve().name, capture, mesh, capture.sphere.radius, region, digest)


def _sphere_of(truth: Mesh) -> Sphere:
    """Around the truth, where neither the format nor meta.json says a sphere."""
    center = (truth.vertices.min(axis=0) + truth.vertices.max(axis=0)) / 2
    return Sphere(center, MARGIN * float(np.linalg.norm(truth.vertices - center, axis=1).max()), "given")


def run_tables(
    subjects: Sequence[Subject],
    out: Path,
    tables: Sequence[str],
    *,
    preset_name: str = "fast",
    seeds: Sequence[int] = (0,),
    resolution: int = 64,
    device: str = "auto",
    settings: Sequence[str] = (),
    on_progress: Callable[[float, str], None] | None = None,
) -> list[Result]:
    """Run what is missing of these tables, and return all their results.

    Args:
        subjects: captures with their truth.
        out: for runs and tables; what lies there from an earlier call is not run again.
        tables: names in `TABLES`.
        resolution: of the trials that do not say their own.
        settings: NAME=VALUE, of the preset, before a trial changes it.
        on_progress: called with the share done and a sentence.

    Raises:
        SansfaceError: one sentence; results so far are kept.
    """
    names = [subject.name for subject in subjects]
    if len(set(names)) < len(names):
        raise SansfaceError("two captures have folders of one name; rename one, the results are named by it.")
    jobs = [(s, t, seed) for seed in seeds for s in subjects for t in trials_of(tables, s.capture)]
    results = []
    for number, (subject, trial, seed) in enumerate(jobs):
        title = f"{subject.name}, {trial.name}, seed {seed}"

        def tell(now: Progress, number: int = number, title: str = title) -> None:
            if on_progress:
                on_progress((number + 0.95 * now.done) / len(jobs), title)

        result = run_trial(subject, trial, seed, out, preset_name, resolution, device, settings, tell)
        if result is not None:
            results.append(result)
        if on_progress:
            on_progress((number + 1) / len(jobs), title)
    return results


def trials_of(tables: Sequence[str], capture: Capture) -> list[Trial]:
    """Every trial of those of these tables that are for the capture, once."""
    chosen = (TABLES[name] for name in tables if TABLES[name].only(capture))
    return list({trial.name: trial for table in chosen for trial in table.trials}.values())


def place(out: Path, capture: str, preset_name: str, trial: str, seed: int) -> Path:
    """Folder of a run."""
    words = re.sub(r"[^a-z0-9.-]+", "-", trial.lower()).strip("-")
    return out / "runs" / capture / preset_name / words / str(seed)


def run_trial(
    subject: Subject,
    trial: Trial,
    seed: int,
    out: Path,
    preset_name: str,
    resolution: int,
    device: str,
    settings: Sequence[str],
    on_progress: Callable[[Progress], None],
) -> Result | None:
    """Reconstruct and score once, or read what was scored; None where the trial cannot be made here."""
    capture = trial.frames(subject.capture)
    protection = replace(ProtectSettings(resolution=resolution), **trial.protect)
    views = counted(frame.role for frame in (capture or subject.capture).frames)
    plain = with_settings(preset(preset_name, protection.resolution, views), settings)
    if not isinstance(plain, Config):
        raise SansfaceError(f"the trials are for fields, which {preset_name} is not; choose fast or paper.")
    config = trial.config(plain)
    if capture is None or config is None:
        return None
    folder = place(out, subject.name, preset_name, trial.name, seed)
    template = shipped_template() if trial.template else None
    known: dict[str, Any] = {"config": config.as_dict(), "protect": asdict(protection)}
    known |= {"template": template and template.sha256, "capture": subject.digest}
    if (folder / RESULT).exists():
        return _read_result(folder / RESULT, known)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if trial.given:
        supervision = trial.given(capture, protection)
    else:
        # The seed draws noise and gain, too: benchmarks are no place to keep them secret.
        supervision = from_bundle(protect(capture, protection, rng=np.random.default_rng(seed)))
    if template is None and needed_template(supervision, config) is not None:
        return None  # there is nothing for stage 1 to learn from, and a template is another trial
    path = reconstruct(
        supervision,
        folder,
        config,
        seed=seed,
        device=device,
        resume=folder.is_dir(),
        template=template,
        on_progress=on_progress,
    )
    result = scored(subject, path, trial.name, preset_name, seed)
    write_json(folder / RESULT, known | {"result": asdict(result)})
    return result


def scored(subject: Subject, path: Path, trial: str, preset_name: str, seed: int) -> Result:
    """Measure a mesh by both metrics."""
    mesh, rng = read_mesh(path), np.random.default_rng(0)
    cameras = [frame.camera for frame in subject.capture.frames]
    lowest = subject.capture.meta.get("head_min_y")
    found = score(mesh, subject.truth, cameras, subject.radius, lowest, rng)
    theirs = h3ds_distance(mesh, subject.truth, subject.region)
    millimetre = subject.capture.millimetre
    return Result(
        capture=subject.name,
        preset=preset_name,
        trial=trial,
        seed=seed,
        score=found.score,
        millimetres=None if millimetre is None else found.score * subject.radius / millimetre,
        h3ds=theirs.mean / subject.radius,
        h3ds_vertices=theirs.mesh_vertices,
        seconds=float(read_json(path.parent / "config.json")["seconds"]["total"]),
    )


def _read_result(path: Path, known: dict[str, Any]) -> Result:
    said = read_json(path)
    try:
        result = Result(**said["result"])
        same = json.loads(json.dumps(known)) == {key: said[key] for key in known}  # JSON has no tuples
    except (KeyError, TypeError) as error:
        raise SansfaceError(f"{path} is damaged; remove its folder and run again.") from error
    if not same:
        raise SansfaceError(
            f"{path} was measured with other settings or of another capture; remove its folder, or give "
            "another --out."
        )
    return result
