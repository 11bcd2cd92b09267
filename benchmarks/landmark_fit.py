"""How well the parametric head fits photographs: landmarks that the fit was not shown, and the time it takes.

    python benchmarks/landmark_fit.py FOLDER

FOLDER is as for `sansface audit`, such as LFW: the first photograph of everybody in it. Every fifth landmark
is kept from the fit; its error is the distance between where the head has it and where the network saw it,
as a share of the distance between the eyes. Prints a table.
"""

import sys
import time
from pathlib import Path

import numpy as np

from sansface.errors import SansfaceError
from sansface.faces.detectors import Detectors, Finding, all_faces
from sansface.files import read_json
from sansface.heads.fit import FittedHead, fit_head
from sansface.heads.landmarks import COUNT, load_places
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.photographs.decode import decode_rgb

HELD_OUT = np.arange(COUNT) % 5 == 0


def first_photographs(folder: Path) -> list[Path]:
    """One of each person, by a `labels.json`."""
    first: dict[str, Path] = {}
    for path, person in sorted(read_json(folder / "labels.json")["labels"].items()):
        first.setdefault(person, folder / path)
    return list(first.values())


def middle_face(photograph: np.ndarray, detectors: Detectors) -> Finding | None:
    """The face with landmarks that is nearest to the photograph's middle."""
    found = [face for face in all_faces(photograph, detectors) if face.landmarks is not None]
    middle = np.array(photograph.shape[1::-1]) / 2
    shown = [face for face in found if face.kind == "landmarks"]
    return min(
        shown, key=lambda face: float(np.linalg.norm(face.box[:2] + face.box[2:] / 2 - middle)), default=None
    )


def errors(model: HeadModel, head: FittedHead) -> np.ndarray:
    """(468,) distances between the head's landmarks and the network's, in distances between the eyes."""
    shown, _ = head.camera.project(load_places().of(head.vertices(model)))
    return np.linalg.norm(shown - head.landmarks, axis=1) / head.eyes


def main(folder: Path) -> None:
    model, detectors = load_head_model(), Detectors()
    held, used, seconds, missed = [], [], [], 0
    paths = first_photographs(folder)
    for path in paths:
        photograph = decode_rgb(path, "photograph")
        began, busy = time.perf_counter(), time.process_time()
        face = middle_face(photograph, detectors)
        try:
            assert face is not None
            assert face.landmarks is not None
            head = fit_head(model, face.landmarks, photograph.shape[1::-1], ~HELD_OUT)
        except (AssertionError, SansfaceError):
            missed += 1
            continue
        seconds.append((time.perf_counter() - began, time.process_time() - busy))
        off = errors(model, head)
        held.append(off[HELD_OUT].mean())
        used.append(off[~HELD_OUT].mean())
    print(f"{len(paths)} photographs, in {missed} no face with landmarks\n")
    print("| of a photograph | median | quartiles | worst |\n|---|---|---|---|")
    rows = {
        "landmarks left out, % of the eyes' distance": 100 * np.array(held),
        "landmarks of the fit, % of the eyes' distance": 100 * np.array(used),
        "detection and fit, s": np.array(seconds)[:, 0],
        "the same, s of one processor": np.array(seconds)[:, 1],
    }
    for name, values in rows.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        print(f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {values.max():.2f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
