"""The command line: one verb a class, its fields the options. What a verb does is elsewhere in the package.

Everything heavy is imported inside a verb, so that `--help` is quick and `protect` never loads torch.
"""

import io
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeGuard

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, Positional, UseAppendAction, arg

from sansface import __version__
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.progress import duration, progress_bar

if TYPE_CHECKING:
    from sansface.capture import Capture
    from sansface.reconstruct.config import Config
    from sansface.reconstruct.run import Progress
    from sansface.reconstruct.supervision import Supervision

CaptureFormat = (
    Literal["transforms", "sdfstudio", "facescape", "nersemble", "h3ds", "npz", "colmap"] | None
)  # the names of sansface.formats.FORMATS
Out = Annotated[Path, arg(aliases=("-o",))]
Flag = FlagCreatePairsOff[bool]
Settings = UseAppendAction[tuple[str, ...]]

FRAME_SUFFIX = ".frame.json"
"""Of the file with the way back to the user's frame, in place of the bundle's own suffix."""
MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4}


@dataclass(frozen=True)
class Demo:
    """Try everything on a procedural head: photograph, protect, inspect, reconstruct, evaluate, report.

    Nothing is downloaded and nobody is shown. Takes some minutes.
    """

    out: Out = Path("sansface-demo")
    """Folder for the capture, the bundle and the reconstruction."""
    seed: int = 0
    """Which head, and the seed of its reconstruction."""
    overwrite: Flag = False
    """Replace an earlier demo in the same folder."""

    def run(self) -> None:
        require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.demo import make_demo_capture
        from sansface.files import fresh_folder

        began = time.monotonic()
        fresh_folder(self.out, self.overwrite)
        capture, bundle, head = (self.out / name for name in ("capture", "head.sfb", "reconstruction"))
        print(f"1/5 photograph a procedural head: {capture}")
        with progress_bar("photographing") as show:
            make_demo_capture(
                capture,
                self.seed,
                overwrite=self.overwrite,
                progress=lambda done, views: show(done / views),
            )
        print(f"\n2/5 protect, on the device: {bundle}")
        Protect(capture, bundle, overwrite=self.overwrite).run()
        print(f"\n3/5 inspect what would leave the device: {bundle}")
        Inspect(bundle, sheet=self.out / "contact-sheet.png", overwrite=self.overwrite).run()
        print(f"\n4/5 reconstruct, from the bundle alone: {head}")
        Reconstruct(bundle, head, seed=self.seed, overwrite=self.overwrite).run()
        print("\n5/5 evaluate")
        Evaluate(head / "mesh.ply", truth=capture / "gt.ply", capture=capture).run()
        print(f"whole demo: {duration(time.monotonic() - began)}")


@dataclass(frozen=True)
class Photographs:
    """On your device: turn a folder of photographs into a capture, with cameras, masks and roles.

    Needs the extra colmap, and for masks and roles the extra faces. Take 30 or more, all around the head and
    in small steps, of one who keeps still. JPEG, PNG, TIFF, WebP; HEIC with the extra heic.
    """

    photographs: Positional[Path]
    """Folder of photographs."""
    out: Out
    """Folder of the capture; must be empty or new."""
    front: str | None = None
    """Name of a photograph taken from straight in front; else the faces say it."""
    pupil_distance_mm: float | None = None
    """Distance of the pupils, which makes millimetres the unit."""
    marker_mm: float | None = None
    """Side of a printed ArUco marker (DICT_4X4_50) in view, which makes millimetres the unit."""
    one_lens: bool = True
    """Photographs of one size share a focal length; say --no-one-lens if you zoomed or used two cameras."""
    keep_sfm: Flag = False
    """Keep database and sparse points in the capture's folder sfm: pictures can be recovered from them."""
    seed: int = 0
    """Of structure from motion's random draws."""

    def run(self) -> None:
        from sansface.photographs.pipeline import CaptureSettings, make_capture
        from sansface.photographs.tell import told

        began = time.monotonic()
        settings = CaptureSettings(
            front=self.front,
            pupil_distance_mm=self.pupil_distance_mm,
            marker_mm=self.marker_mm,
            one_lens=self.one_lens,
            keep_sfm=self.keep_sfm,
            seed=self.seed,
        )
        with progress_bar("making a capture") as show:
            made = make_capture(self.photographs, self.out, settings, show)
        print(told(made, self.out))
        print(f"{self.out}: in {duration(time.monotonic() - began)}.")


