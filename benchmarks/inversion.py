"""Row f of the audit: does a trained inversion of `standard` beat the attacker who returns the mean face?

    python benchmarks/inversion.py [--steps 1400] [--integrated 0] [--kept FILE] [--sheet FILE] [--out FILE]

Reads photos/lfw and weights of the folder SANSFACE_ASSETS. The network learns from two thirds of the people
with one photograph, and draws the photographs of the 79 with ten or more from their σ: 64 pixels, Sobel,
eight bits, the eyes 11 pixels apart. Half of each person's photographs, clear, are the gallery, the others
are drawn. What is drawn is scored by PSNR and SSIM, and named by a recogniser among the 79. --integrated N
attacks the first photograph of N people by integration, too. --sheet writes stamped thumbnails, which show
LFW's faces: never commit them.
"""

import argparse
import json
import os
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch

from sansface.audit.align import EYES as ALIGNED
from sansface.audit.align import SIDE as FULL
from sansface.audit.align import cut, placed_template
from sansface.audit.attackers.integration import IntegrationSettings, integrate, linear_faces
from sansface.audit.attackers.inversion import InversionSettings, invert, train
from sansface.audit.likeness import advantage, likeness
from sansface.audit.sigma import coded, sigma
from sansface.audit.thumbnails import stamped
from sansface.files import write_json
from sansface.progress import progress_bar
from sansface.protect.operators import operator

SIDE, EYES = 64, 11.0
FINER = 2
"""The attacker's pictures have so many pixels a side of each one, so that they can be moved before they are
reduced."""
FACE = slice(14, 50)
"""Rows and columns of the middle that recognisers look at."""
OPERATOR = operator("sobel")


def protect(pictures: torch.Tensor) -> torch.Tensor:
    """What `standard` keeps of pictures (n, 3, h, w)."""
    return coded(sigma(pictures, OPERATOR, 0.0), bits=8)


