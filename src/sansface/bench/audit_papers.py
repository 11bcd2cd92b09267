"""The papers' own tables on privacy, measured again: one function a table, each of which gives its Markdown.

They are those of Kong et al., Do Not DeepFake Me (AAAI 2025): recognition accuracy (table 2, fig. 8), LPIPS
(table 4), privacy attributes (supplement 6 of the arXiv version), DeepFake (table 3), appearance transfer
(fig. 12). Photographs of faces are read, so all this stays where they are, and no picture is written.

A recogniser that fails on clear pictures of the same heads is said to fail, in place of its number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch

from sansface.audit.accuracy import Accuracy, accuracy, thresholds_of_others
from sansface.audit.attackers.descriptors import describe
from sansface.audit.attackers.layers import InnerLayers, enlarged, inner_layers
from sansface.audit.attackers.naive import as_pictures
from sansface.audit.attributes import (
    Precision,
    find_attributes,
    given_to_others,
    gram_of,
    worth_looking_for,
)
from sansface.audit.control import control
from sansface.audit.face_swap import PLACED, SwapSettings, swapped
from sansface.audit.people import STANDARD, People
from sansface.audit.perceptual import perceptual_distances, perceptual_ratio
from sansface.audit.portraits import (
    Portrait,
    frame_of,
    mesh_views,
    photographed,
    protected_views,
    radiance_views,
)
from sansface.audit.protected import protected
from sansface.audit.scores import Rate, Threshold, percent, similarities
from sansface.audit.split import split
from sansface.audit.transfer import taken_for
from sansface.bench.sittings import KINDS, Sitting, artefacts
from sansface.bench.write import as_png, markdown_table
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.align import Placing
from sansface.recognise.onnx import OnnxRecogniser
from sansface.recognise.recogniser import Recogniser
from sansface.reconstruct.novel_views import worn
from sansface.surface import read_mesh

RATE = 1e-2
"""Of false matches."""
COLOURS = Placing(32, 11.0)
"""How coarsely the attributes' models see colours."""

Markdown = str


def recognition(
    sittings: Sequence[Sitting], recognisers: Sequence[Recogniser], rng: np.random.Generator
) -> tuple[Markdown, dict[str, dict[str, Accuracy]]]:
    """Table 2 on rendered heads; besides the table, by recogniser and artefact what it is made of."""
    found: dict[str, dict[str, Accuracy]] = {}
    for placing in dict.fromkeys(recogniser.placing for recogniser in recognisers):
        shown = [artefacts(sitting, placing) for sitting in sittings]
        for recogniser in recognisers:
            if recogniser.placing == placing:
                found[recogniser.name] = _accuracies(sittings, shown, recogniser, rng)
    return _recognition_table(found), found


def recognition_of_photographs(
    people: People,
    recognisers: Sequence[Recogniser],
    protection: ProtectSettings,
    rng: np.random.Generator,
) -> tuple[Markdown, dict[str, dict[str, Accuracy]]]:
    """The first two columns of table 2 on photographs of people, of whom some have ten or more."""
    parts = split(people.labels, people.digests, rng)
    modulus = protected(people.crops[STANDARD][parts.probe], protection, rng)
    labels, owners = people.labels[parts.probe], people.labels[parts.enrolled]
    found: dict[str, dict[str, Accuracy]] = {}
    for recogniser in recognisers:
        clear = recogniser.embed(people.crops[recogniser.placing])
        control(clear, people.labels, people.numbers, parts, rng)
        thresholds = thresholds_of_others(clear[parts.probe], labels, clear[parts.enrolled], owners, RATE)
        shown = {"original": clear[parts.probe]}
        for name, drawing in (("protected", False), ("protected, as a drawing", True)):
            pictures = recogniser.placing.again(as_pictures(modulus, drawing), STANDARD)
            shown[name] = recogniser.embed(pictures)
        found[recogniser.name] = {
            name: accuracy(probes, labels, clear[parts.enrolled], owners, thresholds, rng)
            for name, probes in shown.items()
        }
    return _recognition_table(found), found


