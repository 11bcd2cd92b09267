"""What each artefact leaks: the rows of docs/audit.md, of rendered people.

    python benchmarks/artefacts.py FOLDER OUT [--seed 0] [--kinds control protected ...]

FOLDER is what `rendered_people.py` made. Reconstructions that are missing there are made first, about half a
CPU-minute each; the attacks take about 15 CPU-minutes. What OUT holds is not measured again.
"""

import argparse
from pathlib import Path

from sansface.audit.artefacts.rows import KINDS
from sansface.bench.artefacts import artefact_rows
from sansface.progress import progress_bar


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    with progress_bar("attacking") as show:
        artefact_rows(
            options.folder, options.out, options.seed, lambda done, note: show(done), kinds=options.kinds
        )
    print((options.out / "artefacts.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
