"""The second lock: do the sensitive pictures of a bundle look like photographs instead of σ?

The verifier cannot know: a client that forgot σ, and wrote brightness in its place, breaks no rule of the
format. This lock guards against that mistake. It does not guard against a client that means to get through,
who can write a photograph in a hundred other ways, and it looks for no face: a gradient picture of a face
passes as it should.

σ is the length of a vector that is zero somewhere between any two edges. So its spread follows its level:
where a neighbourhood is bright it is uneven, and where it is even it is near zero. Of brightness neither is
so, and neither is of its negative, a stretched, a blurred or a noisy copy: bright skin is even. Of
neighbourhoods of 3 × 3 pixels, spaced as wide as the operator sees, are taken

    follow   the correlation of their means with their standard deviations,
    touch    the mean of their smallest value over their largest,
    rough    the logarithm of their mean variance over the variance of all,
    bend     of the squares, the logarithm of second differences' power over that of first differences: what
             is averaged, as the structure tensor is, bends little,

each at half that spacing, at it and at twice it, none of which changes with exposure. A logistic rule makes
log-odds of them; `benchmarks/second_lock.py` fits and measures it (docs/second-lock.md).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from sansface.capture import Role
from sansface.protect.contents import Bundle, BundleError, BundleFrame, levels
from sansface.protect.operators import NORM_OF_SUM, STRUCTURE_TENSOR, SUM_OF_NORMS, Operator

FAMILIES = (SUM_OF_NORMS, NORM_OF_SUM, STRUCTURE_TENSOR)
WEIGHTS: dict[str, tuple[float, ...]] = {}
"""Of the constant 1, then of follow, touch, rough and bend at each of the three spacings."""
ONE = 2.0
"""Log-odds from which a single picture is refused."""
ALL = 1.0
"""Log-odds from which all pictures of a bundle, taken together, are refused."""
LEAST = 100
"""Neighbourhoods without which nothing is said."""
MOST = 4000
"""Neighbourhoods of a picture that are looked at; of more, every second, third, …"""
TOGETHER = 60_000
"""Neighbourhoods of all pictures together that are looked at."""
FLOOR = 1e-3
"""Share of the variance below which a difference is rounding."""


def check(bundle: Bundle) -> None:
    """Refuse a bundle with a sensitive picture that looks like a photograph.

    Where nothing can be told it passes: too few pixels, a picture that noise or rounding drowns, no σ.

    Raises:
        BundleError: one sentence.
    """
    pictures = [frame for frame in bundle.frames if frame.role is Role.SENSITIVE]
    found, kept = 0, []
    for looked in looked_at(bundle):
        alone = log_odds(features(looked), bundle.operator)
        found += alone is not None and alone > ONE
        kept.append(thinned(looked, TOGETHER // len(pictures)))
    together = log_odds(features(joined(kept)), bundle.operator)
    if found or (together is not None and together > ALL):
        which = f"{found} of its {len(pictures)} sensitive pictures" if found else "its sensitive pictures"
        raise BundleError(
            f"{which} cannot be told from photographs, whose gradients alone may leave the device; make the "
            "bundle again with sansface protect."
        )


Windows = list[np.ndarray]
"""(n, 9) float64 neighbourhoods, in units of the picture's mean, at each of the three spacings."""


def looked_at(bundle: Bundle) -> Iterator[Windows]:
    """Of each sensitive picture that tells something."""
    for frame in bundle.frames:
        if frame.role is Role.SENSITIVE and frame.shared().any() and tells(frame, bundle.noise):
            yield windows(frame, spacings(bundle.operator))


def tells(frame: BundleFrame, noise: float) -> bool:
    """Is there more in a sensitive picture than noise and rounding?"""
    values = frame.values()[frame.shared()].astype(np.float64)
    step = frame.scale / (levels(frame.bits) - 1)
    return bool(values.var() > 4 * noise**2 + step**2 / 4)


def spacings(operator: Operator) -> tuple[int, int, int]:
    """Pixels from a neighbour to the next: about what the operator averages over, its half and its double.

    The three rows of its kernels count as a Gaussian of variance 1/2.
    """
    wide = float(np.sqrt(1 + 2 * operator.blur**2 + 2 * operator.window**2))
    return max(1, round(wide / 2)), round(wide), 2 * round(wide)


def windows(frame: BundleFrame, spaced: Sequence[int]) -> Windows:
    """The neighbourhoods of a sensitive picture that are shared all over."""
    values, shared = frame.values().astype(np.float64), frame.shared()
    values /= max(float(values[shared].mean()), 1e-12)
    height, width = values.shape
    result = []
    for space in spaced:
        rows, columns = max(height - 2 * space, 0), max(width - 2 * space, 0)
        whole = np.ones((rows, columns), dtype=bool)
        steps = [(down, across) for down in (0, space, 2 * space) for across in (0, space, 2 * space)]
        for down, across in steps:
            whole &= shared[down : down + rows, across : across + columns]
        y, x = np.nonzero(whole)
        first = y * width + x
        first = first[:: max(1, -(-len(first) // MOST))]
        result.append(values.ravel()[first[:, None] + [down * width + across for down, across in steps]])
    return result


def thinned(looked: Windows, most: int) -> Windows:
    """Every second, third, … neighbourhood: no more than so many at each spacing."""
    return [one[:: max(1, -(-len(one) // max(most, 1)))] for one in looked]


def joined(pictures: Sequence[Windows]) -> Windows:
    """The neighbourhoods of several pictures as if of one."""
    return [np.concatenate(parts) for parts in zip(*pictures, strict=True)]


def features(looked: Windows) -> np.ndarray | None:
    """(12,) float64: follow, touch, rough and bend at each spacing; None if there are too few neighbourhoods."""
    if min(map(len, looked), default=0) < LEAST:
        return None
    return np.concatenate([_features(windows) for windows in looked])


def _features(windows: np.ndarray) -> np.ndarray:
    level, spread = windows.mean(axis=1), windows.std(axis=1)
    low, high = windows.min(axis=1), windows.max(axis=1)
    apart = level.std() * spread.std()
    follow = ((level - level.mean()) * (spread - spread.mean())).mean() / apart if apart > 0 else 1.0
    touch = np.divide(low, high, out=np.zeros_like(low), where=high > 0).mean()
    rough = np.log(np.square(spread).mean() / max(float(windows[:, 4].var()), 1e-12) + FLOOR)
    here, (up, left, right, down) = np.square(windows[:, 4]), np.square(windows[:, [1, 3, 5, 7]]).T
    slope = np.square(right - left).mean() + np.square(down - up).mean()
    turn = np.square(right + left - 2 * here).mean() + np.square(down + up - 2 * here).mean()
    bend = np.log(turn / max(float(slope), 1e-12) + FLOOR)
    return np.array([follow, touch, rough, bend])


def log_odds(numbers: np.ndarray | None, operator: Operator) -> float | None:
    """Of its being a photograph; None if there is nothing to tell it by."""
    if numbers is None:
        return None
    weights = np.array(WEIGHTS[operator.modulus])
    return float(weights[0] + weights[1:] @ numbers)