@dataclass(frozen=True)
class Protect:
    """On your device: turn a capture into a bundle, the one file that a server needs.

    Sensitive photographs become small gradient magnitudes; colour is kept of neutral ones only, without
    their background. Protected is not anonymous: see docs/threat-model.md.
    """

    capture: Positional[Path]
    """Folder with photographs, masks and cameras: transforms.json, a COLMAP model or another known format."""
    out: Out
    """The bundle to write, such as head.sfb."""
    operator: str = "sobel"
    """sobel, scharr, prewitt, central, roberts, log or structure: docs/operators.md shows them."""
    resolution: int = 64
    """Pixels of the longer side of what is shared, 16 to 512. More shows more."""
    blur: float | None = None
    """Gaussian blur before the operator: standard deviation in pixels of what is shared, 0.25 to 8, 0 for
    none; else 1 for log, and none for the others."""
    bits: int = 8
    """Of each gradient magnitude, 1 to 16."""
    noise: float = 0.0
    """Standard deviation of noise on the magnitudes, to 1; a change of 1 a pixel is from black to white."""
    gain: float = 1.0
    """Multiply the magnitudes of each sensitive photograph by a secret random factor from this (0.1 at
    least) to 1."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""
    share_masks: bool = True
    """Share the masks, at the same resolution. The head is worse without them."""
    center: tuple[float, float, float] | None = None
    """Center of the bounding sphere, in the capture's unit; else the capture's own, or from the masks."""
    radius: float | None = None
    """Radius of the bounding sphere, in the capture's unit."""
    frame_out: Path | None = None
    """Where the way back to the capture's frame and unit is written; else to NAME.frame.json beside the
    bundle. Keep it: it is not for the server."""
    share_frame: Flag = False
    """Put the capture's frame and unit into the bundle instead."""
    sheet: Path | None = None
    """Also write a picture of the photographs before and after, for your own eyes; not beside the bundle."""
    overwrite: Flag = False
    """Replace the bundle, its frame and the sheet, if they exist."""

    def run(self) -> None:
        from sansface.formats import read_capture
        from sansface.protect.bundle import bundle_bytes, bundle_digest, write_bundle
        from sansface.protect.describe import summary
        from sansface.protect.frame import without_frame, write_frame
        from sansface.protect.pipeline import ProtectSettings, protect
        from sansface.protect.sheet import before_after, check_apart, write_sheet

        began = time.monotonic()
        settings = ProtectSettings(
            self.resolution,
            self.operator,
            self.bits,
            self.share_masks,
            self.center,
            self.radius,
            self.blur,
            self.noise,
            self.gain,
        )
        _check_free(self.out, self.overwrite)
        if self.share_frame and self.frame_out is not None:
            raise SansfaceError("--share-frame leaves nothing for --frame-out to write; leave one out.")
        frame_out = self.frame_out or self.out.with_suffix(FRAME_SUFFIX)
        if not self.share_frame:
            _check_free(frame_out, self.overwrite)
        if self.sheet is not None:
            _check_free(self.sheet, self.overwrite)
            check_apart(self.sheet, self.out)
        capture = read_capture(self.capture, self.format)
        with progress_bar("protecting") as show:
            bundle = protect(capture, settings, lambda done, frames: show(done / frames))
        if self.sheet is not None:
            write_sheet(before_after(capture, bundle), self.sheet, self.out)
        if not self.share_frame:
            bundle, frame = without_frame(bundle)
            write_frame(frame, frame_out, bundle_digest(bundle))
        write_bundle(bundle, self.out)
        print(summary(bundle))
        if not self.share_frame:
            print(f"{frame_out}: the way back to your frame and unit. Keep it; it is not for the server.")
        print(f"{self.out}: {len(bundle_bytes(bundle)):,} bytes in {time.monotonic() - began:.1f} s.")
        print(f"Look at all that it holds before you send it: sansface inspect {self.out}")


