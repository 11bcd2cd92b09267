"""What each artefact leaks of people photographed twice: once for an attacker, once for a server.

FOLDER/personNN/a, b        captures with landmarks and scans, such as benchmarks/rendered_people.py makes
FOLDER/personNN/b-run       the reconstruction of b, made here where it is missing
OUT/rows/KIND-….json        what was measured of one kind of artefact, each once
OUT/artefacts.md, .csv      all of it
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sansface.audit.artefacts.material import Material
from sansface.audit.artefacts.rows import KINDS, Found, Row
from sansface.audit.scores import Rate, percent
from sansface.bench.rows import contents, kept
from sansface.bench.write import as_csv, markdown_table
from sansface.errors import SansfaceError
from sansface.files import write_text
from sansface.recognise.recogniser import Recogniser, known_by
from sansface.reconstruct.config import AnyConfig

COLUMNS = (
    *("artefact", "enrolled", "attacker", "shown"),
    *("rank1", "low", "high", "tries", "chance", "chance_low", "chance_high"),
)
LEAST = 4
"""People: half of them are the background of the others."""


def artefact_rows(
    folder: Path,
    out: Path,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda done, note: None,
    recognisers: Sequence[Recogniser] | None = None,
    kinds: Sequence[str] | None = None,
    config: AnyConfig | None = None,
) -> list[Row]:
    """Attack every kind of artefact that was not attacked yet, and write the table.

    Args:
        folder: of the people, see above.
        out: for the results.
        seed: of protection, reconstructions and attacks.
        progress: told the share that is done and what is done next.
        recognisers: None for those whose weights are here.
        kinds: some of `KINDS`; None for all.
        config: of the reconstructions that are missing.

    Raises:
        SansfaceError: fewer than four people, a capture without landmarks, a reconstruction of another seed
            or with other settings in `folder`.
    """
    people = sorted(path for path in folder.glob("person*") if all((path / one).is_dir() for one in "ab"))
    if len(people) < LEAST:
        raise SansfaceError(
            f"{folder} holds {len(people)} people photographed twice, not {LEAST} or more; give "
            "person00/a, person00/b, person01/a and so on."
        )
    kinds = list(KINDS) if kinds is None else kinds
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise SansfaceError(f"there is no artefact {unknown[0]!r}; choose of {', '.join(KINDS)}.")
    material = Material(people, seed, recognisers, config)
    known = {
        "seed": seed,
        "people": {path.name: [contents(path / one) for one in "ab"] for path in people},
        "recognisers": [known_by(one) for one in material.recognisers],
        "config": material.config.as_dict(),
    }
    found: dict[str, Found] = {}
    for number, kind in enumerate(kinds):
        progress(number / len(kinds), kind)

        def measure(kind: str = kind) -> dict[str, Any]:
            one = KINDS[kind](material)
            return {"rows": [asdict(row) for row in one.rows], "more": one.more}

        told = kept(out, kind, known, measure)
        rows = [Row(**(row | {"rank1": Rate(**row["rank1"])})) for row in told["rows"]]
        found[kind] = Found(rows, told["more"])
        write_text(out / "artefacts.md", markdown(found))
        write_text(out / "artefacts.csv", as_csv(COLUMNS, _numbers(found)))
    progress(1.0, "done")
    return [row for one in found.values() for row in one.rows]


def markdown(found: dict[str, Found]) -> str:
    """All rows, then what is no rank-1."""
    rows = []
    for row in (row for one in found.values() for row in one.rows):
        guessing = Rate(row.chance, row.low, row.high, row.rank1.tries)
        told = [row.artefact, row.enrolled, row.attacker, row.shown]
        rows.append([*told, percent(row.rank1), percent(guessing)])
    tables = [markdown_table((*COLUMNS[:4], "rank-1, %", "guessing, %"), rows)]
    if "links" in found:
        rows = []
        for name, said in found["links"].more["links"].items():
            rates = [said["error"], *said["matched"]]
            rows.append([name, *(percent(Rate(**rate)) for rate in rates)])
        columns = ["two bundles of one person", "EER, %", "TAR, % at FMR 0.1", "at 0.01"]
        tables.append(markdown_table(columns, rows))
    if "protected" in found:
        rows = [
            [f"{at['azimuth']:.0f}", f"{at['height']:.0f}", f"{100 * at['rank1']:.1f}"]
            for at in sorted(found["protected"].more["directions"], key=lambda one: one["azimuth"])
        ]
        columns = ["azimuth, °", "height, °", "rank-1 of one protected picture, %"]
        tables.append(markdown_table(columns, rows))
    return "\n".join(tables)


def _numbers(found: dict[str, Found]) -> list[list[Any]]:
    """The rows under `COLUMNS`."""
    rows = []
    for row in (row for one in found.values() for row in one.rows):
        rate = row.rank1
        told = [rate.value, rate.low, rate.high, rate.tries, row.chance, row.low, row.high]
        rows.append([row.artefact, row.enrolled, row.attacker, row.shown, *told])
    return rows
