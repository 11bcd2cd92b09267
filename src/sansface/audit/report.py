"""What an audit found, as one page: a plain sentence first, then every attack beside what guessing gives."""

import html
from collections.abc import Mapping, Sequence

from sansface.audit.attempts import STUDENT
from sansface.audit.chart import chart
from sansface.audit.control import RATES
from sansface.audit.run import Attack, Audit
from sansface.audit.scores import Counted, percent
from sansface.audit.thumbnails import stamped
from sansface.evaluate.pictures import side_by_side
from sansface.evaluate.png import png_bytes
from sansface.protect.contents import Share
from sansface.report import embedded, page

FOOTER = (
    "An attack that fails proves little: another may succeed. An attack that succeeds proves that it can be "
    "done. Protected pictures remain personal data, and likely biometric data."
)
GEOMETRY = (
    "Geometry is biometric data: of 40 people who do not exist, a reconstructed mesh named the right one in "
    "100 % [91, 100] of tries by its shape alone, against scans; guessing gives 2.5 %."
)
"""Measured by `sansface bench artefacts`, seed 0, 2026-11-22; see docs/audit.md, What the artefacts leak."""
THREAT = (
    "<p>Whoever comes by the bundle, on the way, on the server or from its disk, and wants to know who it "
    "is. He knows the operator and its parameters, which the bundle says, and where the face lies, for it "
    "has the cameras. He has clear photographs of everybody on a closed list, the person among them, and "
    "time. He does not have the person's photographs that were protected, and nobody helps him on the "
    "person's device. On an open list, where most are strangers, look at TAR instead of rank-1.</p>"
)
WHO = {
    "naive": "enrolled with clear photographs, the recogniser as it is; the probe is shown as it was "
    "uploaded, or as dark lines on white",
    "outlines": "cuts people out of his own gallery, and fits linear models on the shapes of their outlines",
    "parrot": "protects his own gallery in the same way, and fits linear models on it; besides, unless the "
    "audit was told not to, he teaches a student that sees protected faces of others what recognisers say of "
    "the clear ones",
    "reverse": "a network that has seen other people beside their protected pictures draws the face back",
    "search": "goes on from there until the picture explains what was uploaded",
}


def report(found: Audit) -> str:
    """HTML, self-contained."""
    best = found.strongest.named.rank1.misses
    low, high = found.chance
    verdict = "more than guessing" if best.value > high else "within what guessing gives"
    fused = found.fused()
    settings = found.protection
    told = (
        f"outlines alone, of {settings.resolution} pixels; eyes {found.eyes:.1f} pixels apart"
        if settings.share is Share.OUTLINE
        else f"{settings.resolution} pixels, operator {settings.operator}, blur {settings.blur or 0:g}, "
        f"{settings.bits} bits, noise {settings.noise:g}, gain from {settings.gain:g}; "
        f"eyes {found.eyes:.1f} pixels apart"
    )
    attacks = [_row(attack) for attack in found.attacks]
    controls = [
        [
            name,
            *(percent(one.tar.misses) + (" *" if one.threshold.too_few else "") for one in of.verification),
            percent(of.equal_error),
            percent(of.identification.rank1.misses),
            str(len(of.strangers)),
        ]
        for name, of in found.controls.items()
    ]
    rates = [f"{one.threshold.rate:g}" for one in next(iter(found.controls.values())).verification]
    body = [
        "<h1>Audit: what leaks</h1>",
        f"<p><strong>{html.escape(found.sentence())}</strong></p>",
        f"<p>That is {verdict}: of {found.probes} tries, guesses name {100 * low:.1f} to {100 * high:.1f} % "
        "rightly in 95 of 100 audits. In brackets everywhere: 95 % intervals over people.</p>",
        *([f"<p><strong>{html.escape(fused)}</strong></p>"] if fused else []),
        f"<p>{GEOMETRY} That was measured once, on rendered heads, and is no part of this audit.</p>",
        f"<p>How pictures were protected: {html.escape(told)}.</p>",
        "<h2>Attacks</h2>",
        "<p>How often the right person is named. Lines: intervals; band: what guessing gives.</p>",
        chart(found.attacks, found.chance),
        f'<div class="wide">{table(COLUMNS, attacks)}</div>',
        f"<p>The eyes are {found.eyes:.1f} pixels apart in every picture. TAR: this person or not, at a "
        "rate of false matches among protected pictures of people whom nobody enrolled; * too few pairs "
        "to know that rate well. Attackers know where the face lies; in brackets behind “found”: what is "
        "named where a detector must find it first, faces not found counted as misses, and left out.</p>",
        *_pictures(found),
        "<h2>Whom this is about</h2>",
        THREAT,
        _who([attack.attacker for attack in found.attacks]),
        *_skin(found),
        "<h2>Do the recognisers work at all?</h2>",
        "<p>On clear photographs of the same people. Where they fail, the audit stops: it could prove "
        "nothing.</p>",
        table(
            [
                "recogniser",
                *(f"TAR at FMR {rate}, %" for rate in rates),
                "EER, %",
                "rank-1, %",
                "odd photographs",
            ],
            controls,
        ),
        "<p>* too few pairs to calibrate that rate well.</p>",
        "<h2>What was not tried</h2>",
        "<p>Nothing was measured of the person in the bundle: the people here are others, photographed from "
        f"the front. No attack here was made on {_not_attacked(found)}neutral pictures or a reconstructed "
        f"head. {_untaught(found)}An attacker with more data of his own, or with more time, may reach more "
        "than these did.</p>",
        f"<p>Photographs that could not be used: {html.escape(_counts(found.left_out))}.</p>",
    ]
    return page("audit", body, FOOTER)


