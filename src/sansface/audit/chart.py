"""How often each attacker names the right person, as inline SVG: bars, intervals, and the band of guesses."""

import html
from collections.abc import Sequence

from sansface.audit.run import Attack

WIDTH, ROW, LABEL, RIGHT, TOP = 820, 22, 430, 14, 18  # in SVG units
TICKS = (0, 25, 50, 75, 100)
MOST = 80
"""Letters of a label."""


def chart(attacks: Sequence[Attack], chance: tuple[float, float]) -> str:
    """A bar an attack, from 0 to 100 %.

    Args:
        attacks: in the order in which they are shown.
        chance: (low, high) of guesses, 0 to 1.
    """
    bottom = TOP + ROW * len(attacks)

    def x(share: float) -> float:
        return LABEL + (WIDTH - LABEL - RIGHT) * share

    out = [
        f'<svg class="bars" viewBox="0 0 {WIDTH} {bottom + 6}" role="img" '
        'aria-label="share of pictures of which each attacker names the right person, in per cent">'
    ]
    for tick in TICKS:
        at = x(tick / 100)
        out.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
        out.append(f'<text class="tick" x="{at:.1f}" y="{TOP - 6}" text-anchor="middle">{tick} %</text>')
    low, high = chance
    wide = max(x(high) - x(low), 1.0)
    out.append(
        f'<rect class="chance" x="{x(low):.1f}" y="{TOP}" width="{wide:.1f}" height="{bottom - TOP}"/>'
    )
    for number, attack in enumerate(attacks):
        rate, middle = attack.named.rank1.misses, TOP + ROW * (number + 0.5)
        words = f"{attack.attacker}: {attack.with_what}"
        shown = html.escape(words if len(words) <= MOST else words[: MOST - 1] + "…")
        out.append(
            f'<text class="tick" x="{LABEL - 8}" y="{middle + 3.5:.1f}" text-anchor="end">{shown}</text>'
        )
        out.append(
            f'<rect class="bar" x="{LABEL}" y="{middle - 6:.1f}" width="{x(rate.value) - LABEL:.1f}" '
            f'height="12"><title>{html.escape(words)}: {100 * rate.value:.1f} %</title></rect>'
        )
        ends = f'x1="{x(rate.low):.1f}" x2="{x(rate.high):.1f}" y1="{middle:.1f}" y2="{middle:.1f}"'
        out.append(f'<line class="whisker" {ends}/>')
    return "\n".join([*out, "</svg>"])
