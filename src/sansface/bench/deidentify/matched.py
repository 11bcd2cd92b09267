"""At which strength does a baseline hide as much as a method? Only then does what the two leave compare."""

from collections.abc import Callable
from dataclasses import dataclass

from sansface.bench.deidentify.measure import Row
from sansface.deidentify.methods import Chosen

STEPS = 6
"""Of the bisection: the strength is known to 1 / 2⁶ of the range."""


@dataclass(frozen=True)
class Matched:
    """A baseline beside a method, by one recogniser.

    Attributes:
        baseline: with the least strength found at which its TAR is no more than the target; if there is none,
            with the largest.
        row: what it leaves.
        reached: was there one?
    """

    baseline: Chosen
    row: Row
    reached: bool


def tar(row: Row, recogniser: str) -> float:
    """At a false-match rate of 1e-3, by one recogniser."""
    return next(one.tar.value for one in row.scored if one.recogniser == recogniser)


def match(name: str, target: float, recogniser: str, measure: Callable[[Chosen], Row]) -> Matched:
    """Bisection over a baseline's strength, which hides the more the larger it is.

    Args:
        name: of the baseline.
        target: TAR.
        recogniser: by which.
        measure: gives the row of a baseline at a strength.
    """
    strengths = Chosen(name, 0).kind.strengths
    low, high = strengths[0], strengths[-1]
    best = Chosen(name, high)
    row = measure(best)
    if tar(row, recogniser) > target:
        return Matched(best, row, False)
    for _ in range(STEPS):
        middle = Chosen(name, round((low + high) / 2, 4))
        tried = measure(middle)
        if tar(tried, recogniser) <= target:
            high, best, row = middle.strength, middle, tried
        else:
            low = middle.strength
    return Matched(best, row, True)
