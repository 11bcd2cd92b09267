"""The frontier: what each way to protect leaves to an attacker, beside what it leaves of the geometry.

Every trial is attacked on people of the user's own choosing by `audit.run`, and reconstructed on captures
with a true mesh by `bench.paper`. The strongest attacker who sees a single picture counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sansface.audit.attempts import ATTACKERS, AuditSettings
from sansface.audit.kept import Kept
from sansface.audit.people import People, read_people
from sansface.audit.run import Audit, applicable, audit, finer, placing
from sansface.bench.paper import Subject, run_trial
from sansface.bench.rows import contents, kept
from sansface.bench.trials import Trial
from sansface.bench.write import as_png, markdown_table
from sansface.extras import require
from sansface.files import write_json, write_text, written_beside
from sansface.protect.contents import Share
from sansface.protect.pipeline import ProtectSettings
from sansface.protect.presets import PRESETS
from sansface.recognise.align import Placing
from sansface.recognise.recogniser import Recogniser, known_by
from sansface.reconstruct.run import Progress

STANDARD = "standard"
WAYS: dict[str, dict[str, Any]] = {
    **{name: {"share": share} for name, share in PRESETS.items()},
    "log": {"operator": "log"},
    "roberts": {"operator": "roberts"},
    "blur 1": {"blur": 1.0},
    "bits 2": {"bits": 2},
    "bits 1": {"bits": 1},
    "noise 0.03": {"noise": 0.03},
    "noise 0.1": {"noise": 0.1},
    "noise 0.3": {"noise": 0.3},
    "noise 1": {"noise": 1.0},
    "resolution 32": {"resolution": 32},
    "resolution 16": {"resolution": 16},
    "strict, 32 pixels": {"share": Share.OUTLINE, "resolution": 32},
    "strict, 16 pixels": {"share": Share.OUTLINE, "resolution": 16},
}
"""Name to what differs from the defaults of `ProtectSettings`."""
MARKS = ("1", "2", "+", "x", "3")
"""Of each attacker in the figure."""
CLOSE = (0.08, 4.0)
"""Two dots are where one name would lie over the other: natural logarithm across, per cent up."""


@dataclass(frozen=True)
class Leak:
    """Rank-1 of the strongest attacker with one picture, and with all of a person's; None: nothing to attack.

    Attributes:
        way: a name in `WAYS`.
        seed: of the audit.
        attacker: the strongest, with what.
        single, low, high: of one picture, 0 to 1, with its 95 % interval over people.
        together: of all pictures of a person at once.
        chance: of guessing.
        skin: rank-1 of the strongest on the darkest, the middle and the lightest third of the people, mean
            over people; empty where they are too few.
        each: rank-1 of every attacker with one picture, by what serves him best.
    """

    way: str
    seed: int
    attacker: str | None
    single: float | None
    low: float | None
    high: float | None
    together: float | None
    chance: float | None
    skin: tuple[float, ...] = ()
    each: dict[str, float] = field(default_factory=dict)


def leaks(
    folder: Path,
    recognisers: Sequence[Recogniser],
    ways: Sequence[str],
    attackers: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    networks: Kept,
    device: torch.device,
    on_progress: Callable[[float, str], None],
) -> list[Leak]:
    """Attack every way; what OUT/rows holds already of the same people is not attacked again.

    Args:
        folder: of people, as for `sansface audit`.
        attackers: those tried where there is σ.
        networks: what earlier audits found out and learnt.
    """
    result = []
    asked: dict[str, Any] = {"people": contents(folder), "attackers": list(attackers)}
    asked |= {"recognisers": [known_by(one) for one in recognisers]}
    people = lru_cache(1)(lambda placed, outlined: _people(folder, recognisers, placed, outlined, networks))
    for number, (way, seed) in enumerate((way, seed) for way in ways for seed in seeds):
        on_progress(number / (len(ways) * len(seeds)), f"attacking {way}")
        protection = ProtectSettings(**WAYS[way])

        def attack(way: str = way, seed: int = seed, protection: ProtectSettings = protection) -> Leak:
            if protection.share is Share.CAMERA:
                return Leak(way, seed, None, None, None, None, None, None)
            settings = AuditSettings(applicable(attackers, protection))
            placed = placing(protection)
            read = people(placed, protection.share is Share.OUTLINE)
            rng = np.random.default_rng(seed)
            found = audit(read, recognisers, protection, placed, rng, settings, kept=networks, device=device)
            return _leak(way, seed, found)

        made_from = {**asked, "protection": asdict(protection), "seed": seed}
        told = kept(out, way, made_from, lambda attack=attack: asdict(attack()))
        result.append(Leak(**{**told, "skin": tuple(told["skin"])}))
    return result


def _people(
    folder: Path, recognisers: Sequence[Recogniser], placed: Placing, outlined: bool, networks: Kept
) -> People:
    """Everybody whose face is as large as the default way asks for, whatever the way."""
    placings = tuple({one.placing for one in recognisers} | {placed, finer(placed)})
    least, where = placing(ProtectSettings()).eyes, placed if outlined else None
    return read_people(folder, placings, least_eyes=least, kept=networks, outlined=where)


def _leak(way: str, seed: int, found: Audit) -> Leak:
    best = found.strongest
    rate = best.named.rank1.misses
    together = [
        attack.named.rank1.misses.value
        for attack in found.attacks
        if attack.named.rank1.misses.tries != found.probes
    ]
    name, all_of_them = f"{best.attacker}, {best.with_what}", max(together, default=None)
    skin = tuple(third.named.value for third in found.skin)
    each: dict[str, float] = {}
    for attack in found.attacks:
        named = attack.named.rank1.misses
        if named.tries == found.probes:
            each[attack.attacker] = max(named.value, each.get(attack.attacker, 0.0))
    return Leak(way, seed, name, rate.value, rate.low, rate.high, all_of_them, best.named.chance, skin, each)


def costs(
    subjects: Sequence[Subject],
    ways: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    device: str,
    settings: Sequence[str],
    on_progress: Callable[[float, str], None],
) -> dict[str, dict[str, list[float]]]:
    """Scores in R by way and capture, one for each seed; what OUT/runs holds is not run again."""
    result: dict[str, dict[str, list[float]]] = {way: {} for way in ways}
    jobs = [(way, subject, seed) for way in ways for subject in subjects for seed in seeds]
    for number, (way, subject, seed) in enumerate(jobs):
        title = f"{way}, {subject.name}, seed {seed}"

        def show(now: Progress, number: int = number, title: str = title) -> None:
            on_progress((number + 0.95 * now.done) / len(jobs), title)

        share = ProtectSettings(**WAYS[way]).share
        trial = Trial(way, protect=WAYS[way], template=share is not Share.MODULUS)
        found = run_trial(subject, trial, seed, out, "fast", 64, device, settings, show)
        if found is not None:
            result[way].setdefault(subject.name, []).append(found.score)
    return result


def table(found: Sequence[Leak], scores: dict[str, dict[str, list[float]]]) -> str:
    """Markdown: a way a line, what attackers name, and the score on each capture over standard's."""
    captures = list(dict.fromkeys(name for of in scores.values() for name in of))
    attackers = attackers_of(found)
    head = ["protection", "one picture, %", "all pictures, %", "× chance", "by skin, %"]
    head += [*(f"{one}, %" for one in attackers), *captures]
    lines = []
    for way in dict.fromkeys(leak.way for leak in found):
        mine = [leak for leak in found if leak.way == way]
        cells = [f"`{way}`", "nothing is shared", *"–––", *"–" * len(attackers)]
        if mine[0].single is not None and mine[0].chance is not None:
            single = float(np.mean([leak.single or 0.0 for leak in mine]))
            alone = f"{100 * single:.1f}"
            if len(mine) == 1:
                alone += f" [{100 * (mine[0].low or 0):.1f}, {100 * (mine[0].high or 0):.1f}]"
            views = [leak.together for leak in mine if leak.together is not None]
            together = f"{100 * np.mean(views):.1f}" if views else "–"
            thirds = np.array([leak.skin for leak in mine if leak.skin])
            skin = " / ".join(f"{100 * share:.0f}" for share in thirds.mean(axis=0)) if len(thirds) else "–"
            cells = [f"`{way}`", alone, together, f"{single / mine[0].chance:.1f}", skin]
            for one in attackers:
                rates = [leak.each[one] for leak in mine if one in leak.each]
                cells.append(f"{100 * np.mean(rates):.1f}" if rates else "–")
        for name in captures:
            values, plain = scores.get(way, {}).get(name), scores.get(STANDARD, {}).get(name)
            ratio = f" (× {np.mean(values) / np.mean(plain):.2f})" if values and plain else ""
            cells.append(f"{1e3 * np.mean(values):.2f}{ratio}" if values else "")
        lines.append(cells)
    seeds = ", ".join(str(seed) for seed in sorted({leak.seed for leak in found}))
    skin = "by skin: darkest / middle / lightest third, mean over people"
    return f"{markdown_table(head, lines)}\nScore in 1e-3 R; attacks with seeds {seeds}; {skin}.\n"