def perceptual(
    sittings: Sequence[Sitting], recognisers: Sequence[Recogniser], rng: np.random.Generator
) -> Markdown:
    """Table 4, by the stand-in: different heads from about the same side, in colours and protected.

    Both kinds of pictures are of the bundle's resolution. Pairs are of each head's most frontal view.
    """
    rows = []
    for recogniser in _with_layers(recognisers):
        network = inner_layers(recogniser)
        first = [replace(sitting, probes=[sitting.frontal()]) for sitting in sittings]
        colour, modulus = (
            perceptual_distances(network, np.concatenate(pictures))
            for pictures in (
                [photographed(one.probes, recogniser.placing, one.bundle.resolution) for one in first],
                [as_pictures(protected_views(one.probes, one.bundle, recogniser.placing)) for one in first],
            )
        )
        found = perceptual_ratio(colour, modulus, np.arange(len(first)), rng)
        rows.append([recogniser.name, f"{found.colour:.3f}", f"{found.modulus:.3f}", _number(found.ratio)])
    rows.append(["LPIPS of the paper", "4.637", "4.205", "1.10"])
    return markdown_table(("network", "colours", "moduli", "ratio"), rows)


def attributes(
    sittings: Sequence[Sitting],
    known: Mapping[str, Mapping[str, bool]],
    recognisers: Sequence[Recogniser],
    rng: np.random.Generator,
) -> tuple[Markdown, dict[str, Precision]]:
    """Privacy attributes of the supplement's section 6, on clear, protected and mesh pictures.

    Args:
        known: name of a sitting to its attributes; the same attributes for all.

    Raises:
        SansfaceError: too few people, or a sitting whose attributes are not known.
    """
    missing = [sitting.name for sitting in sittings if sitting.name not in known]
    if missing:
        raise SansfaceError(f"the attributes of {missing[0]} are not known; add them to the labels.")
    names = list(known[sittings[0].name])
    if any(list(known[sitting.name]) != names for sitting in sittings):
        raise SansfaceError("the heads' attributes are not the same ones; give each of them for each head.")
    people = np.concatenate([[k] * len(sitting.probes) for k, sitting in enumerate(sittings)])
    truth = np.array([[known[sittings[k].name][name] for name in names] for k in people], dtype=bool)
    told = worth_looking_for(truth, people)
    names, truth = [name for name, one in zip(names, told, strict=True) if one], truth[:, told]
    layers = {one.name: one for one in _with_layers(recognisers)}
    grams = {kind: gram_of(described) for kind, described in _attribute_descriptors(sittings, layers).items()}
    seed = int(rng.integers(2**48))  # all kinds are divided into the same folds
    found = {
        kind: find_attributes(gram, truth, people, np.random.default_rng(seed))
        for kind, gram in grams.items()
    }
    others = given_to_others(truth, people, rng)
    found["original, attributes of others"] = find_attributes(
        grams["original"], others, people, np.random.default_rng(seed)
    )
    rows = [
        [kind, *(f"{100 * one:.0f}" for one in precision.each), percent(precision.mean)]
        for kind, precision in found.items()
    ]
    rows.append(
        ["guessing", *(f"{100 * one:.0f}" for one in truth.mean(axis=0)), f"{100 * truth.mean():.1f}"]
    )
    return markdown_table(("pictures", *names, "mean"), rows), found


def face_swaps(
    pairs: Sequence[tuple[Sitting, Sitting]],
    sittings: Sequence[Sitting],
    recognisers: Sequence[Recogniser],
    settings: SwapSettings,
    seed: int = 0,
) -> Markdown:
    """Table 3: a swap trained on originals, full-RGB renderings and our renderings of the target.

    Distances are of the result to the target's clear pictures enrolled, which no swap was trained on; beside
    them those of the source before, and of the target's own originals.

    Args:
        pairs: source and target, with both reconstructions.
        sittings: all heads, for the control.
    """
    rows = []
    works = {one.name: _clear(sittings, one)[3].names for one in recognisers}
    for source, target in pairs:
        own = photographed(source.probes, PLACED)
        shown = artefacts(target, PLACED)
        kinds = [name for name in ("original", "rendering, full RGB", "rendering, ours") if name in shown]
        drawn = {
            kind: swapped(own, shown[kind], settings, torch.Generator().manual_seed(seed)) for kind in kinds
        }
        for recogniser in recognisers:
            known = recogniser.embed(photographed(target.enrolled, recogniser.placing))
            cells = {"source itself": own, **drawn, "target itself": shown["original"]}
            distances = [
                1 - similarities(recogniser.embed(recogniser.placing.again(one, PLACED)), known).mean()
                for one in cells.values()
            ]
            shown_cells = [f"{one:.3f}" for one in distances]
            if not works[recogniser.name]:
                shown_cells = ["control fails"] * len(distances)
            elif "original" not in drawn or distances[1] >= distances[0]:
                # Originals did not bring the source nearer to the target: of renderings that proves nothing.
                shown_cells[2:-1] = ["swap too weak"] * len(shown_cells[2:-1])
            rows.append([f"{source.name} → {target.name}", recogniser.name, *shown_cells])
    return markdown_table(
        ("swap", "recogniser", "source", "originals", "full-RGB renderings", "our renderings", "target"), rows
    )


