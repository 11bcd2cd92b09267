"""Verbs of keyed de-identification: anonymize, authenticate, register, unseal."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from sansface.cli.words import Flag, Out, check_free, leave_out, numbered_pngs, say_left_out
from sansface.errors import SansfaceError
from sansface.extras import require

if TYPE_CHECKING:
    from sansface.deidentify.keyed import Anonymized, Recognition
    from sansface.deidentify.register import Register as Enrolled


@dataclass(frozen=True)
class Anonymize:
    """Give every face a virtual one that depends on the person and on a key. A picture is no proof of it.

    Somebody else's face, the photograph's pose and expression; hair, clothes and place stay, and may tell who
    it is. With --register who is new is enrolled, and all photographs of a person show one virtual person.
    Writes PNG without metadata. The recognisers' weights are for research only.
    """

    photographs: Positional[tuple[Path, ...]]
    """JPEG, PNG, TIFF, WebP; HEIC with the extra heic. One without a face is an error."""
    key_file: Path
    """Of `sansface key new`, for recognition."""
    out: Out
    """File of one photograph, NAME.png; or a folder, where they are numbered: names may tell who it is."""
    register: Path | None = None
    """File of who is enrolled; made if there is none."""
    seal_key_file: Path | None = None
    """Also put the original into the picture, encrypted by this key for sealing; see `sansface unseal`."""
    new: Flag = False
    """These people are not enrolled, even where they look like somebody who is."""
    renew: str | None = None
    """Id of an entry that is made anew from the one face of this photograph: another virtual face, under this
    key, which may be a new one. That it is the same person is for you to know."""
    cover: Flag = False
    """Black out what looks like a face and cannot be changed (profiles, small ones); else it is an error."""
    recogniser: str = "edgeface"
    """By whose embedding faces are known: edgeface, mobilefacenet, onnx:PATH, insightface:PATH,
    deepface:PATH, dlib:PATH."""
    threshold: float | None = None
    """Distance, 0 to 2, up to which two faces count as one person; else for a false-match rate of 1e-3."""
    overwrite: Flag = False
    """Replace pictures of those names."""

    def run(self) -> None:
        keyed = require("sansface.deidentify.keyed", extra="deidentify")
        kfaar = require("sansface.deidentify.kfaar", extra="deidentify")
        import numpy as np

        from sansface.deidentify.faces import Tools
        from sansface.deidentify.keys import Purpose, read_key
        from sansface.deidentify.register import register_for, write_register
        from sansface.deidentify.sealed import png, seal
        from sansface.files import write_private
        from sansface.photographs.decode import decode_rgb

        if not self.photographs:
            raise SansfaceError("there is nothing to change; name a photograph, or several.")
        if self.renew is not None and (self.register is None or len(self.photographs) > 1):
            raise SansfaceError("--renew takes a --register and one photograph; give them.")
        key = read_key(self.key_file, Purpose.RECOGNITION)
        sealing = self.seal_key_file and read_key(self.seal_key_file, Purpose.SEALING)
        recognition = _recognition(self.recogniser, self.threshold)
        _there(self.register, recognition)  # before any work
        outs, tools = numbered_pngs(self.out, self.photographs, self.overwrite), Tools()
        refused = 0
        for photograph, path in zip(self.photographs, outs, strict=True):
            # Read anew for each photograph: meanwhile somebody may have been revoked, or enrolled.
            was = _there(self.register, recognition)
            enrolled = was or register_for(recognition.recogniser)
            try:
                original = decode_rgb(photograph, "photograph")
                # The generator decides which pixels the light is fitted to, and nothing of who is seen.
                ready, subjects = kfaar.subjects(original, tools, np.random.default_rng(0), self.cover)
                done: Anonymized = keyed.anonymize(
                    ready, subjects, key, recognition, enrolled, self.new, self.renew
                )
            except SansfaceError as error:
                refused += 1
                leave_out(photograph, path, error, only=len(outs) == 1)
                continue
            data = png(done.picture) if sealing is None else seal(original, done.picture, sealing)
            write_private(path, data)
            if self.register is not None:
                write_register(done.register, self.register, was)
            print(f"{path}: {_told(done, self.register is not None)}")
        say_left_out(refused, len(outs))


@dataclass(frozen=True)
class Authenticate:
    """Is somebody enrolled in the picture? With the key of the enrolment alone. Exit code 0 yes, 3 no.

    A fresh photograph shows the person; a virtual picture (--virtual) shows only that one has it and the key.
    Each entry may be mistaken, so many entries make mistakes likelier: name the one that is claimed.
    """

    picture: Positional[Path]
    """A photograph of the person, or with --virtual a picture that `sansface anonymize` wrote."""
    key_file: Path
    """Of `sansface key new`, for recognition."""
    register: Path
    """File of who is enrolled."""
    virtual: Flag = False
    """The picture is a virtual one."""
    entry: str | None = None
    """Whom it is claimed to show; else anybody enrolled."""
    recogniser: str = "edgeface"
    """That of the enrolment; see `sansface anonymize`."""
    threshold: float | None = None
    """Distance, 0 to 2, up to which it is accepted; else for a false-match rate of 1e-3."""

    def run(self) -> None:
        keyed = require("sansface.deidentify.keyed", extra="deidentify")
        from sansface.deidentify.keys import Purpose, read_key
        from sansface.photographs.decode import decode_rgb

        key = read_key(self.key_file, Purpose.RECOGNITION)
        recognition = _recognition(self.recogniser, self.threshold)
        enrolled = _read_register(self.register, recognition)
        picture = decode_rgb(self.picture, "picture")
        try:
            answer = keyed.authenticate(picture, key, recognition, enrolled, self.virtual, self.entry)
        except SansfaceError as error:
            raise SansfaceError(f"{self.picture}: {error}") from error
        if answer.entry is None:
            print("not accepted: nobody enrolled with this key.")
            raise SystemExit(3)
        print(f"accepted: entry {answer.entry}")


@dataclass(frozen=True)
class Register:
    """Who is enrolled by `sansface anonymize --register`: list, or revoke an entry.

    One revoked is not accepted any more; pictures made before stay as they are. To renew an entry:
    `sansface anonymize --renew`.
    """

    what: Positional[Literal["list", "revoke"]]
    """What to do."""
    register: Positional[Path]
    """File of who is enrolled."""
    entries: Positional[tuple[str, ...]] = ()
    """Ids of those to revoke."""

    def run(self) -> None:
        registers = require("sansface.deidentify.register", extra="deidentify")
        enrolled: Enrolled = registers.read_register(self.register)
        if self.what == "revoke":
            if not self.entries:
                raise SansfaceError("there is nobody to revoke; name an entry, or several.")
            was = enrolled
            for entry in self.entries:
                enrolled = enrolled.revoked(entry)
            registers.write_register(enrolled, self.register, was)
        print(f"{self.register}: {len(enrolled.entries)} enrolled, recogniser {enrolled.recogniser}")
        for entry in enrolled.entries:
            print(f"{entry.id}  counter {entry.counter}")


@dataclass(frozen=True)
class Unseal:
    """Put back the original that `sansface anonymize --seal-key-file` put into a picture, bit for bit."""

    picture: Positional[Path]
    """As it was written: no pixel changed, not saved again by another program."""
    key_file: Path
    """The key for sealing."""
    out: Out
    """File for the original as PNG, which only you may read."""
    overwrite: Flag = False
    """Replace a file of that name."""

    def run(self) -> None:
        sealed = require("sansface.deidentify.sealed", extra="deidentify")
        from sansface.deidentify.keys import Purpose, read_key
        from sansface.files import os_error_sentence, write_private

        check_free(self.out, self.overwrite)
        key = read_key(self.key_file, Purpose.SEALING)
        try:
            data = self.picture.read_bytes()
        except OSError as error:
            raise SansfaceError(os_error_sentence("read the picture", self.picture, error)) from error
        write_private(self.out, sealed.png(sealed.unseal(data, key, str(self.picture))))
        print(f"{self.out}: the original. It hides nobody.")


def _recognition(name: str, threshold: float | None) -> "Recognition":
    from sansface.deidentify.keyed import LIMITS, Limits, Recognition
    from sansface.recognise.detect import Yunet
    from sansface.recognise.registry import recogniser

    used = recogniser(name)
    limits = LIMITS.get(used.digest)
    if threshold is not None and limits is not None:  # a stricter match must not hide less
        limits = Limits(threshold, max(threshold, limits.apart), min(threshold, limits.virtual))
    elif threshold is not None:
        limits = Limits(threshold, threshold, threshold)
    if limits is None:
        raise SansfaceError(f"no threshold of {name} is known; give one with --threshold.")
    return Recognition(used, Yunet(), limits)


def _read_register(path: Path, recognition: "Recognition") -> "Enrolled":
    from sansface.deidentify.register import read_register

    return read_register(path, recognition.recogniser)


def _there(path: Path | None, recognition: "Recognition") -> "Enrolled | None":
    """The register, where one is asked for and there already."""
    return _read_register(path, recognition) if path is not None and path.exists() else None


def _told(done: "Anonymized", enrolled: bool) -> str:
    """One line: how many faces and, where they are enrolled, which entries."""
    count = f"{len(done.faces)} face{'s' if len(done.faces) > 1 else ''}"
    if not enrolled:
        return count
    entries = [f"{one.entry} ({'known' if one.known else f'counter {one.counter}'})" for one in done.faces]
    return f"{count}: {', '.join(entries)}"