@dataclass(frozen=True)
class Convert:
    """On your device: write a capture in another format. Pictures are copied as they are, unprotected."""

    capture: Positional[Path]
    """Folder with photographs, masks and cameras: transforms.json, a COLMAP model or another known format."""
    out: Out
    """Folder for the converted capture; must be empty or new."""
    format: Literal["transforms", "npz", "colmap", "colmap-text"] = "transforms"
    """To write. Only transforms can say roles; npz is IDR's, NeuS's and VolSDF's."""
    from_format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""

    def run(self) -> None:
        from sansface.formats import convert, read_capture

        capture = read_capture(self.capture, self.from_format)
        with progress_bar("converting") as show:
            whole = convert(capture, self.out, self.format, lambda done, frames: show(done / frames))
        print(f"{self.out}: {len(capture.frames)} frames as {self.format}.")
        if not whole:
            print(f"{self.format} cannot say roles: every frame will be read as sensitive.")


@dataclass(frozen=True)
class Inspect:
    """Verify a bundle and say everything that it holds."""

    bundle: Positional[Path]
    """The bundle, such as head.sfb."""
    sheet: Path | None = None
    """Also write its pictures side by side, as a PNG."""
    overwrite: Flag = False
    """Replace the sheet if it exists."""

    def run(self) -> None:
        from sansface.protect.bundle import read_bundle
        from sansface.protect.describe import describe
        from sansface.protect.sheet import contact_sheet, write_sheet

        if self.sheet is not None:
            _check_free(self.sheet, self.overwrite)
        bundle = read_bundle(self.bundle)
        if self.sheet is not None:
            write_sheet(contact_sheet(bundle), self.sheet)
        print(describe(bundle))
        if self.sheet is not None:
            print(f"Its pictures, side by side: {self.sheet}")


@dataclass(frozen=True)
class Reconstruct:
    """On the server: a head from a bundle. Writes mesh, report, settings and metrics into a folder.

    Ctrl-C leaves a usable head, and --resume goes on from there.
    """

    bundle: Positional[Path]
    """The bundle, such as head.sfb."""
    out: Out
    """Folder for the results; must be empty or new."""
    frame: Path | None = None
    """The way back to the capture's frame and unit; else NAME.frame.json if it still lies beside the bundle,
    else the mesh is in the bundle's own frame."""
    preset: Literal["fast", "paper"] = "fast"
    """fast: minutes on two cores. paper: VolSDF's own network and rates, for a GPU and patience."""
    seed: int = 0
    """Decides everything random."""
    device: str = "auto"
    """auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    resume: Flag = False
    """Go on with an interrupted run of the same bundle, settings and seed."""
    overwrite: Flag = False
    """Replace the results of an earlier run in the folder."""
    keep_radiance: Flag = False
    """Keep the trained radiance; what it renders can be recognised."""
    mesh_resolution: int | None = None
    """Cells of the marching cubes along an edge of the cube; else the preset's."""
    format: Literal["ply", "obj", "glb", "stl"] = "ply"
    """Of the mesh; mesh.ply is always written."""
    decimate: int | None = None
    """Reduce the mesh to about so many faces."""
    set: Settings = ()
    """Another setting of the preset: NAME=VALUE, such as stage2.steps=100."""

    def run(self) -> None:
        require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.protect.bundle import bundle_digest, read_bundle
        from sansface.protect.frame import read_frame
        from sansface.reconstruct.config import preset
        from sansface.reconstruct.supervision import from_bundle

        more = [] if self.mesh_resolution is None else [f"mesh_resolution={self.mesh_resolution}"]
        bundle = read_bundle(self.bundle)
        beside = self.bundle.with_suffix(FRAME_SUFFIX)
        way_back = self.frame or (beside if beside.exists() else None)
        frame = None if way_back is None else read_frame(way_back, bundle_digest(bundle))
        config = _configured(preset(self.preset, bundle.resolution), [*self.set, *more])
        _train(
            from_bundle(bundle, frame),
            config,
            self,
            self.keep_radiance,
            self.format,
            self.decimate,
        )