def transfers(
    three: Sequence[Sitting], sittings: Sequence[Sitting], recognisers: Sequence[Recogniser]
) -> Markdown:
    """Figure 12: all ordered pairs, each head in the radiance of each other one, full-RGB and ours.

    Args:
        three: which are dressed, with both reconstructions.
        sittings: all heads, those three among them: whom a recogniser could take it for.
    """
    number = {sitting.name: person for person, sitting in enumerate(sittings)}
    clear = {one.name: _clear(sittings, one) for one in recognisers}
    rows = []
    for kind, of in KINDS.items():
        heads = {one.name: one.trained(of) for one in three}
        for wearer, source in product(three, three):
            head, frame = heads[wearer.name], frame_of(getattr(wearer, of))
            dress = None if source is wearer else worn(head, heads[source.name])
            views = {
                placing: radiance_views(wearer.probes, head, frame, placing, dress)
                for placing in dict.fromkeys(one.placing for one in recognisers)
            }
            for recogniser in recognisers:
                enrolled, owners, thresholds, known = clear[recogniser.name]
                dressed = recogniser.embed(views[recogniser.placing])
                both = number[wearer.name], number[source.name]
                taken = taken_for(dressed, enrolled, owners, *both, thresholds)
                rows.append(
                    [
                        recogniser.name,
                        kind,
                        wearer.name,
                        source.name,
                        f"{taken.to_geometry:.3f}",
                        f"{taken.to_radiance:.3f}",
                        taken.likest if known.names else "control fails",
                        taken.verdict if known.proves else "control fails",
                    ]
                )
    columns = ("recogniser", "radiance", "geometry of", "radiance of", "distance to geometry's")
    return markdown_table((*columns, "to radiance's", "likest", "matches"), rows)


def histogram(found: Mapping[str, Accuracy], title: str) -> bytes:
    """A PNG of figure 8's distances: of pairs of one person and of different people, for each artefact."""
    plt = require("matplotlib.figure", extra="bench")
    figure = plt.Figure(figsize=(5, 0.75 * len(found) + 0.7), dpi=90, layout="constrained")
    edges = np.linspace(0, 1.2, 49)
    panels = np.atleast_1d(figure.subplots(len(found), 1, sharex=True))
    for axes, (name, one) in zip(panels, found.items(), strict=True):
        for values, label, colour in (
            (one.other, "others", "0.7"),
            (one.same, "same person", "tab:blue"),
        ):
            axes.hist(
                values, edges, density=True, label=label, color=colour, alpha=0.7, histtype="stepfilled"
            )
        axes.axvline(one.limit, color="black", linewidth=0.8)
        axes.set_title(name, fontsize=8, loc="left", pad=2)
        axes.set_yticks([])
    panels[0].legend(frameon=False, fontsize=7)
    panels[-1].set_xlabel(f"{title}: cosine distance to clear pictures")
    return as_png(figure)


def _accuracies(
    sittings: Sequence[Sitting],
    shown: Sequence[Mapping[str, np.ndarray]],
    recogniser: Recogniser,
    rng: np.random.Generator,
) -> dict[str, Accuracy]:
    """What a recogniser says of each artefact.  shown: of each sitting, `artefacts`."""
    enrolled, owners = _embedded([one.enrolled for one in sittings], recogniser)
    thresholds, result = {}, {}
    for name in dict.fromkeys(name for one in shown for name in one):
        people = [(person, one[name]) for person, one in enumerate(shown) if name in one]
        probes = recogniser.embed(np.concatenate([pictures for _, pictures in people]))
        labels = np.concatenate([np.full(len(pictures), person) for person, pictures in people])
        if not thresholds:  # the originals come first
            thresholds = thresholds_of_others(probes, labels, enrolled, owners, RATE)
        result[name] = accuracy(probes, labels, enrolled, owners, thresholds, rng)
    return result


