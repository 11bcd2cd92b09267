"""Rows h, i and D_sys of keyed identities, of the templates alone: what the register does, without pictures.

    python benchmarks/keyed_templates.py [--photos FOLDER] [--recognisers edgeface] [--seeds 0 1 2]

Labeled Faces in the Wild, 79 people with ten photographs and more: one is enrolled, the others of the second
half of a person's photographs are shown afterwards. A seed decides which, and the key. Thresholds are those
of `sansface.deidentify.keyed.LIMITS`, which the 250 people with one photograph give; they are measured again.
Prints Markdown. Nothing is written but what --out names, and nobody is named.
"""

import argparse
import hashlib
import os
from pathlib import Path

import numpy as np

from sansface.audit.people import CLEAR, read_people
from sansface.audit.scores import calibrated, equal_error_rate, impostors, similarities
from sansface.audit.split import LEAST, split
from sansface.audit.unlinkability import linkability
from sansface.deidentify.keyed import LIMITS
from sansface.deidentify.keys import Key, Purpose
from sansface.deidentify.register import FACE, Register, enrol, opened
from sansface.deidentify.virtual import codes, isometry, unit
from sansface.files import write_text
from sansface.recognise.recogniser import Recogniser
from sansface.recognise.registry import recogniser

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = 4
"""Of a person, whose templates are linked."""
CODES = 100
"""Numbers that change a face, for the rows about them."""


def key(number: int) -> Key:
    """A key of its own for each number. Those of users come from the operating system."""
    return Key(Purpose.RECOGNITION, hashlib.sha256(f"benchmark {number}".encode()).digest())


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n, m) of (n, d) and (m, d)."""
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squared, 0))


def verified(
    embeddings: np.ndarray, labels: np.ndarray, digests: np.ndarray, seed: int, accepted: float
) -> list[float]:
    """Row h and i of one key: EER clear and keyed, then shares accepted at the threshold."""
    rng = np.random.default_rng(seed)
    parts = split(labels, digests, rng)
    people = np.unique(labels[parts.enrolled])
    first = np.array([parts.enrolled[labels[parts.enrolled] == person][0] for person in people])
    entries = [enrol(key(seed), face, face, 0, rng.bytes(8).hex()) for face in embeddings[first]]
    order = np.argsort([entry.id for entry in entries])
    register = Register("", "", tuple(entries[one] for one in order))
    probes = embeddings[parts.probe]
    same = labels[parts.probe][:, None] == people[order]
    clear = distances(probes, embeddings[first[order]])
    right = distances(probes, opened(register, key(seed), FACE))
    wrong = distances(probes, opened(register, key(1000 + seed), FACE))
    return [
        equal_error_rate(-clear[same], -clear[~same]),
        equal_error_rate(-right[same], -right[~same]),
        float((right[same] <= accepted).mean()),
        float((right[~same] <= accepted).mean()),
        float((wrong[same] <= accepted).mean()),
        float((wrong[~same] <= accepted).mean()),
        float(wrong.min()),
        # Who holds the key turns the templates back, and looks for the nearest clear photograph.
        float(same[right.argmin(axis=0), np.arange(len(people))].mean()),
    ]


def linked(embeddings: np.ndarray, labels: np.ndarray, seed: int, each: bool) -> list[float]:
    """D_sys of two keys by the templates' distance, that of shuffled people, and a graph attack.

    The last one has two registers of the same photographs under two keys, and takes for one person those
    entries whose sorted distances to the others in their register are most alike.

    each: every entry has an isometry of its own, as in the register; else all of a key have one.
    """
    rng = np.random.default_rng(seed)
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(labels == person))[:PHOTOGRAPHS] for person in np.unique(labels)]
    )
    one, other = (
        np.stack(
            [
                isometry(key(number), embeddings.shape[1], FACE, rng.bytes(8).hex(), 0)(embeddings[index])
                for index in chosen
            ]
        )
        if each
        else isometry(key(number), embeddings.shape[1], FACE)(embeddings[chosen])
        for number in (seed, 1000 + seed)
    )
    apart, who = distances(one, other), labels[chosen]
    mated, shuffled = who[:, None] == who, rng.permutation(who)[:, None] == who
    profiles = [np.sort(distances(part[::PHOTOGRAPHS], part[::PHOTOGRAPHS])) for part in (one, other)]
    nearest = distances(*profiles).argmin(axis=1)
    return [
        linkability(apart[mated], apart[~mated]),
        linkability(apart[shuffled], apart[~shuffled]),
        float((nearest == np.arange(len(nearest))).mean()),
    ]


def drawn(embeddings: np.ndarray, labels: np.ndarray, seed: int) -> list[float]:
    """Codes without a register: their mean and spread over people, and the EER of two photographs' codes."""
    numbers = codes(key(seed), embeddings, CODES, 0).astype(np.float64)
    first = numbers[np.unique(labels, return_index=True)[1]]
    similar = similarities(numbers, numbers)
    row, column = np.triu_indices(len(labels), k=1)
    same, pairs = (labels[row] == labels[column]), similar[row, column]
    spread = first.std(axis=0)
    return [
        float(np.abs(first.mean(axis=0)).max()),
        float(spread.min()),
        float(spread.max()),
        float(pairs[same].mean()),
        equal_error_rate(pairs[same], pairs[~same]),
    ]


