"""The verb bench: UNPROTECTED comparisons, from the photographs themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitSubcommandPrefixes, Positional, UseAppendAction, subcommand

from sansface.cli.bench_deidentify import Deidentify
from sansface.cli.reconstruct import train
from sansface.cli.words import CaptureFormat, FieldPreset, Flag, Out, Settings
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.files import fresh_folder, write_text
from sansface.progress import progress_bar
from sansface.settings import with_settings

NOTICE = """UNPROTECTED

Tables, pictures and runs in this folder were made from the photographs themselves, for comparison.
Keep it on this device.
"""
"""What lies beside tables and figures, which bear no stamp of their own."""
TableName = Literal[
    "stages",
    "all-rgb",
    "whole",
    "radiance",
    "lipschitz",
    "one-stage",
    "template",
    "neutral-colour",
    "neutral-views",
    "views",
    "half",
    "expressions",
    "resolution",
    "operators",
]  # the names of sansface.bench.trials.TABLES


ArtefactName = Literal[
    "control",
    "protected",
    "neutral",
    "masks",
    "bundle",
    "links",
    "radiance",
    "mesh",
    "skin",
    "depth",
    "shape",
]  # the names of sansface.audit.artefacts.rows.KINDS


@dataclass(frozen=True)
class Baseline:
    """The same reconstruction from all colours.

    It reads the photographs themselves and stamps every output UNPROTECTED. No bundle is written.
    """

    capture: Positional[Path]
    """Folder with photographs, masks and cameras: transforms.json, a COLMAP model or another known format."""
    out: Out
    """Folder for the results; must be empty or new."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""
    preset: Literal["fast", "splats"] = "fast"
    """Of the reconstruction that is compared with."""
    with_gradient: Flag = False
    """Compare gradient magnitudes of the sensitive frames, too."""
    steps_scale: float = 1.0
    """Times as many steps."""
    resolution: int = 64
    """Pixels of the longer side of the reduced photographs."""
    seed: int = 0
    """Decides everything random."""
    device: str = "auto"
    """auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    resume: Flag = False
    """Go on with an interrupted run of the same capture, settings and seed."""
    overwrite: Flag = False
    """Replace the results of an earlier run in the folder."""
    set: Settings = ()
    """Another setting: NAME=VALUE, such as stage2.steps=100."""

    def run(self) -> None:
        require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.bench.baseline import baseline_config, baseline_supervision, longer
        from sansface.formats import read_capture
        from sansface.protect.pipeline import ProtectSettings

        config = with_settings(baseline_config(self.with_gradient, self.resolution, self.preset), self.set)
        if not 0 < self.steps_scale < float("inf"):
            raise SansfaceError(f"--steps-scale {self.steps_scale} is not above zero; give a number like 4.")
        capture = read_capture(self.capture, self.format)
        warn(self.out)
        settings = ProtectSettings(resolution=self.resolution)
        train(baseline_supervision(capture, settings), longer(config, self.steps_scale), self)


@dataclass(frozen=True)
class Paper:
    """The paper's comparisons, on captures with a true mesh (gt.ply, or H3DS's full_head.obj).

    Writes each table as Markdown, CSV and pictures. What is there already is not run again, so it can be
    stopped and gone on with. benchmarks/make_captures.py makes the ten heads of the project.
    """

    captures: Positional[tuple[Path, ...]]
    """Folders with photographs, masks, cameras, roles and truth."""
    out: Out
    """Folder for runs and tables; what it holds is gone on with."""
    table: UseAppendAction[tuple[TableName, ...]] = ()
    """Which comparison; can be said again. Else all."""
    preset: FieldPreset = "fast"
    """paper has VolSDF's own network and 20,000 steps a run: for a GPU; paper-small is a tenth of it."""
    seeds: tuple[int, ...] = (0,)
    """Each trial is run with each."""
    resolution: int = 64
    """Pixels of the longer side, where a trial does not say its own."""
    format: CaptureFormat = None
    """Of the captures, where their folders do not tell."""
    device: str = "auto"
    """auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    set: Settings = ()
    """Another setting of the preset: NAME=VALUE, such as stage2.steps=100."""

    def run(self) -> None:
        require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.bench.paper import read_subject, run_tables
        from sansface.bench.tables import write_table
        from sansface.bench.trials import TABLES
        from sansface.reconstruct.run import Interrupted

        if not self.captures:
            raise SansfaceError("there is nothing to compare; name the folder of a capture, or several.")
        tables = self.table or tuple(TABLES)
        if any(TABLES[name].over for name in tables):
            require("matplotlib", extra="bench")  # before hours of work, not after
        subjects = [read_subject(folder, self.format) for folder in self.captures]
        stamp(self.out)
        with progress_bar("comparing") as show:
            try:
                results = run_tables(
                    subjects,
                    self.out,
                    tables,
                    preset_name=self.preset,
                    seeds=self.seeds,
                    resolution=self.resolution,
                    device=self.device,
                    settings=self.set,
                    on_progress=show,
                )
            except Interrupted as stopped:
                raise KeyboardInterrupt("interrupted; the same command goes on from there.") from stopped
        for name in tables:
            print(write_table(name, TABLES[name], results, subjects, self.out))
        print(f"tables and pictures: {self.out}")


@dataclass(frozen=True)
class Privacy:
    """The frontier: operators, resolutions and strengths, what attackers read of each, and what each costs.

    People are attacked as by `sansface audit`, captures with a true mesh reconstructed and scored. What OUT
    holds is not run again, so it can be stopped and gone on with.
    """

    captures: Positional[tuple[Path, ...]]
    """Folders with photographs, masks, cameras, roles and truth."""
    people: Path
    """Folder with a sub-folder of photographs for each person, or a labels.json."""
    out: Out
    """Folder for runs, table and figure; what it holds is gone on with."""
    way: UseAppendAction[tuple[str, ...]] = ()
    """Which way to protect; can be said again. Else all: the names of sansface.bench.privacy.WAYS."""
    attackers: tuple[str, ...] = ("parrot",)
    """naive, outlines, parrot, reverse, search: the strongest counts."""
    recogniser: tuple[str, ...] = ("edgeface", "mobilefacenet")
    """Whose layers the parrot reads, as for sansface audit."""
    trained: Path | None = None
    """Folder of what earlier audits found out, used again and added to. It holds faces."""
    seeds: tuple[int, ...] = (0,)
    """Of the attacks and of the reconstructions."""
    device: str = "auto"
    """auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    set: Settings = ()
    """Another setting of the preset fast: NAME=VALUE, such as stage2.steps=100."""

    def run(self) -> None:
        require("sansface.audit.run", extra="audit")
        require("matplotlib", extra="bench")
        from sansface.audit.attempts import AuditSettings
        from sansface.audit.kept import Kept
        from sansface.bench import privacy
        from sansface.bench.paper import read_subject
        from sansface.recognise.registry import recogniser
        from sansface.reconstruct.device import chosen_device

        ways = self.way or tuple(privacy.WAYS)
        unknown = [way for way in ways if way not in privacy.WAYS]
        if unknown:
            raise SansfaceError(
                f"there is no way {unknown[0]!r} to protect; choose of {', '.join(privacy.WAYS)}."
            )
        AuditSettings(self.attackers)  # a wrong name is said before anything is read
        used = [recogniser(name) for name in self.recogniser]
        subjects = [read_subject(folder) for folder in self.captures]
        stamp(self.out)
        kept, device = Kept(self.trained), chosen_device(self.device)
        with progress_bar("attacking") as show:
            found = privacy.leaks(
                self.people, used, ways, self.attackers, self.seeds, self.out, kept, device, show
            )
        with progress_bar("reconstructing") as show:
            scores = privacy.costs(subjects, ways, self.seeds, self.out, self.device, self.set, show)
        print(privacy.write(found, scores, self.out))
        print(f"table and figure: {self.out}")


