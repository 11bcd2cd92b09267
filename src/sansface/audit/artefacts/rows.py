"""Every kind of artefact with its attacks: who of the people enrolled does it belong to?"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from sansface.audit.artefacts import renderings
from sansface.audit.artefacts.coefficients import Fit, fit
from sansface.audit.artefacts.linkage import linked
from sansface.audit.artefacts.material import Material, cloud_of
from sansface.audit.artefacts.residual import by_residual
from sansface.audit.artefacts.sitting import FRONT, SECTORS
from sansface.audit.artefacts.skin import generic_skin, worn
from sansface.audit.artefacts.uploads import protected_faces
from sansface.audit.artefacts.views import Views, alike, named, of_faces, together
from sansface.audit.attackers.naive import as_pictures
from sansface.audit.people import STANDARD
from sansface.audit.scores import Rate, chance_interval, identify, similarities
from sansface.capture import Role
from sansface.evaluate.align import move
from sansface.evaluate.raycast import Caster
from sansface.reconstruct.novel_views import read_trained

RATES = (1e-1, 1e-2)
"""False-match rates of linked bundles: 20 people have too few pairs for less."""
PICTURE, ALL = "one picture", "all of a person"


@dataclass(frozen=True)
class Row:
    """One attack on one artefact.

    Attributes:
        artefact: what a server holds.
        enrolled: what the attacker has of the people, each labelled.
        attacker: how he compares.
        shown: one picture, all of a person, or a shape.
        rank1: share of the tries that name the right person.
        chance, low, high: what guessing gives, and between what it lies in 95 of 100 audits.
    """

    artefact: str
    enrolled: str
    attacker: str
    shown: str
    rank1: Rate
    chance: float
    low: float
    high: float


@dataclass(frozen=True)
class Found:
    """rows: of one kind of artefact.  more: what is no rank-1, as plain JSON."""

    rows: list[Row]
    more: dict[str, Any]


def row(of: Material, what: tuple[str, str, str, str], scores: np.ndarray, labels: np.ndarray) -> Row:
    """what: artefact, enrolled, attacker, shown.  scores: (n, people).  labels: (n,)."""
    people, rng = scores.shape[1], of.rng
    rank1 = identify(scores, labels, np.arange(people), rng).rank1.misses
    return Row(*what, rank1, 1 / people, *chance_interval(len(labels), people, rng))


def both(of: Material, what: tuple[str, str, str], scores: np.ndarray, labels: np.ndarray) -> list[Row]:
    """By one picture, and by all of a person; scores of a picture add up."""
    fused, people = together(scores, labels), np.arange(scores.shape[1])
    return [row(of, (*what, PICTURE), scores, labels), row(of, (*what, ALL), fused, people)]


CLEAR_PHOTOGRAPHS, SAME = "clear photographs", "the same artefact"
SCANS = "scans"


def _control(of: Material) -> Found:
    """Clear photographs, which must be recognised; and a gallery whose labels are drawn, which must not."""
    gallery, probes = of.photographs
    what = "control: clear photographs, front", CLEAR_PHOTOGRAPHS
    rows = []
    for one in of.recognisers:
        rows += both(of, (*what, f"naive, {one.name}"), alike(gallery, probes, one.name), probes.labels)
    rows += both(of, (*what, "parrot"), named(gallery, probes, of.rng), probes.labels)
    known, asked = (views.only(views.groups == FRONT) for views in of.protected)
    drawn = Views(of.rng.permutation(known.labels), known.groups, known.described)
    what = "control: protected pictures, front", "labels shuffled", "parrot"
    rows.append(row(of, (*what, PICTURE), named(drawn, asked, of.rng), asked.labels))
    return Found(rows, {"working": [one.name for one in of.working]})


def _protected(of: Material) -> Found:
    probes = of.protected[1]
    front = probes.groups == FRONT
    what = "protected pictures, front"
    clear, rows = of.photographs[0], []
    shown = as_pictures(protected_faces(of.second)[front], drawing=True)
    for one in of.working:
        faces = one.placing.again(shown, STANDARD)
        asked = Views(probes.labels[front], probes.groups[front], {one.name: one.embed(faces)})
        scores = alike(clear, asked, one.name)
        rows += both(of, (what, CLEAR_PHOTOGRAPHS, f"naive, {one.name}"), scores, asked.labels)
    scores = of.protected_scores
    rows += both(of, (what, SAME, "parrot"), scores[front], probes.labels[front])
    for sector in np.unique(probes.groups):
        if sector != FRONT:
            kept = probes.groups == sector
            artefact = f"protected pictures, {SECTORS[sector]}"
            rows.append(row(of, (artefact, SAME, "parrot", PICTURE), scores[kept], probes.labels[kept]))
    rows.append(_all(of, "protected pictures, all sides", together(scores, probes.labels)))
    return Found(rows, {"directions": _map(of, scores)})


def _map(of: Material, scores: np.ndarray) -> list[dict[str, float]]:
    """Rank-1 by the sensitive frames of a sitting, each with its mean direction."""
    numbers = [sitting.frames(Role.SENSITIVE) for sitting in of.second]
    hits = scores.argmax(axis=1) == of.protected[1].labels
    which = np.concatenate([np.arange(len(one)) for one in numbers])
    places = np.concatenate([s.directions[one] for s, one in zip(of.second, numbers, strict=True)])
    return [
        {
            "azimuth": float(places[which == k, 0].mean()),
            "height": float(places[which == k, 1].mean()),
            "rank1": float(hits[which == k].mean()),
        }
        for k in range(which.max() + 1)
    ]


def _neutral(of: Material) -> Found:
    gallery, probes = of.neutral
    scores = named(gallery, probes, of.rng)
    return Found(both(of, ("neutral pictures", SAME, "parrot"), scores, probes.labels), {})


def _masks(of: Material) -> Found:
    gallery, probes = of.silhouettes
    scores = named(gallery, probes, of.rng)
    return Found(both(of, ("masks, all sides", SAME, "parrot"), scores, probes.labels), {})


def _bundle(of: Material) -> Found:
    """Protected pictures, neutral ones and masks: calibrated, so their logarithms add up."""
    total = together(of.protected_scores, of.protected[1].labels)
    for gallery, probes in (of.neutral, of.silhouettes):
        total = total + together(named(gallery, probes, of.rng), probes.labels)
    return Found([_all(of, "the bundle's pictures and masks", total)], {})


def _all(of: Material, artefact: str, scores: np.ndarray) -> Row:
    return row(of, (artefact, SAME, "parrot", ALL), scores, np.arange(len(scores)))


def _links(of: Material) -> Found:
    """Two bundles of one person; nobody is enrolled."""
    parts = {
        "protected pictures": of.protected,
        "neutral pictures": of.neutral,
        "masks": of.silhouettes,
    }
    found = {name: linked(*views, RATES, of.rng) for name, views in parts.items()}
    return Found([], {"links": {name: asdict(one) for name, one in found.items()}})


def _rendered(
    of: Material, name: str, faces: Sequence[np.ndarray], own: Sequence[np.ndarray] | None
) -> Found:
    """Renderings from the front, against photographs and against the scans rendered alike."""
    labels = renderings.labels_of(faces)
    probes = Views(labels, np.full(len(labels), FRONT), of_faces(np.concatenate(faces), of.recognisers))
    clear, rows = of.photographs[0], []
    for one in of.working:
        what = name, CLEAR_PHOTOGRAPHS, f"naive, {one.name}"
        rows += both(of, what, alike(clear, probes, one.name), labels)
    rows += both(of, (name, CLEAR_PHOTOGRAPHS, "parrot"), named(clear, probes, of.rng), labels)
    if own is not None:
        known = renderings.labels_of(own)
        gallery = Views(known, np.full(len(known), FRONT), of_faces(np.concatenate(own), of.recognisers))
        rows += both(of, (name, "scans, rendered alike", "parrot"), named(gallery, probes, of.rng), labels)
    return Found(rows, {})


def _radiance(of: Material) -> Found:
    device, faces = torch.device("cpu"), []
    for sitting, run in zip(of.second, of.runs, strict=True):
        head = read_trained(run, device)
        faces.append(renderings.rendered(sitting, renderings.radiance(head, sitting)))
    return _rendered(of, "renderings of the radiance", faces, None)


def _plaster(of: Material) -> Found:
    return _rendered(
        of, "renderings of the mesh", *_drawn(of, lambda caster, fitted: renderings.plaster(caster))
    )


def _depth(of: Material) -> Found:
    return _rendered(of, "depth", *_drawn(of, lambda caster, fitted: renderings.depth(caster)))


def _skin(of: Material) -> Found:
    skin = generic_skin(of.model)

    def draw(caster: Caster, fitted: Callable[[], Fit]):
        head = fitted()
        colours = worn(skin, move(head.vertices, head.motion), caster.mesh.vertices)
        return renderings.skinned(caster, colours)

    return _rendered(of, "the mesh with a generic skin", *_drawn(of, draw))


def _drawn(of: Material, draw: Callable[[Caster, Callable[[], Fit]], Any]) -> tuple[list, list]:
    """Faces of the reconstructed meshes, and of the scans."""
    result: tuple[list, list] = [], []
    for faces, sittings, meshes, fits in (
        (result[0], of.second, of.meshes, lambda: of.mesh_fits),
        (result[1], of.first, of.scans, lambda: of.scan_fits),
    ):
        for number, (sitting, mesh) in enumerate(zip(sittings, meshes, strict=True)):
            how = draw(Caster(mesh), lambda fits=fits, number=number: fits()[number])
            faces.append(renderings.rendered(sitting, how))
    return result


def _shape(of: Material) -> Found:
    """Meshes against scans, in three dimensions."""
    who = np.arange(len(of.folders))
    again = [cloud_of(sitting, sitting.truth()) for sitting in of.second]
    rows, residuals = [], {}
    for artefact, clouds in (
        ("the mesh in 3D", of.mesh_clouds),
        ("control: a second scan", again),
        ("control: the same scan", of.scan_clouds),
    ):
        scores = by_residual(clouds, of.scan_clouds, of.rng)
        rows.append(row(of, (artefact, SCANS, "rigid ICP residual", "a shape"), scores, who))
        own, other = np.diag(-scores), -scores[~np.eye(len(scores), dtype=bool)]
        residuals[artefact] = {"own": float(np.median(own)), "others": float(np.median(other))}
    known = np.stack([one.identity for one in of.scan_fits])
    second = [fit(of.model, cloud, of.rng).identity for cloud in again]
    for artefact, found in (
        ("the mesh in 3D", np.stack([one.identity for one in of.mesh_fits])),
        ("control: a second scan", np.stack(second)),
    ):
        what = artefact, SCANS, "identity coefficients", "a shape"
        rows.append(row(of, what, similarities(found, known), who))
    return Found(rows, {"residual, mm": residuals})


KINDS: dict[str, Callable[[Material], Found]] = {
    "control": _control,
    "protected": _protected,
    "neutral": _neutral,
    "masks": _masks,
    "bundle": _bundle,
    "links": _links,
    "radiance": _radiance,
    "mesh": _plaster,
    "skin": _skin,
    "depth": _depth,
    "shape": _shape,
}
"""By name, in the order of the table."""