def tables(photos: Path, names: list[str], seeds: list[int]) -> str:
    """All that is measured, as Markdown."""
    people = read_people(photos, (CLEAR,))
    counts = np.bincount(people.labels)[people.labels]
    many, single = counts >= LEAST, counts == 1
    lines: dict[str, list[str]] = {"thresholds": [], "accepted": [], "linked": [], "codes": []}
    for name in names:
        network: Recogniser = recogniser(name)
        embeddings = unit(network.embed(people.crops[CLEAR]))
        similar = impostors(similarities(embeddings[single], embeddings[single]), people.labels[single])
        found = [np.sqrt(2 - 2 * calibrated(similar, rate).value) for rate in (1e-3, 1e-2)]
        limits = LIMITS[network.digest]
        told = f"| {name} | {found[0]:.4f} | {found[1]:.4f} | {limits.accepted:.4f} | {limits.apart:.4f} |"
        lines["thresholds"].append(f"{told} {len(similar)} |")
        mine, labels = embeddings[many], people.labels[many]
        for seed in seeds:
            *shares, nearest, named = verified(embeddings, people.labels, people.digests, seed, limits.apart)
            cells = [f"{100 * share:.2f}" for share in shares]
            lines["accepted"].append(
                f"| {name} | {seed} | {' | '.join(cells)} | {nearest:.2f} | {100 * named:.1f} |"
            )
            for each in (True, False):
                system, chance, graph = linked(mine, labels, seed, each)
                told = f"| {name} | {seed} | {'its own' if each else 'one for all'} |"
                lines["linked"].append(f"{told} {system:.3f} | {chance:.3f} | {100 * graph:.1f} |")
            mean, least, most, alike, error = drawn(mine, labels, seed)
            told = f"| {name} | {seed} | {mean:.2f} | {least:.2f} to {most:.2f} |"
            lines["codes"].append(f"{told} {alike:.2f} | {100 * error:.2f} |")
    heads = {
        "thresholds": "| recogniser | distance at FMR 1e-3 | at 1e-2 | `accepted` | `apart` | pairs |",
        "accepted": "| recogniser | seed | EER clear, % | h: EER keyed | right key, right person accepted at "
        "FMR 1e-2 | i: right key, wrong person | wrong key, right person | both wrong | nearest with a wrong "
        "key | key stolen: rank-1 among clear photographs |",
        "linked": "| recogniser | seed | isometry of an entry | D_sys | of shuffled people | linked by the "
        "graph of distances, % |",
        "codes": f"| recogniser | seed | largest mean of {CODES} codes | standard deviations | cosine of one "
        "person's two photographs | EER, % |",
    }
    return "\n\n".join(
        f"{head}\n|{'---|' * (head.count('|') - 1)}\n" + "\n".join(lines[what])
        for what, head in heads.items()
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("SANSFACE_ASSETS", ROOT.parent / "shared" / "assets"))
    parser.add_argument("--photos", type=Path, default=shared / "photos" / "lfw")
    parser.add_argument("--recognisers", nargs="+", default=["edgeface", "mobilefacenet"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="file for the same tables")
    options = parser.parse_args()
    os.environ.setdefault("SANSFACE_ASSETS", str(shared))
    told = tables(options.photos, options.recognisers, options.seeds)
    print(told)
    if options.out:
        write_text(options.out, told + "\n")


if __name__ == "__main__":
    main()