def attackers_of(found: Sequence[Leak]) -> list[str]:
    """Who tried single pictures, if more than one did: in the order of what they cost."""
    tried = {one for leak in found for one in leak.each}
    return [one for one in ATTACKERS if one in tried] if len(tried) > 1 else []


def figure(found: Sequence[Leak], scores: dict[str, dict[str, list[float]]]) -> bytes:
    """PNG: how often the right person is named, against the score over standard's, mean over captures.

    A dot is the strongest attacker's; where several tried, each has a mark of his own below it.
    """
    plt = require("matplotlib.figure", extra="bench")
    drawing = plt.Figure(figsize=(7, 4.5), dpi=150, layout="constrained")
    axes = drawing.subplots()
    attackers, labelled = attackers_of(found), set[str]()
    named: list[tuple[float, float]] = []
    for way in dict.fromkeys(leak.way for leak in found):
        mine = [leak.single for leak in found if leak.way == way]
        ratios = [
            np.mean(values) / np.mean(scores[STANDARD][name])
            for name, values in scores.get(way, {}).items()
            if scores.get(STANDARD, {}).get(name)
        ]
        known = [share for share in mine if share is not None]
        if ratios:
            place = float(np.mean(ratios)), 100 * float(np.mean(known)) if known else 0.0
            axes.plot(*place, "o", color="C3" if way in PRESETS else "C0")
            across, up = CLOSE
            near = any(abs(np.log(x / place[0])) < across and abs(y - place[1]) < up for x, y in named)
            side = {"xytext": (-5, -3), "ha": "right", "va": "top"} if near else {"xytext": (4, 4)}
            axes.annotate(way, place, textcoords="offset points", fontsize=8, **side)
            named.append(place)
            for mark, one in zip(MARKS, attackers, strict=False):
                rates = [leak.each[one] for leak in found if leak.way == way and one in leak.each]
                if rates:
                    label = None if one in labelled else one
                    labelled.add(one)
                    axes.plot(place[0], 100 * np.mean(rates), mark, color="0.4", label=label)
    if labelled:
        axes.legend(fontsize=8)
    axes.set(xlabel="surface error, in multiples of standard's", ylabel="right person named, one picture, %")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.margins(x=0.15)  # for the names
    axes.set_ylim(bottom=-2)
    return as_png(drawing)


def write(found: Sequence[Leak], scores: dict[str, dict[str, list[float]]], out: Path) -> str:
    """OUT/frontier.md, .json and .png; returns the Markdown."""
    text = table(found, scores)
    write_text(out / "frontier.md", text)
    write_json(out / "frontier.json", {"leaks": [asdict(leak) for leak in found], "scores": scores})
    with written_beside(out / "frontier.png") as part:
        part.write_bytes(figure(found, scores))
    return text
