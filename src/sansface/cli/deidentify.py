"""The verb deidentify."""

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from sansface.cli.words import (
    Flag,
    Out,
    check_free,
    check_no_original,
    leave_out,
    numbered_pngs,
    say_left_out,
)
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.progress import progress_bar


@dataclass(frozen=True)
class Deidentify:
    """Give the people on photographs other faces: IDEudemon. Hair, clothes and place stay, and may tell.

    Another identity is drawn for every face of every photograph; pose, expression and light are kept. How
    often recognisers still find the person is in docs/deidentify.md. Writes PNG without metadata.

    Of a film, too, into FILM.mp4 or .mkv: one identity for each person in view, the sound as it is. A voice
    tells who speaks. Whatever looks like a face and cannot be changed is blacked out in those frames.
    """

    photographs: Positional[tuple[Path, ...]]
    """JPEG, PNG, TIFF, WebP; HEIC with the extra heic; or one film, with the extra video. One without a face
    is an error."""
    out: Out
    """File of one photograph, NAME.png; of a film, NAME.mp4 or NAME.mkv; or a folder, where photographs are
    numbered: names may tell who it is."""
    strength: float = 1.0
    """Of the change, above 0, at most 2; 1 makes another person to recognisers."""
    cover: Flag = False
    """Black out what looks like a face and cannot be changed (profiles, small ones); else it is an error."""
    restore: Path | None = None
    """ONNX file of a network that restores faces, such as GFPGAN's: the last step on photographs, within the
    changed face. Needs the extra restore. None is shipped."""
    seed: int | None = None
    """For tests: who knows it can draw the same noise, and take it away."""
    overwrite: Flag = False
    """Replace pictures of those names."""

    def run(self) -> None:
        ideudemon = require("sansface.deidentify.ideudemon", extra="deidentify")
        import numpy as np

        from sansface.deidentify.faces import Tools
        from sansface.deidentify.restore import Restorer
        from sansface.evaluate.png import write_png
        from sansface.photographs.decode import decode_rgb

        began = time.monotonic()
        if not self.photographs:
            raise SansfaceError("there is nothing to change; name a photograph, or several.")
        ideudemon.check_strength(self.strength)
        if self.seed is not None:
            if self.seed < 0:
                raise SansfaceError(f"the seed {self.seed} is below 0; give a whole number from 0.")
            print(
                "warning: with --seed the noise can be taken away again; use it for tests.", file=sys.stderr
            )
        missing = [path for path in self.photographs if not path.is_file()]
        if missing:
            raise SansfaceError(f"there is no file {missing[0]}; correct the path.")
        if any(_is_film(path) for path in self.photographs):
            if self.restore:
                raise SansfaceError("a film is not restored: frames would flicker; leave --restore out.")
            self._film()
            return
        restorer = Restorer(self.restore) if self.restore else None
        places, tools = numbered_pngs(self.out, self.photographs, self.overwrite), Tools()
        refused = 0
        with progress_bar("changing faces") as show:
            for number, (path, place) in enumerate(zip(self.photographs, places, strict=True)):
                entropy = secrets.randbits(256) if self.seed is None else [self.seed, number]
                rng = np.random.default_rng(entropy)
                try:
                    photograph = decode_rgb(path, "photograph")
                    done = ideudemon.deidentify(
                        photograph, tools, rng, self.strength, self.cover, restorer=restorer
                    )
                except SansfaceError as error:
                    refused += 1
                    leave_out(path, place, error, only=len(places) == 1)
                    continue
                write_png(place, done.photograph)
                show((number + 1) / len(places))
                told = f"{done.faces} changed" + (f", {done.covered} covered" if done.covered else "")
                print(f"{place}: faces: {told}")
        changed = len(places) - refused
        print(f"{changed} in {time.monotonic() - began:.1f} s. De-identified is not anonymous.")
        say_left_out(refused, len(places))

    def _film(self) -> None:
        import numpy as np

        from sansface.deidentify.faces import Tools
        from sansface.deidentify.video import deidentify_film

        began = time.monotonic()
        if len(self.photographs) > 1:
            raise SansfaceError("a film is changed by itself; name it alone.")
        check_free(self.out, self.overwrite)
        check_no_original([self.out], self.photographs)
        rng = np.random.default_rng(secrets.randbits(256) if self.seed is None else [self.seed, 0])
        with progress_bar("changing faces") as show:
            told = deidentify_film(next(iter(self.photographs)), self.out, Tools(), rng, self.strength, show)
        print(
            f"{self.out}: {told.frames} frames, {told.people} tracks of faces, {told.changed} faces changed, "
            f"of them by the frames about: {told.guessed}; frames with something covered: {told.covered}, "
            f"without a face: {told.empty}; streams of sound copied: {told.sounds}"
        )
        print(
            f"{time.monotonic() - began:.1f} s. Voices are kept, and tell who speaks. De-identified is not "
            "anonymous."
        )


def _is_film(path: Path) -> bool:
    from sansface.photographs.decode import is_video

    try:
        with path.open("rb") as file:
            return is_video(file.read(16))
    except OSError:  # said where it is read as a photograph
        return False
