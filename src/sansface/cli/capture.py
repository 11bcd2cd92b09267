"""Verbs that make a capture of photographs, or better one: capture, masks, roles, check, convert."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from sansface.cli.words import CaptureFormat, Flag, Out, Settings, check_free
from sansface.errors import SansfaceError
from sansface.progress import duration, progress_bar


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
        from sansface.formats import FORMATS, read_capture, recognise

        capture = read_capture(self.capture, self.format)
        name = self.format or recognise(self.capture)
        if not FORMATS[name].masks and any(frame.mask is None for frame in capture.frames):
            raise SansfaceError(
                f"the format {name} has its own place for masks, in which none is drawn here; sansface "
                f"convert {self.capture} first."
            )
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
            check_free(self.sheet, self.overwrite)
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
                check_free(path, self.overwrite)
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