@dataclass(frozen=True)
class Evaluate:
    """Measure a mesh against the truth: surface distances of what the capture's cameras see of the head.

    In the folder of a reconstruction, its report is written again with the score and pictures of the truth.
    """

    mesh: Positional[Path]
    """The mesh, in the capture's frame and unit: .ply, .obj, .glb or .stl."""
    truth: Path
    """The true mesh, in the same frame."""
    capture: Path
    """The capture's folder: its cameras, sphere and head_min_y say what counts. No photograph is opened."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""
    json: Path | None = None
    """Also write the scores as JSON."""
    overwrite: Flag = False
    """Replace that JSON file if it exists."""
    align: Flag = False
    """Move the mesh onto the truth first, rigidly. Not the project's score; the report is left alone."""
    seed: int = 0
    """Of the points that the chamfer distance draws."""

    def run(self) -> None:
        require("sansface.evaluate.compare", extra="reconstruct")
        import numpy as np

        from sansface.capture import Role
        from sansface.evaluate import score
        from sansface.evaluate.compare import is_reconstruction, tell
        from sansface.files import write_json
        from sansface.formats import read_capture
        from sansface.surface import read_mesh

        if self.json is not None:
            _check_free(self.json, self.overwrite)
        capture = read_capture(self.capture, self.format)
        radius, head_min_y = _measures(capture, self.capture)
        mesh, truth = read_mesh(self.mesh), read_mesh(self.truth)
        cameras = [frame.camera for frame in capture.frames]
        rng = np.random.default_rng(self.seed)
        result = score(mesh, truth, cameras, radius, head_min_y, rng, align=self.align)
        if self.json is not None:
            write_json(self.json, result.as_dict())
        print(result.table())
        millimetre = _millimetre(capture)
        length = "" if millimetre is None else f" = {result.score * radius / millimetre:.3g} mm"
        print(f"score: {1e3 * result.score:.3f}e-3 R{length}, smaller is better")
        if not self.align and is_reconstruction(self.mesh.parent):
            face = [f.camera for f in capture.frames if f.role is Role.SENSITIVE] or cameras
            box = (truth.vertices.min(axis=0) + truth.vertices.max(axis=0)) / 2
            center = box if capture.sphere is None else capture.sphere.center
            print(f"report: {tell(self.mesh.parent, mesh, truth, result, face, center)}")


