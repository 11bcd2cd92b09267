"""Verbs around the bundle: protect writes it, inspect tells all that it holds."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from sansface.cli.words import FRAME_SUFFIX, CaptureFormat, Flag, Out, check_free, check_two
from sansface.errors import SansfaceError
from sansface.progress import progress_bar


@dataclass(frozen=True)
class Protect:
    """On your device: turn a capture into a bundle, the one file that a server needs.

    Sensitive photographs become small gradient magnitudes, or less; colour is kept of neutral ones only,
    without their background. Protected is not anonymous: see docs/threat-model.md.
    """

    capture: Positional[Path]
    """Folder with photographs, masks and cameras: transforms.json, a COLMAP model or another known format."""
    out: Out
    """The bundle to write, such as head.sfb."""
    preset: Literal["standard", "strict", "paranoid"] = "standard"
    """What leaves of a sensitive photograph. standard: gradient magnitudes, and the outline. strict: the
    outline alone. paranoid: nothing but its camera, so that the face is a mean one. The neutral ones leave in
    colour in any case. docs/audit.md has what attackers make of each."""
    operator: str = "sobel"
    """sobel, scharr, prewitt, central, roberts, log or structure: docs/operators.md shows them."""
    resolution: int = 64
    """Pixels of the longer side of what is shared, 16 to 512. More shows more."""
    blur: float | None = None
    """Gaussian blur before the operator: standard deviation in pixels of what is shared, 0.25 to 8, 0 for
    none. Else 1/256 of --resolution from 256 pixels on; below, 1 for log and none for the others."""
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
    unit: Literal["mm", "cm", "m", "in", "arbitrary", "unknown"] | None = None
    """Of the capture's lengths, where its files say none, or a wrong one. Scanning apps mostly give metres
    and do not say so."""
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
        from sansface.files import written_beside
        from sansface.formats import read_capture
        from sansface.protect.bundle import bundle_bytes, bundle_digest, write_bundle
        from sansface.protect.describe import summary
        from sansface.protect.frame import without_frame, write_frame
        from sansface.protect.pipeline import ProtectSettings, protect
        from sansface.protect.presets import PRESETS
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
            PRESETS[self.preset],
        )
        check_free(self.out, self.overwrite)
        if self.share_frame and self.frame_out is not None:
            raise SansfaceError("--share-frame leaves nothing for --frame-out to write; leave one out.")
        frame_out = self.frame_out or self.out.with_suffix(FRAME_SUFFIX)
        if not self.share_frame:
            check_free(frame_out, self.overwrite)
            check_two(self.out, frame_out)
        if self.sheet is not None:
            check_free(self.sheet, self.overwrite)
            check_apart(self.sheet, self.out)
            check_two(self.sheet, frame_out)
        capture = read_capture(self.capture, self.format)
        if self.unit is not None:
            capture = replace(capture, unit=self.unit)
        with progress_bar("protecting") as show:
            bundle = protect(capture, settings, lambda done, frames: show(done / frames))
        if self.sheet is not None:
            write_sheet(before_after(capture, bundle), self.sheet, self.out)
        if not self.share_frame:
            bundle, frame = without_frame(bundle)
            with written_beside(frame_out) as part:  # renamed after the bundle is: neither without the other
                write_frame(frame, part, bundle_digest(bundle))
                write_bundle(bundle, self.out)
        else:
            write_bundle(bundle, self.out)
        print(summary(bundle))
        if not self.share_frame:
            print(f"{frame_out}: the way back to your frame and unit. Keep it; it is not for the server.")
        print(f"{self.out}: {len(bundle_bytes(bundle)):,} bytes in {time.monotonic() - began:.1f} s.")
        print(f"Look at all that it holds before you send it: sansface inspect {self.out}")


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
            check_free(self.sheet, self.overwrite)
        bundle = read_bundle(self.bundle)
        if self.sheet is not None:
            write_sheet(contact_sheet(bundle), self.sheet)
        print(describe(bundle))
        if self.sheet is not None:
            print(f"Its pictures, side by side: {self.sheet}")
