"""Going on with an interrupted run: what it is known by, and what it left in its folder."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sansface.errors import SansfaceError
from sansface.fields.template import Template
from sansface.files import PART, read_json, write_json
from sansface.reconstruct import checkpoint, pictures
from sansface.reconstruct.config import AnyConfig
from sansface.reconstruct.supervision import Supervision
from sansface.surface.mesh import FORMATS, read_mesh, transform, write_mesh

_BEGUN = ("config.json", "metrics.jsonl", "pictures")
"""All that a run has written before its first checkpoint."""
OURS = (
    *(f"mesh.{suffix}" for suffix in FORMATS),
    *("config.json", "metrics.jsonl", "score.json", "report.html", checkpoint.NAME),
    *(f"pictures/{kind}*.png" for kind in pictures.KINDS),
)
"""Patterns of all that a run writes."""
HALF_WRITTEN = tuple(f"{pattern}.????????.part" for pattern in OURS)


def identity_of(
    supervision: Supervision,
    config: AnyConfig,
    seed: int,
    template: Template | None,
    decimate: int | None,
) -> dict[str, Any]:
    """What a run is known by: a checkpoint continues the same data, settings, seed and template only.

    And a mesh that is done has as many faces as were asked for.
    """
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
        "decimate": decimate,
    }


def _digest(settings: Any) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def finished(out: Path, identity: dict[str, Any]) -> bool:
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
            "decimate": said["decimate"],
        }
        return said["status"] == "done" and of == identity
    except (KeyError, TypeError):
        return False


def in_frame(out: Path, supervision: Supervision, path: Path) -> bool:
    """Bring the mesh of a finished run to the user's frame, where it is in another one, such as the bundle's.

    Args:
        path: of the mesh in the format asked for; mesh.ply lies beside it.

    Returns:
        Was there something to do?
    """
    said = read_json(out / "config.json")
    frame = frame_of(supervision)
    if said["frame"] == frame:
        return False
    turn = np.array(said["frame"]["rotation"]).T
    center, radius = np.array(said["frame"]["center"]), said["frame"]["radius"]
    mesh = transform(read_mesh(out / "mesh.ply"), -turn @ center / radius, 1 / radius, turn)
    mesh = transform(mesh, supervision.center, supervision.radius, supervision.rotation)
    write_json(out / "config.json", said | {"status": "being moved"})  # killed now, it is finished no more
    for place in {out / "mesh.ply", path}:
        write_mesh(mesh, place, supervision.stamp)
    (out / "score.json").unlink(missing_ok=True)
    write_json(out / "config.json", said | {"frame": frame})
    return True


def frame_of(supervision: Supervision) -> dict[str, Any]:
    """The user's frame, as config.json tells it."""
    return {
        "center": [float(c) for c in supervision.center],
        "radius": float(supervision.radius),
        "rotation": supervision.rotation.tolist(),
        "front": pictures.front(supervision).tolist(),
        "unit": supervision.unit,
    }


def resumable(out: Path, identity: dict[str, Any]) -> checkpoint.Checkpoint | None:
    """The checkpoint to go on from; None if the run ended before its first one and has to begin again.

    Raises:
        SansfaceError: there is none, it is damaged, or of another run.
    """
    if not out.is_dir():
        raise SansfaceError(f"there is no folder {out} to resume; start without --resume.")
    if not (out / checkpoint.NAME).exists():
        if any(PART.sub("", path.name) not in (*_BEGUN, checkpoint.NAME) for path in out.iterdir()):
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


def clear(out: Path, patterns: tuple[str, ...]) -> None:
    """Remove an earlier run's results, and nothing that is not ours."""
    for pattern in patterns:
        for path in out.glob(pattern):
            path.unlink()


def rows_until(path: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of the steps that the checkpoint knows.

    Raises:
        SansfaceError: the file is damaged.
    """
    if not path.exists():
        return []
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if (row["stage"], row["step"]) <= (run["stage"], run["step"])]
    except (ValueError, KeyError, TypeError) as error:
        raise SansfaceError(f"{path} is damaged; start anew with --overwrite.") from error