@dataclass(frozen=True)
class Bench:
    """UNPROTECTED comparisons, on your own device. baseline: the same reconstruction from all colours.

    It reads the photographs themselves and stamps every output UNPROTECTED. No bundle is written.
    """

    what: Positional[Literal["baseline"]]
    """Which comparison."""
    capture: Positional[Path]
    """Folder with photographs, masks and cameras: transforms.json, a COLMAP model or another known format."""
    out: Out
    """Folder for the results; must be empty or new."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""
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
        from rich.console import Console

        from sansface.bench.baseline import baseline_config, baseline_supervision
        from sansface.formats import read_capture
        from sansface.protect.pipeline import ProtectSettings

        config = _configured(baseline_config(self.with_gradient, self.resolution), self.set)
        if not 0 < self.steps_scale < float("inf"):
            raise SansfaceError(f"--steps-scale {self.steps_scale} is not above zero; give a number like 4.")
        steps = {"stage1": config.stage1.steps, "stage2": config.stage2.steps}
        scaled = [f"{stage}.steps={round(self.steps_scale * count)}" for stage, count in steps.items()]
        capture = read_capture(self.capture, self.format)
        Console(stderr=True).print(
            f"UNPROTECTED: this comparison reads the photographs themselves. Keep {self.out} on this device.",
            style="bold red",
        )
        settings = ProtectSettings(resolution=self.resolution)
        _train(baseline_supervision(capture, settings), _configured(config, scaled), self)


@dataclass(frozen=True)
class Masks:
    """On your device: give every photograph of a capture a mask: its own alpha, or else the person in it.

    A mask that is there is kept. Look at them, and correct them by hand: 255 = subject, 0 = background.
    """

    capture: Positional[Path]
    """Folder with photographs and cameras: transforms.json, a COLMAP model or another known format."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""
    overwrite: Flag = False
    """Draw anew the masks that are there, too."""

    def run(self) -> None:
        from sansface.faces.segment import make_masks
        from sansface.formats import read_capture

        capture = read_capture(self.capture, self.format)
        with progress_bar("drawing masks") as show:
            counts = make_masks(
                capture, self.capture, self.overwrite, lambda done, frames: show(done / frames)
            )
        print("masks: " + ", ".join(f"{count} {how}" for how, count in counts.items()))
        print(f"Look at those of {self.capture} before you protect it: what they cover is shared.")