def read(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Photographs in RGB, landmarks of the face nearest to each one's centre, and whose.

    People are numbers, in an order of chance; -1 is whoever has one photograph only.
    """
    labels = json.loads((folder / "photos/lfw/labels.json").read_text())["labels"]
    count = Counter(labels.values())
    many = np.random.default_rng(0).permutation(sorted(name for name in count if count[name] > 1)).tolist()
    model = str(folder / "weights/face_detection_yunet_2023mar.onnx")
    detector = cv2.FaceDetectorYN.create(model, "", (250, 250), 0.6, 0.3, 50)
    photographs, landmarks, people = [], [], []
    for path, name in sorted(labels.items()):
        photograph = cv2.imread(str(folder / "photos/lfw" / path))
        assert photograph is not None, "a photograph of photos/lfw cannot be read"
        size = photograph.shape[1], photograph.shape[0]
        detector.setInputSize(size)
        _, faces = detector.detect(photograph)
        if faces is None:
            continue
        away = np.linalg.norm(faces[:, :2] + faces[:, 2:4] / 2 - np.array(size) / 2, axis=1)
        photographs.append(photograph[:, :, ::-1])
        landmarks.append(faces[away.argmin(), 4:14].reshape(5, 2).astype(np.float64))
        people.append(many.index(name) if count[name] > 1 else -1)
    return photographs, landmarks, np.array(people)


class EdgeFace:
    """The recogniser: (n, 112, 112, 3) float32 in [0, 1] to (n, 512) unit vectors."""

    def __init__(self, folder: Path) -> None:
        self.network = cv2.dnn.readNetFromONNX(str(folder / "weights/edgeface_xs_deq_112.onnx"))

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        rows = []
        for face in np.clip(faces, 0, 1):
            self.network.setInput(np.ascontiguousarray((face.transpose(2, 0, 1)[None] - 0.5) / 0.5))
            rows.append(self.network.forward().ravel())
        return np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)

    def small(self, pictures: np.ndarray) -> np.ndarray:
        """Of (n, SIDE, SIDE, 3), where it is known where the face lies."""
        return self(np.stack([cut(picture, placed_template(SIDE, EYES), FULL) for picture in pictures]))


def named(probes: np.ndarray, gallery: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Whose the nearest of the gallery's persons is, each being the mean of his embeddings."""
    persons = np.unique(people)
    means = np.stack([gallery[people == person].mean(axis=0) for person in persons])
    return persons[(probes @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)]


def scores(drawn: np.ndarray, clear: np.ndarray, mean: np.ndarray, people: np.ndarray) -> dict:
    """PSNR and SSIM, of the whole pictures and of the face alone, beside the mean face."""
    result = {}
    for what, part in (("picture", slice(None)), ("face", FACE)):
        ours = likeness(drawn[:, part, part], clear[:, part, part])
        trivial = likeness(mean[part, part], clear[:, part, part])
        for measure in ("psnr", "ssim"):
            a, b = getattr(ours, measure), getattr(trivial, measure)
            result[f"{measure} of the {what}"] = {
                "drawn": float(a.mean()),
                "mean face": float(b.mean()),
                "advantage": asdict(advantage(a, b, people, np.random.default_rng(0))),
            }
    return result


def rank1(answers: np.ndarray, people: np.ndarray) -> dict:
    """Share of right names, with its interval over people."""
    right = (answers == people).astype(np.float64)
    return asdict(advantage(right, np.zeros_like(right), people, np.random.default_rng(0)))


def tensor(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def main() -> None:
    """Train, attack, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--integrated", type=int, default=0, metavar="PEOPLE")
    parser.add_argument("--kept", type=Path, help="state of the training, gone on from if it exists")
    parser.add_argument("--sheet", type=Path, help="PNG of σ, what is drawn and the clear picture")
    parser.add_argument("--out", type=Path, default=Path("inversion.json"))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    folder = Path(os.environ.get("SANSFACE_ASSETS", "../shared/assets"))
    photographs, landmarks, people = read(folder)

    rng = np.random.default_rng(0)
    singles = rng.permutation(np.flatnonzero(people < 0))
    training = singles[: 2 * len(singles) // 3]
    probe = np.zeros(len(people), dtype=bool)
    for person in range(people.max() + 1):
        own = rng.permutation(np.flatnonzero(people == person))
        probe[own[len(own) // 2 :]] = True
    gallery = (people >= 0) & ~probe
    assert not (probe | gallery)[training].any()

    def cuts(which: np.ndarray, side: int, eyes: float) -> np.ndarray:
        return np.stack([cut(photographs[i], landmarks[i], side, eyes) for i in which])

    probes, owners = cuts(np.flatnonzero(probe), SIDE, EYES), people[probe]
    enrolled = cuts(np.flatnonzero(gallery), SIDE, EYES)
    examples = tensor(cuts(training, FINER * SIDE, FINER * EYES))
    mean = cuts(training, SIDE, EYES).mean(axis=0)
    recognise = EdgeFace(folder)
    known = recognise(cuts(np.flatnonzero(gallery), FULL, ALIGNED))

    settings = InversionSettings(steps=options.steps)
    began = time.process_time()
    with progress_bar("inversion") as show:
        network = train(
            examples.to(options.device),
            SIDE,
            protect,
            settings,
            torch.Generator().manual_seed(0),
            kept=options.kept,
            known_by=OPERATOR.parameters(),
            on_progress=lambda done, loss: show(done, f"loss {loss:.3f}"),
        )
    seconds = time.process_time() - began
    seen = protect(tensor(probes)).numpy()
    drawn = invert(network, seen)
    redrawn = invert(network, protect(tensor(enrolled)).numpy())

    def names(pictures: np.ndarray, of: np.ndarray = known) -> dict:
        return rank1(named(recognise.small(pictures), of, people[gallery]), owners)

    result = {
        "people": {"training": len(training), "evaluation": int(people.max() + 1)},
        "photographs": {"gallery": int(gallery.sum()), "probe": int(probe.sum())},
        "settings": asdict(settings),
        "seconds of training": seconds,
        "rank-1": {
            "chance": 1 / int(people.max() + 1),
            "clear pictures of 64 pixels": names(probes),
            "mean face": names(np.broadcast_to(mean, probes.shape)),
            "drawn": names(drawn),
            "drawn, the gallery drawn as well": names(drawn, recognise.small(redrawn)),
        },
        "likeness": scores(drawn, probes, mean, owners),
    }
    if options.integrated:
        _, first = np.unique(owners, return_index=True)
        first = first[: options.integrated]
        faces = linear_faces(tensor(cuts(training, SIDE, EYES)), 40)
        result["by integration"] = {}
        attacks = {
            "nothing known of faces": {},
            "linear faces": {"faces": faces},
            "begun as the network draws": {"drawn": tensor(drawn[first])},
        }
        for what, helped in attacks.items():
            began = time.process_time()
            found = integrate(
                torch.from_numpy(seen[first]),
                OPERATOR,
                IntegrationSettings(
                    restarts=1 if "drawn" in helped else 2, grids=(4, 2, 1), steps=100, linear_steps=200
                ),
                torch.Generator().manual_seed(0),
                **helped,
            )
            answers = named(recognise.small(found.pictures), known, people[gallery])
            result["by integration"][what] = {
                "people": len(first),
                "seconds": time.process_time() - began,
                "mean error of σ": float(found.errors.mean()),
                "rank-1": rank1(answers, owners[first]),
                "likeness": scores(found.pictures, probes[first], mean, owners[first]),
            }
    write_json(options.out, result)
    print(json.dumps(result, indent=1))
    if options.sheet:
        rows = [
            np.hstack([stamped(3 * seen[i]), stamped(drawn[i]), stamped(probes[i])])
            for i in range(0, len(seen), max(1, len(seen) // 12))
        ]
        cv2.imwrite(str(options.sheet), np.vstack(rows)[:, :, ::-1])


if __name__ == "__main__":
    main()
