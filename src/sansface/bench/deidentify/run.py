"""`sansface bench deidentify`: the tables, each a short list of rows, and what is measured for them.

OUT/rows/*.json           what was measured, each row once
OUT/papers.md, .csv       methods beside each other, as table 1 of Wen et al.
OUT/ablation.md, .csv     a method with each of its parts left out, as table 2
OUT/sweep.md, .csv, .png  against the strength, as their figure 4
OUT/matched.md, .csv      baselines at the strength at which they hide as much as a method
OUT/attackers.md, .csv    the averager and the searcher
OUT/keyed.md, .csv        right and wrong keys
OUT/tones.md, .csv        by the tone of people's skin
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sansface.audit.people import CLEAR
from sansface.audit.skin_tone import thirds, typology_angle
from sansface.bench.deidentify import tables
from sansface.bench.deidentify.attackers import Attack, average, search
from sansface.bench.deidentify.cohort import Cohort, read_cohort
from sansface.bench.deidentify.fits import Fitter, Refits
from sansface.bench.deidentify.keyed import Keyed, hidden_by_keys, keyed, keyless, virtual
from sansface.bench.deidentify.kid import Backbone
from sansface.bench.deidentify.matched import Matched, match, tar
from sansface.bench.deidentify.measure import Instruments, Row, as_json, from_json, measured, row
from sansface.bench.deidentify.scorers import scorer
from sansface.bench.deidentify.sheet import write_sheet
from sansface.bench.rows import kept
from sansface.deidentify.methods import KEYED, KINDS, Chosen
from sansface.errors import SansfaceError
from sansface.recognise.detect import Yunet
from sansface.recognise.recogniser import Recogniser, known_by

TableName = Literal["papers", "ablation", "sweep", "matched", "attackers", "keyed", "tones"]
BASELINES = ("blur", "pixelation", "black box")
LEAST_TAR = 0.01
"""What a baseline need not go below, however little of a method is recognised."""


@dataclass(frozen=True)
class Asked:
    """What is measured, and on what.

    Attributes:
        people: folder.
        out: folder.
        photographs: hidden, in all.
        gallery: photographs a candidate that the searcher has.
        each: photographs of a person before the next one's turn.
        size: pixels of the longer side; 0 for the photographs' own.
        draws: of a method that is random, in the sweep and for the averager.
        runs: of the searcher on each photograph of his.
        lessons: photographs of strangers of which he learns to see through the method; 0 for none.
        fits: photographs of which POSE and EXP are measured.
        seed: of all that is random.
    """

    people: Path
    out: Path
    photographs: int = 316
    gallery: int = 4
    each: int = 1
    size: int = 0
    draws: int = 10
    runs: int = 5
    lessons: int = 250
    fits: int = 20
    seed: int = 0


def instruments(
    asked: Asked,
    recognisers: Sequence[Recogniser],
    backbone: Backbone,
    fit: Fitter | None,
    progress: Callable[[float], None] | None = None,
) -> Instruments:
    """Read the people, embed and calibrate.

    Raises:
        SansfaceError: as for `read_cohort`; a recogniser that does not know clear photographs.
    """
    placings = [one.placing for one in recognisers]
    cohort = read_cohort(
        asked.people,
        placings,
        asked.photographs,
        asked.size,
        asked.seed,
        asked.gallery,
        asked.each,
        asked.lessons,
        progress,
    )
    rng = np.random.default_rng([asked.seed, 6])
    return Instruments(
        cohort=cohort,
        scorers=tuple(scorer(one, cohort, rng) for one in recognisers),
        yunet=Yunet(),
        backbone=backbone,
        clear=np.stack([backbone.features(one.picture, one.landmarks) for one in cohort.clear]),
        refits=Refits(fit, rng) if fit else None,
        fits=asked.fits if fit else 0,
        seed=asked.seed,
    )


class Bench:
    """Rows on demand, each measured once and kept.

    Args:
        asked: see there.
        by: what `instruments` gives.
        show: told what is being measured.
    """

    def __init__(
        self, asked: Asked, by: Instruments, show: Callable[[str], None] = lambda what: None
    ) -> None:
        self.asked, self.by, self.show = asked, by, show
        self._on = {
            "people": _told(by.cohort),
            "recognisers": [known_by(one.recogniser) for one in by.scorers],
            "backbone": by.backbone.name,
            **{name: getattr(asked, name) for name in ("photographs", "each", "size", "fits", "seed")},
        }

    def row(self, one: Chosen | None, draws: int = 1, left_out: tuple[int, ...] = ()) -> Row:
        """Of a method at a strength; None for nothing hidden. left_out: portraits that are not tried."""
        name = str(one) if one else tables.CLEAR
        draws = draws if one and one.kind.random else 1

        def measure() -> dict[str, Any]:
            self.show(name)
            method = one.make() if one else unchanged
            pictures, refused = measured(method, self.by, draws, left_out=left_out)
            return as_json(row(pictures, refused, self.by))

        made_from = {**self._on, "draws": draws, "left_out": left_out}
        return from_json(kept(self.asked.out, name, made_from, measure))

    def attacks(self, one: Chosen) -> list[Attack]:
        """Of a method at a strength."""
        asked, random = self.asked, one.kind.random
        draws, runs = (asked.draws, asked.runs) if random else (1, 1)
        searcher = {"runs": runs, "gallery": asked.gallery, "lessons": asked.lessons}
        return [
            *self._attacked(
                f"averages of {one}", {"draws": draws}, lambda: average(one.make(), self.by, draws)
            ),
            *self._attacked(f"searches of {one}", searcher, lambda: search(one.make(), self.by, runs)),
        ]

    def _attacked(
        self, what: str, made_from: dict[str, int], attack: Callable[[], list[Attack]]
    ) -> list[Attack]:
        def measure() -> dict[str, Any]:
            self.show(what)
            return {"attacks": [asdict(one) for one in attack()]}

        told = kept(self.asked.out, what, {**self._on, **made_from}, measure)
        return [Attack.from_json(one) for one in told["attacks"]]

    def matched(self, one: Chosen) -> dict[str, list[Matched]]:
        """By recogniser: every baseline where it hides as much, on the same photographs."""
        own = self.row(one)

        def of_the_same(baseline: Chosen) -> Row:
            return self.row(baseline, left_out=own.refused_of)

        return {
            by.name: [
                match(name, max(LEAST_TAR, tar(own, by.name)), by.name, of_the_same)
                for name in BASELINES
                if name != one.name
            ]
            for by in self.by.scorers
        }

    def by_tone(self, one: Chosen) -> dict[str, Row]:
        """By the tone of people's skin: the photographs of each third of the people.

        Raises:
            SansfaceError: too few people, or their photographs are grey.
        """
        cohort = self.by.cohort
        angles = typology_angle(cohort.people.crops[CLEAR], CLEAR)
        parts = thirds(np.unique(cohort.labels).tolist(), angles, cohort.people.labels)
        if not parts:
            raise SansfaceError("the photographs in colour are of fewer than fifteen people; give more.")
        others = {name: np.flatnonzero(~np.isin(cohort.labels, part)).tolist() for name, part, _, _ in parts}
        return {
            f"{name}: {len(part)} people, {low:.0f} to {high:.0f}°": self.row(one, left_out=(*others[name],))
            for name, part, low, high in parts
        }

    def keyed(self, name: str) -> list[Keyed]:
        """Of a method with a key, by each recogniser."""

        def measure() -> dict[str, Any]:
            self.show(name)
            rng = np.random.default_rng([self.asked.seed, 7])
            faces, gallery, refused = hidden_by_keys(KEYED[name].make(), self.by, rng)
            found = [keyed(virtual(by, faces, gallery, self.by.cohort), by, rng) for by in self.by.scorers]
            rank1 = keyless(KEYED[name].make(), faces["common"], self.by)
            every = [replace(one, keyless_rank1=rank1.get(one.recogniser)) for one in found]
            return {"refused": refused, "keyed": [asdict(one) for one in every]}

        made_from = {**self._on, "gallery": self.asked.gallery, "lessons": self.asked.lessons}
        told = kept(self.asked.out, name, made_from, measure)
        return [Keyed.from_json(one) for one in told["keyed"]]

    def sheet(self, one: Chosen, folder: Path) -> Path:
        """Results to look at, made again."""
        self.show(f"sheet of {one}")
        pictures, _ = measured(one.make(), self.by, with_pictures=True)
        return write_sheet(pictures, self.by.scorers, self.by.cohort, folder, str(one), self.asked.seed)


def table(name: TableName, methods: Sequence[Chosen], bench: Bench, keys: Sequence[str] = ()) -> str:
    """Measure and write one table; returns its Markdown.

    Args:
        name: which.
        methods: for all but `keyed`.
        bench: measures.
        keys: names of `KEYED`, for `keyed`.

    Raises:
        SansfaceError: there is nothing to measure for that table.
    """
    if not (keys if name == "keyed" else methods):
        raise SansfaceError(f"no method named is one of the table {name}; name another, or another table.")
    out, about = bench.asked.out, _about(bench)
    if name == "attackers":
        found = {str(one): bench.attacks(one) for one in methods}
        return tables.write(name, about, *tables.attacks(found), out)
    if name == "matched":
        matched = {str(one): bench.matched(one) for one in methods}
        rows = {str(one): bench.row(one) for one in methods}
        return tables.write(name, about, *tables.matches(matched, rows), out)
    if name == "keyed":
        return tables.write(name, about, *tables.keys({one: bench.keyed(one) for one in keys}), out)
    if name == "tones":
        return tables.write(
            name, about, *tables.tones({str(one): bench.by_tone(one) for one in methods}), out
        )
    rows = {tables.CLEAR: bench.row(None)}
    if name == "ablation":
        methods = with_parts_left_out(methods)
    if name != "sweep":
        rows |= {str(one): bench.row(one) for one in methods}
        return tables.write(name, about, *tables.papers(rows), out)
    for kind in dict.fromkeys(one.name for one in methods):
        for strength in KINDS[kind].strengths:
            one = Chosen(kind, strength)
            rows[str(one)] = bench.row(one, bench.asked.draws)
    return tables.write(name, about, *tables.papers(rows), out, tables.curves(rows))


def with_parts_left_out(methods: Sequence[Chosen]) -> list[Chosen]:
    """Each method, and at the same strength those that are it without a part.

    Raises:
        SansfaceError: none has a part that can be left out.
    """
    found = [
        Chosen(name, one.strength)
        for one in methods
        for name in KINDS
        if name == one.name or name.startswith(f"{one.name} without ")
    ]
    if len(found) == len(methods):
        raise SansfaceError("none of these methods has a part that can be left out; choose another table.")
    return found


def unchanged(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nothing hidden: the control."""
    return photograph


def _about(bench: Bench) -> str:
    cohort, asked = bench.by.cohort, bench.asked
    people = len(np.unique(cohort.people.labels[cohort.enrolled]))
    size = f"enlarged to {asked.size} px" if asked.size else "of their own size"
    return (
        f"{len(cohort.portraits)} photographs {size} of {people} people, {len(cohort.enrolled)} others "
        f"enrolled; thresholds from {len(cohort.strangers)} photographs of other people; KID by "
        f"{bench.by.backbone.name}, against {len(cohort.clear)} clear ones of those; seed {asked.seed}. "
        "Intervals are of 95 %, over people."
    )


def _told(cohort: Cohort) -> str:
    """A digest of the photographs and of whose they are; no name or path is in it."""
    people = cohort.people
    whose = zip(people.labels.tolist(), people.digests.tolist(), strict=True)
    return hashlib.sha256(b"".join(b"%d %b\n" % one for one in whose)).hexdigest()[:16]