def _recognition_table(found: Mapping[str, Mapping[str, Accuracy]]) -> Markdown:
    rows = []
    for recogniser, of in found.items():
        for name, one in of.items():
            verified, rank1 = one.verification.tar.misses, one.identification.rank1.misses
            rows.append(
                [
                    recogniser,
                    name,
                    str(rank1.tries),
                    percent(verified) if of["original"].proves or name == "original" else "control fails",
                    f"{100 * one.verification.fmr:.1f}",
                    percent(rank1) if of["original"].names or name == "original" else "control fails",
                    f"{one.same.mean():.3f}",
                    f"{one.other.mean():.3f}",
                ]
            )
    columns = ("recogniser", "shown", "pictures", "accuracy, %", "false matches, %", "rank-1, %")
    return markdown_table((*columns, "distance, same", "other"), rows)


def _embedded(views: Sequence[Sequence[Portrait]], recogniser: Recogniser) -> tuple[np.ndarray, np.ndarray]:
    """(m, d) embeddings of photographs of all heads, and (m,) whose."""
    clear = [recogniser.embed(photographed(one, recogniser.placing)) for one in views]
    return np.concatenate(clear), np.repeat(np.arange(len(clear)), [len(one) for one in clear])


def _clear(
    sittings: Sequence[Sitting], recogniser: Recogniser
) -> tuple[np.ndarray, np.ndarray, dict[int, Threshold], Accuracy]:
    """Embeddings enrolled, whose, each person's threshold, and how the recogniser does on clear pictures."""
    enrolled, owners = _embedded([one.enrolled for one in sittings], recogniser)
    probes, labels = _embedded([one.probes for one in sittings], recogniser)
    thresholds = thresholds_of_others(probes, labels, enrolled, owners, RATE)
    found = accuracy(probes, labels, enrolled, owners, thresholds, np.random.default_rng(0))
    return enrolled, owners, thresholds, found


def _with_layers(recognisers: Sequence[Recogniser]) -> list[OnnxRecogniser]:
    return [one for one in recognisers if isinstance(one, OnnxRecogniser)]


def _attribute_descriptors(
    sittings: Sequence[Sitting], recognisers: Mapping[str, OnnxRecogniser]
) -> dict[str, dict[str, np.ndarray]]:
    """Kind of picture to its descriptors: colours or moduli themselves, and recognisers' inner layers."""
    # Of some heads the true mesh and of others a server's would be two kinds of pictures.
    served = all(one.ours is not None for one in sittings)
    meshes = [one.mesh() if served else read_mesh(one.truth) for one in sittings]
    hidden = np.concatenate([protected_views(one.probes, one.bundle, STANDARD) for one in sittings])
    mesh = "mesh, ours" if served else "true mesh"
    found: dict[str, dict[str, np.ndarray]] = {"original": {}, "protected": describe(hidden), mesh: {}}
    for placing in [COLOURS, *dict.fromkeys(one.placing for one in recognisers.values())]:
        cut = {
            "original": [photographed(one.probes, placing) for one in sittings],
            mesh: [mesh_views(one.probes, own, placing) for one, own in zip(sittings, meshes, strict=True)],
        }
        for kind, pictures in cut.items():
            together = np.concatenate(pictures)
            if placing == COLOURS:
                found[kind]["colours"] = together.reshape(len(together), -1)
            for name, recogniser in recognisers.items():
                if recogniser.placing == placing:
                    found[kind] |= _flat(name, inner_layers(recogniser), together)
    grey = np.repeat(enlarged(hidden, STANDARD.eyes)[..., None], 3, axis=3)
    for name, recogniser in recognisers.items():
        found["protected"] |= _flat(name, inner_layers(recogniser), grey)
    return found


def _flat(name: str, network: InnerLayers, pictures: np.ndarray) -> dict[str, np.ndarray]:
    maps = network.maps(pictures)
    return {
        f"{name} {layer}": (np.sign(values) * np.sqrt(np.abs(values))).reshape(len(values), -1)
        for layer, values in maps.items()
    }


def _number(rate: Rate) -> str:
    return f"{rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}]"