@dataclass(frozen=True)
class Roles:
    """On your device: decide which photographs are neutral, and say why. Whatever is in doubt is sensitive.

    A photograph is neutral if no detector finds a face in it and its camera looks from behind: more than 130
    degrees from where the face looks. The colours of neutral photographs leave your device: look at each one.
    """

    capture: Positional[Path]
    """Folder with photographs and cameras: transforms.json, a COLMAP model or another known format."""
    front: str | None = None
    """Name of a photograph taken from straight in front; else the face's direction is found."""
    forward: str | None = None
    """Where the face looks in the capture's world: X,Y,Z; --forward=-1,0,0 where X is negative."""
    role: Settings = ()
    """NAME=sensitive or NAME=neutral: decide this one yourself. May be said several times."""
    i_understand: Flag = False
    """A photograph may be neutral by your word against the rules: no nose, eye, brow or lip shows in it."""
    write: Flag = False
    """Write the roles into the capture's transforms.json."""
    overwrite: Flag = False
    """Replace roles that stand there, and the sheet, if it exists."""
    sheet: Path | None = None
    """Also write a picture of all photographs with their roles, for your own eyes; not beside a bundle."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""

    def run(self) -> None:
        from rich.console import Console

        from sansface.capture import Role
        from sansface.faces.labels import annotate, labelled
        from sansface.faces.roles import decide, overrides, vector
        from sansface.faces.tell import check_no_bundle_beside, sheet, table
        from sansface.formats import read_capture
        from sansface.protect.sheet import write_sheet

        given, forward = overrides(self.role), None if self.forward is None else vector(self.forward)
        if self.sheet is not None:
            _check_free(self.sheet, self.overwrite)
            check_no_bundle_beside(self.sheet)
        capture = read_capture(self.capture, self.format)
        if self.write and labelled(self.capture, "role") and not self.overwrite:
            raise SansfaceError(
                f"{self.capture} says roles already; say --overwrite to replace them, or leave out --write."
            )
        with progress_bar("looking for faces") as show:
            decisions = decide(
                capture,
                self.front,
                given,
                forward=forward,
                understood=self.i_understand,
                progress=lambda done, frames: show(done / frames),
            )
        Console().print(table(decisions))
        neutral = sum(one.role is Role.NEUTRAL for one in decisions)
        print(f"{neutral} neutral, {len(decisions) - neutral} sensitive.")
        if self.sheet is not None:
            write_sheet(sheet(decisions), self.sheet)
            print(f"It shows the photographs, so keep it to yourself: {self.sheet}")
        if self.write:
            annotate(self.capture, "role", {one.frame.image: one.role.value for one in decisions})
            print(f"Written into {self.capture}. Colours of the neutral ones will be shared: look at each.")
        else:
            print("Nothing is written; say --write to put these roles into the capture's transforms.json.")


@dataclass(frozen=True)
class Assets:
    """Models that the client uses but does not hold: list them, pull them (a download), verify them.

    SANSFACE_ASSETS names a folder that holds them already; then nothing is downloaded.
    """

    what: Positional[Literal["list", "pull", "verify"]]
    """What to do."""
    names: Positional[tuple[str, ...]] = ()
    """Which ones: names of the list. Else all; pull: those that find faces and draw masks."""

    def run(self) -> None:
        from sansface import assets

        names = self.names or (assets.CLIENT if self.what == "pull" else tuple(assets.ASSETS))
        if self.what == "list":
            print(assets.describe(names))
        elif self.what == "pull":
            for name in names:
                print(f"{name}: {assets.pull(name)}")
        else:
            states = {name: assets.state(name) for name in names}
            print("\n".join(f"{name}: {found}" for name, found in states.items()))
            wrong = [name for name, found in states.items() if found == "changed"]
            if wrong:
                assets.find(wrong[0])  # says which file, and what to do


@dataclass(frozen=True)
class Check:
    """On your device: do poses, masks and photographs agree? Finds bad poses before a run is wasted.

    Each finding is a sentence that names the photograph and the remedy. Exit code 3 if there is one.
    """

    capture: Positional[Path]
    """Folder with photographs and cameras: transforms.json, a COLMAP model or another known format."""
    json: Path | None = None
    """Also write everything that was measured as JSON; it names your photographs."""
    picture: Path | None = None
    """Also draw the cameras and the hull of the masks, as a PNG. It shows no photograph."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""
    overwrite: Flag = False
    """Replace the JSON file, and the picture, if they exist."""

    def run(self) -> None:
        from rich.console import Console

        from sansface.check.picture import write_picture
        from sansface.check.pipeline import check_capture
        from sansface.files import write_json
        from sansface.formats import read_capture

        for path in (self.json, self.picture):
            if path is not None:
                _check_free(path, self.overwrite)
        capture = read_capture(self.capture, self.format)
        with progress_bar("checking") as show:
            checked = check_capture(capture, show)
        Console().print(checked.report.table())
        print("\n".join(checked.report.lines()))
        if self.json is not None:
            write_json(self.json, checked.report.as_dict())
        if self.picture is not None:
            write_picture(checked, self.picture)
            print(f"Cameras and hull: {self.picture}")
        if checked.report.findings:
            raise SystemExit(3)


VERBS = {
    "demo": Demo,
    "capture": Photographs,
    "masks": Masks,
    "roles": Roles,
    "check": Check,
    "protect": Protect,
    "convert": Convert,
    "inspect": Inspect,
    "reconstruct": Reconstruct,
    "evaluate": Evaluate,
    "bench": Bench,
    "assets": Assets,
}


Verb = (
    Demo
    | Photographs
    | Masks
    | Roles
    | Check
    | Protect
    | Convert
    | Inspect
    | Reconstruct
    | Evaluate
    | Bench
    | Assets
)