COLUMNS = (
    "attacker", "rank-1, %", "× chance", "EER, %", *(f"TAR at FMR {rate:g}, %" for rate in RATES),
    "found by YuNet", "most often named: person",
)  # fmt: skip


def _row(attack: Attack) -> list[str]:
    return [
        f"{attack.attacker}: {attack.with_what}",
        percent(attack.named.rank1.misses),
        f"{attack.named.rank1.misses.value / attack.named.chance:.1f}",
        percent(attack.equal_error),
        *(percent(one.tar.misses) + (" *" if one.threshold.too_few else "") for one in attack.verified),
        *["–"] * (len(RATES) - len(attack.verified)),
        _detected(attack.detected),
        ", ".join(f"{1 + person} ({100 * share:.0f} %)" for person, share in attack.named.worst[:3]),
    ]


def _detected(ways: Counted | None) -> str:
    """How often a detector finds the face, and what is then named: not found as misses, and left out."""
    if ways is None:
        return "–"
    left = "–" if ways.left_out is None else f"{100 * ways.left_out.value:.1f}"
    share = 1 - ways.undetected / ways.misses.tries
    return f"{100 * share:.0f} % ({100 * ways.misses.value:.1f}; {left})"


def _pictures(found: Audit) -> list[str]:
    """Rows of stamped thumbnails, where they were asked for."""
    rows = [
        embedded(png_bytes(side_by_side([stamped(one) for one in pictures])), name)
        for name, pictures in found.pictures.items()
    ]
    if not rows:
        return []
    return [
        "<h2>What attackers see, and draw</h2>",
        "<p>They show people of the folder that was audited with: keep this page on this device.</p>",
        *rows,
    ]


def _not_attacked(found: Audit) -> str:
    return "" if any(attack.attacker == "outlines" for attack in found.attacks) else "masks, "


def _untaught(found: Audit) -> str:
    """Where a parrot attacked alone, which nobody would see by the missing row."""
    learnt = [attack.with_what for attack in found.attacks if attack.attacker == "parrot"]
    if not learnt or any(STUDENT in what for what in learnt):
        return ""
    return (
        "No student was taught, of all attackers the strongest wherever one was: none of the recognisers "
        "named is a network of convolutions, as mobilefacenet is, or the audit was told not to. "
    )


def _skin(found: Audit) -> list[str]:
    """Whether everybody is named as often."""
    if not found.skin:
        return []
    best = found.strongest
    rows = [
        [third.name, str(third.people), f"{third.low:.0f} to {third.high:.0f}", percent(third.named)]
        for third in found.skin
    ]
    return [
        "<h2>By the tone of the skin</h2>",
        f"<p>The strongest attacker ({html.escape(best.attacker)}: {html.escape(best.with_what)}) on a third "
        "of the people each. The tone is read off cheeks in clear photographs, as an angle in L*a*b*, the "
        "larger the lighter: light and camera are in it, so it orders people roughly. Everybody counts the "
        "same, however many their probes.</p>",
        table(["third", "people", "angle, degrees", "rank-1, %, mean over people"], rows),
    ]


def _who(attackers: Sequence[str]) -> str:
    """What each of them does."""
    lines = [f"<li><strong>{name}</strong>: {WHO[name]}</li>" for name in dict.fromkeys(attackers)]
    return f"<ul>{''.join(lines)}</ul>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of text."""
    line = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return f"<table><tr>{line}</tr>{''.join(f'<tr>{cells}</tr>' for cells in lines)}</table>"


def _counts(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())