@dataclass(frozen=True)
class Artefacts:
    """What a bundle and all that a server makes of it leak: pictures, masks, renderings, depth, the mesh.

    Of people captured twice: FOLDER/person00/a is what an attacker has enrolled, FOLDER/person00/b what is
    protected, reconstructed and attacked. Both have gt.ply, a scan, and in meta.json five landmarks of the
    face in the capture's frame: right eye, left eye, nose tip, right and left corner of the mouth.
    benchmarks/rendered_people.py makes such people who do not exist. What OUT holds is not measured again.
    """

    folder: Positional[Path]
    """Of the people, four or more. Reconstructions are kept there, as person00/b-run."""
    out: Out
    """Folder for the table; what it holds is gone on with."""
    kind: UseAppendAction[tuple[ArtefactName, ...]] = ()
    """Which artefact; can be said again. Else all."""
    recogniser: tuple[str, ...] = ("edgeface", "mobilefacenet")
    """Who looks, and whose layers the parrot reads, as for sansface audit."""
    seed: int = 0
    """Of protection, reconstructions and attacks."""

    def run(self) -> None:
        require("sansface.audit.run", extra="audit")
        from sansface.bench.artefacts import artefact_rows
        from sansface.recognise.registry import recogniser

        used = [recogniser(name) for name in self.recogniser]
        stamp(self.out)
        with progress_bar("attacking") as show:
            artefact_rows(self.folder, self.out, self.seed, show, used, self.kind or None)
        print((self.out / "artefacts.md").read_text(encoding="utf-8"))
        print(f"table: {self.out}")


@dataclass(frozen=True)
class Bench:
    """UNPROTECTED comparisons, on your own device: a baseline from all colours, the paper's tables, the
    frontier between what attackers read and what a head is worth, what each artefact leaks, and ways to hide
    faces in single photographs.
    """

    what: OmitSubcommandPrefixes[
        Annotated[Baseline, subcommand("baseline")]
        | Annotated[Paper, subcommand("paper")]
        | Annotated[Privacy, subcommand("privacy")]
        | Annotated[Artefacts, subcommand("artefacts")]
        | Annotated[Deidentify, subcommand("deidentify")]
    ]

    def run(self) -> None:
        self.what.run()


def stamp(out: Path) -> None:
    """Say what lies in a folder of comparisons: on the screen, and in the folder, for whoever finds it."""
    warn(out)
    fresh_folder(out, overwrite=True)
    write_text(out / "UNPROTECTED.txt", NOTICE)


def warn(out: Path) -> None:
    """Say on the screen what lies in a folder of comparisons."""
    from rich.console import Console

    Console(stderr=True).print(
        f"UNPROTECTED: this comparison reads the photographs themselves. Keep {out} on this device.",
        style="bold red",
    )