def parse(words: Sequence[str]) -> Verb:
    """The verb with its options, nothing done yet; SystemExit 2 where the words make no sense."""
    about = "3D heads from photographs that hide the face. Protected is not anonymous."
    return tyro.extras.subcommand_cli_from_dict(
        VERBS, prog="sansface", description=about, args=words, config=(DisallowNone,)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    argv: the words after `sansface`; None takes them from the process.
    Returns the exit code: 0, 1 for an error that was said in one sentence on stderr, 2 for a command that
    does not exist so, 3 for findings of a check, 130 after Ctrl-C, 141 where nobody reads the output any
    more.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console that has no σ prints "?" instead of failing
            stream.reconfigure(errors="replace", line_buffering=True)
    try:
        if words == ["--version"]:
            print(f"sansface {__version__}")
        else:
            parse(words).run()
        sys.stdout.flush()
    except SystemExit as leave:  # tyro's: help was shown, or the words were not understood
        return leave.code if isinstance(leave.code, int) else 2
    except SansfaceError as error:
        return _failed(str(error))
    except KeyboardInterrupt as stop:
        return _failed(str(stop) or "interrupted.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 141
    except OSError as error:
        return _failed(
            f"{error.strerror or error}: {error.filename or 'the output'}; check it and try again."
        )
    except MemoryError:
        return _failed("there is not enough memory; lower the resolution or close other programs.")
    return 0


def _failed(sentence: str, code: int = 1) -> int:
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def _check_free(path: Path, overwrite: bool) -> None:
    """Before any work: may this file be written?"""
    if path.exists() and not overwrite:
        raise SansfaceError(f"{path} exists; choose another name, or say --overwrite.")
    if not path.parent.is_dir():
        raise SansfaceError(f"there is no folder {path.parent} for {path.name}; make the folder first.")


def _configured(config: "Config", assignments: Sequence[str]) -> "Config":
    from sansface.settings import with_settings

    return with_settings(config, assignments)


def _train(
    supervision: "Supervision",
    config: "Config",
    options: Reconstruct | Bench,
    keep_radiance: bool = False,
    mesh_format: str = "ply",
    decimate: int | None = None,
) -> None:
    """Reconstruct with a progress bar, and say where things lie."""
    from sansface.protect.frame import NORMALISED
    from sansface.reconstruct.run import Interrupted, reconstruct

    if options.resume and options.overwrite:
        raise SansfaceError("--resume goes on and --overwrite starts anew; say one of them.")
    began = time.monotonic()
    with progress_bar("reconstructing") as show:

        def tell(now: "Progress") -> None:
            where = f"stage {now.stage}, step {now.step}/{now.steps}: " if now.steps else ""
            show(now.done, where + now.note, now.seconds_left)

        try:
            mesh = reconstruct(
                supervision,
                options.out,
                config,
                seed=options.seed,
                device=options.device,
                resume=options.resume,
                overwrite=options.overwrite,
                keep_radiance=keep_radiance,
                mesh_format=mesh_format,
                decimate=decimate,
                on_progress=tell,
            )
        except Interrupted as stopped:
            raise KeyboardInterrupt(str(stopped)) from stopped
    took = duration(time.monotonic() - began)
    where = "the capture's frame, unit " + supervision.unit
    if supervision.unit == NORMALISED:
        where = "the bundle's own frame, the unit sphere; --frame gives the capture's"
    print(f"mesh: {mesh}, in {where}, after {took}")
    print(f"report: {options.out / 'report.html'}")


def _measures(capture: "Capture", folder: Path) -> tuple[float, float | None]:
    """R and head_min_y of a capture, as its meta.json says them."""
    radius = capture.meta.get("radius") if capture.sphere is None else capture.sphere.radius
    lowest = capture.meta.get("head_min_y")
    if not _is_number(radius) or radius <= 0:
        raise SansfaceError(
            f"{folder} does not say its radius, by which distances are divided; put it into meta.json."
        )
    if lowest is not None and not _is_number(lowest):
        raise SansfaceError(f"head_min_y in the meta.json of {folder} is not a number; correct or remove it.")
    return float(radius), lowest


def _millimetre(capture: "Capture") -> float | None:
    """Length of a millimetre in the capture's unit, where it is known."""
    said = capture.meta.get("units_per_mm")
    if _is_number(said) and said > 0:
        return float(said)
    return 1 / MILLIMETRES[capture.unit] if capture.unit in MILLIMETRES else None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
