"""The verb bench deidentify: how well faces are hidden in single photographs, and what of them is left."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import UseAppendAction

from sansface.cli.words import Out
from sansface.extras import require
from sansface.progress import progress_bar

Tables = UseAppendAction[
    tuple[Literal["papers", "ablation", "sweep", "matched", "attackers", "keyed", "tones"], ...]
]


@dataclass(frozen=True)
class Deidentify:
    """Ways to hide who is on a photograph, measured on people of your own choosing, with attackers.

    What OUT holds is not measured again, so it can be stopped and gone on with; take another folder after a
    change of a method. Reports name people by number; no picture is written but by --sheet.
    """

    people: Path
    """Folder with a sub-folder of photographs for each person, or a labels.json. Ten photographs or more of
    those evaluated, one is enough of the others."""
    out: Out
    """Folder for rows, tables and figures; what it holds is gone on with."""
    method: UseAppendAction[tuple[str, ...]] = ()
    """A method, METHOD@STRENGTH, or one with a key; can be said again. Else all with no part left out: names
    in sansface.deidentify.methods, of which those with a key are for the table keyed alone."""
    table: Tables = ()
    """papers, ablation, sweep, matched, attackers, keyed, tones; can be said again. Else papers."""
    recogniser: tuple[str, ...] = ("edgeface", "mobilefacenet")
    """Who scores, as for sansface audit."""
    photographs: int = 316
    """How many are hidden, in all; the people are taken in turn."""
    each: int = 1
    """Photographs of a person before the next one's turn; the table keyed needs two."""
    gallery: int = 4
    """Clear photographs a candidate that the searcher, or the thief of a key, has."""
    size: int = 0
    """Pixels to which the longer side of photographs is brought first, such as 512; 0 leaves them as they
    are.
    """
    draws: int = 10
    """Runs on each photograph in the sweep and for the averager, of methods that are random."""
    runs: int = 5
    """Of the searcher on each photograph of his."""
    lessons: int = 250
    """Photographs of people who are not evaluated that an attacker hides himself, to teach a recogniser to
    see through the method; 0 for none."""
    fits: int = 20
    """Photographs of which POSE and EXP are measured; 0 for none. A fit takes seconds."""
    inception: Path | None = None
    """ONNX file of Inception's pooled features for KID: (n, 3, 299, 299) to (n, 2048). Else a stand-in."""
    seed: int = 0
    """Decides which photographs, and everything random."""
    sheet: Path | None = None
    """Folder, outside any repository, for 40 results of each method to look at, the worst among them. They
    show people."""

    def run(self) -> None:
        require("sansface.audit.control", extra="audit")
        require("scipy", extra="audit")
        require("ai_edge_litert", extra="faces")
        require("sansface.deidentify.methods", extra="deidentify")
        require("sansface.bench.deidentify.run", extra="reconstruct")
        require("matplotlib", extra="bench")  # before the work, not after
        from sansface.bench.deidentify import run
        from sansface.bench.deidentify.fits import head_fitter
        from sansface.bench.deidentify.kid import OnnxBackbone, StandIn
        from sansface.bench.deidentify.sheet import check_folder
        from sansface.cli.bench import stamp
        from sansface.deidentify.methods import KEYED, KINDS, chosen
        from sansface.recognise.registry import recogniser

        named = self.method or (*(name for name in KINDS if " without " not in name), *KEYED)
        keys = [words for words in named if words in KEYED]
        methods = [chosen(words) for words in named if words not in KEYED]
        if self.sheet is not None:
            check_folder(self.sheet)
        used = [recogniser(name) for name in self.recogniser]
        backbone = OnnxBackbone(self.inception) if self.inception else StandIn()
        stamp(self.out)
        asked = run.Asked(
            self.people,
            self.out,
            photographs=self.photographs,
            gallery=self.gallery,
            each=self.each,
            size=self.size,
            draws=self.draws,
            runs=self.runs,
            lessons=self.lessons if {"attackers", "keyed"} & set(self.table) else 0,
            fits=self.fits,
            seed=self.seed,
        )
        with progress_bar("reading") as show:
            by = run.instruments(asked, used, backbone, head_fitter() if self.fits else None, show)
        bench = run.Bench(asked, by, lambda what: print(f"measuring {what}", flush=True))
        for name in self.table or ("papers",):
            print(run.table(name, methods, bench, keys))
        if self.sheet is not None:
            for one in methods:
                print(f"sheet, which shows people: {bench.sheet(one, self.sheet)}")
        print(f"tables and figures: {self.out}")
