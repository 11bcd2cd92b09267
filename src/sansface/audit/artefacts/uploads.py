"""What a client uploads: protected pictures, neutral ones, masks."""

from collections.abc import Mapping, Sequence

import numpy as np

from sansface.audit.artefacts.sitting import Sitting
from sansface.audit.artefacts.views import Views, of_colour, of_faces, of_modulus, of_silhouettes
from sansface.audit.attackers.layers import InnerLayers
from sansface.audit.people import CLEAR, STANDARD
from sansface.capture import Role
from sansface.errors import SansfaceError
from sansface.recognise.recogniser import Recogniser

REAR = 0
"""The one group of neutral pictures."""


def protected_faces(sittings: Sequence[Sitting]) -> np.ndarray:
    """(n, 64, 64) float32: σ of all sensitive pictures, the face placed as `STANDARD` says."""
    return np.stack([
        STANDARD.cut(sitting.bundle.frames[number].values(), _face(sitting, number))
        for sitting in sittings
        for number in sitting.frames(Role.SENSITIVE)
    ])  # fmt: skip


def protected_views(sittings: Sequence[Sitting], layers: Mapping[str, InnerLayers]) -> Views:
    """All sensitive pictures as a bundle has them, by sectors; one sitting a person."""
    return Views(*_known(sittings), of_modulus(protected_faces(sittings), layers))


def clear_faces(sittings: Sequence[Sitting], sector: int | None = None) -> np.ndarray:
    """(n, 112, 112, 3) float32: the photographs themselves, cut out for a recogniser."""
    return np.stack([
        CLEAR.cut(sitting.photograph(number), sitting.face(sitting.capture.frames[number].camera))
        for sitting in sittings
        for number in sitting.frames(Role.SENSITIVE, sector)
    ])  # fmt: skip


def clear_views(
    sittings: Sequence[Sitting], recognisers: Sequence[Recogniser], sector: int | None = None
) -> Views:
    """The photographs, which no server has: for the control, and as what an attacker has enrolled."""
    return Views(*_known(sittings, sector), of_faces(clear_faces(sittings, sector), recognisers))


def neutral_views(sittings: Sequence[Sitting]) -> Views:
    """All neutral pictures in their colours, whole heads."""
    labels, _ = _known(sittings, role=Role.NEUTRAL)
    pictures = [one.bundle.frames[k].values() for one in sittings for k in one.frames(Role.NEUTRAL)]
    return Views(labels, np.full(len(labels), REAR), of_colour(np.stack(pictures)))


def silhouette_views(sittings: Sequence[Sitting]) -> Views:
    """The masks of all sensitive pictures, whole heads.

    Raises:
        SansfaceError: the user keeps them.
    """
    masks = []
    for sitting in sittings:
        for number in sitting.frames(Role.SENSITIVE):
            mask = sitting.bundle.frames[number].mask
            if mask is None:
                raise SansfaceError(f"the bundle of {sitting.folder} has no masks; protect with masks.")
            masks.append(mask.astype(np.float32) / 255)
    return Views(*_known(sittings), of_silhouettes(np.stack(masks)))


def _face(sitting: Sitting, number: int) -> np.ndarray:
    """(5, 2) the landmarks in a picture of the bundle."""
    frame = sitting.bundle.frames[number]
    camera = sitting.capture.frames[number].camera
    return sitting.face(camera.resized(frame.camera.width, frame.camera.height))


def _known(
    sittings: Sequence[Sitting], sector: int | None = None, role: Role = Role.SENSITIVE
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and sectors of the sittings' pictures."""
    numbers = [sitting.frames(role, sector) for sitting in sittings]
    labels = np.repeat(np.arange(len(sittings)), [len(one) for one in numbers])
    sectors = [sitting.sectors[one] for sitting, one in zip(sittings, numbers, strict=True)]
    return labels, np.concatenate(sectors)
