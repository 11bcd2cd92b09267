"""Labelled photographs of people: whom an audit tries to recognise.

A folder with one sub-folder a person, or with a `labels.json`, {"labels": {path: person}}. A person is a
number from here on, that of the name in alphabetical order from 0; the photographs of a person are numbered
in the order of their files from 0. Names and paths are not kept.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from sansface.audit.copies import copies, fingerprint
from sansface.audit.kept import Kept
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.files import os_error_sentence, read_json
from sansface.formats.pictures import inside, pictures_in
from sansface.photographs.decode import decode_rgb
from sansface.recognise.align import Placing
from sansface.recognise.detect import Face, Yunet

LABELS = "labels.json"
CLEAR = Placing()
"""As recognisers of 112 pixels want a face."""
STANDARD = Placing(64, 11.0)
"""As a bundle of 64 pixels shows it: on the capture of a whole head the eyes are 11 pixels apart."""

Numbers = tuple[tuple[int, int], ...]
"""(person, photograph) each."""


@dataclass(frozen=True, eq=False)
class People:
    """Photographs of faces, cut out upright.

    Attributes:
        labels: (n,) int64, the person of each; a person of whom no photograph is left has none.
        numbers: (n,) int64, the photograph's number among the person's own.
        digests: (n,) S64, SHA-256 of the photograph's pixels in hexadecimal.
        crops: of each placing (n, side, side, 3) float32 sRGB in [0, 1].
        outlines: of the placings asked for (n, side, side) float32, the share of each pixel that is person.
        eyes: (n,) float64, pixels between the eyes in the photograph itself.
        faceless: photographs in which no face was found.
        small: photographs whose face has fewer pixels than a placing asks for, `least_eyes` between the eyes.
        twice: photographs that the person has twice, also if saved again; the first one stays.
    """

    labels: np.ndarray
    numbers: np.ndarray
    digests: np.ndarray
    crops: dict[Placing, np.ndarray]
    eyes: np.ndarray
    outlines: dict[Placing, np.ndarray] = field(default_factory=dict)
    faceless: Numbers = ()
    small: Numbers = ()
    twice: Numbers = ()


def read_people(
    folder: Path,
    placings: Sequence[Placing] = (CLEAR, STANDARD),
    find: Callable[[np.ndarray], Face | None] | None = None,
    least_eyes: float = STANDARD.eyes,
    progress: Callable[[float], None] | None = None,
    kept: Kept | None = None,
    outlined: Placing | None = None,
    segment: Callable[[np.ndarray], np.ndarray] | None = None,
) -> People:
    """Read photographs, find the one face of each, cut it out.

    Args:
        folder: see above.
        placings: how to cut.
        find: gives the face of a (h, w, 3) uint8 photograph; None for `Yunet.nearest`.
        least_eyes: pixels between the eyes below which a photograph is left out: σ of an enlarged picture is
            not what a bundle would show.
        progress: called with the share that is done.
        kept: where faces that were found before are looked up.
        outlined: how outlines are cut out; None for no outlines.
        segment: gives (h, w) uint8, 255 = person, of a photograph; None for `faces.segment.person_mask`.

    Raises:
        SansfaceError: no such folder, nobody in it, a photograph that cannot be read, one that two people
            have, be it saved again, or none in which a face of that size is found.
    """
    listed = _listed(folder)
    told = progress or (lambda done: None)
    faces = _found(listed, find, kept or Kept(None), lambda done: told(done / 2))
    first: dict[bytes, tuple[int, int]] = {}
    faceless, small, twice, eyes, prints = [], [], [], [], []
    crops: dict[Placing, list[np.ndarray]] = {placing: [] for placing in placings}
    outlines: list[np.ndarray] = []
    segment = segment or (_segmenter() if outlined else None)
    for done, ((person, number, path), face) in enumerate(zip(listed, faces, strict=True), start=1):
        picture = decode_rgb(path, "photograph")
        digest = hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest().encode()
        other = first.get(digest)
        if other and other[0] != person:
            raise SansfaceError(
                f"photograph {number + 1} of person {person + 1} in {folder} is also photograph "
                f"{other[1] + 1} of person {other[0] + 1}, in alphabetical order; give it to one of them."
            )
        if other:
            twice.append((person, number))
        elif face is None:
            faceless.append((person, number))
        elif face.eyes < least_eyes:
            small.append((person, number))
        else:
            first[digest] = (person, number)
            eyes.append(face.eyes)
            prints.append(fingerprint(picture, face.landmarks))
            for placing in placings:
                crops[placing].append(placing.cut(picture, face.landmarks))
            if outlined is not None and segment is not None:
                outlines.append(outlined.cut(segment(picture), face.landmarks))
        told(0.5 + done / len(listed) / 2)
    if not first:
        raise SansfaceError(_why_none(folder, len(faceless), len(small), least_eyes))
    who = np.array(list(first.values()), dtype=np.int64)
    again = _saved_again(np.stack(prints), who, folder)
    once = ~np.isin(np.arange(len(who)), again)
    return People(
        labels=who[once, 0],
        numbers=who[once, 1],
        digests=np.array(list(first))[once],
        crops={placing: np.stack(faces)[once] for placing, faces in crops.items()},
        eyes=np.array(eyes)[once],
        outlines={} if outlined is None else {outlined: np.stack(outlines)[once]},
        faceless=tuple(faceless),
        small=tuple(small),
        twice=(*twice, *((int(person), int(number)) for person, number in who[again])),
    )


def _saved_again(fingerprints: np.ndarray, who: np.ndarray, folder: Path) -> np.ndarray:
    """(k,) indices of photographs that an earlier one shows as well; who: (n, 2) person and photograph.

    Raises:
        SansfaceError: two people have one.
    """
    pairs = copies(fingerprints)
    for one, other in who[pairs]:
        if one[0] != other[0]:
            raise SansfaceError(
                f"photograph {other[1] + 1} of person {other[0] + 1} in {folder} shows the same picture as "
                f"photograph {one[1] + 1} of person {one[0] + 1}, in alphabetical order; give it to one of "
                "them."
            )
    return np.unique(pairs[:, 1])


def read_photographs(folder: Path, which: Numbers) -> list[np.ndarray]:
    """Whole photographs of some people, (h, w, 3) uint8 sRGB each, upright; grey in three channels.

    Args:
        folder: see above.
        which: as `People.labels` and `numbers` count.

    Raises:
        SansfaceError: as for `read_people`, or there is no such photograph.
    """
    paths = {(person, number): path for person, number, path in _listed(folder)}
    missing = [one for one in which if one not in paths]
    if missing:
        raise SansfaceError(
            f"{folder} has no photograph {missing[0][1] + 1} of person {missing[0][0] + 1} any more; run "
            "again."
        )
    return [decode_rgb(paths[one], "photograph") for one in which]


def _segmenter() -> Callable[[np.ndarray], np.ndarray]:
    require("sansface.faces.segment", extra="faces")
    from sansface.faces.segment import person_mask
    from sansface.faces.tflite import Network

    return partial(person_mask, network=Network("person"))


def _found(
    listed: Sequence[tuple[int, int, Path]],
    find: Callable[[np.ndarray], Face | None] | None,
    kept: Kept,
    progress: Callable[[float], None],
) -> list[Face | None]:
    """The face of each photograph."""

    def looked_for() -> dict[str, np.ndarray]:
        one, rows = find or Yunet().nearest, np.full((len(listed), 11), np.nan)
        for done, (_, _, path) in enumerate(listed):
            face = one(decode_rgb(path, "photograph"))
            if face is not None:
                rows[done] = [face.score, *face.landmarks.ravel()]
            progress((done + 1) / len(listed))
        return {"faces": rows}

    content = hashlib.sha256()
    for _, _, path in listed:
        try:
            content.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise SansfaceError(os_error_sentence("read the photograph", path, error)) from error
    rows = kept.arrays("faces", {"photographs": content.hexdigest()}, looked_for)["faces"]
    return [None if np.isnan(row[0]) else Face(float(row[0]), row[1:].reshape(5, 2)) for row in rows]


def _listed(folder: Path) -> list[tuple[int, int, Path]]:
    """Person, number of the photograph and its file, of all."""
    if not folder.is_dir():
        raise SansfaceError(f"there is no folder {folder}; give one with a sub-folder for each person.")
    if (folder / LABELS).is_file():
        named = _labelled(folder)
    else:
        try:
            people = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        except OSError as error:
            raise SansfaceError(os_error_sentence("read", folder, error)) from error
        named = [(path.name, picture) for path in people for picture in pictures_in(path)]
    if not named:
        raise SansfaceError(
            f"{folder} holds no sub-folder with photographs; make one for each person, or a {LABELS}."
        )
    numbers = {name: number for number, name in enumerate(sorted({name for name, _ in named}))}
    counted = dict.fromkeys(numbers, 0)
    listed = []
    for name, path in sorted(named):
        listed.append((numbers[name], counted[name], path))
        counted[name] += 1
    return listed


def _labelled(folder: Path) -> list[tuple[str, Path]]:
    where = folder / LABELS
    told = read_json(where)
    labels = told.get("labels") if isinstance(told, dict) else None
    if not isinstance(labels, dict) or not all(isinstance(person, str) for person in labels.values()):
        raise SansfaceError(f'{where} is not of the form {{"labels": {{path: person}}}}; correct the file.')
    return [(person, inside(folder, path, where)) for path, person in labels.items()]


def _why_none(folder: Path, faceless: int, small: int, least: float) -> str:
    if not small:
        return (
            f"no face was found in any of the {faceless} photographs of {folder}; give photographs of faces."
        )
    return (
        f"of the {faceless + small} photographs of {folder} none can be used: in {faceless} no face was "
        f"found, in {small} the eyes are less than {least:g} pixels apart; give larger ones."
    )
