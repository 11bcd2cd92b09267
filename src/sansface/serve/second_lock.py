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
    cusp     the skewness of what neighbours have above the middle: a length's valleys are sharp, its ridges
             round,

each of near and of far neighbours; no exposure changes them. Logistic rules make log-odds of them, which
`benchmarks/second_lock.py` fits and measures (docs/second-lock.md). A bundle's pictures are of one person by
one client: a single one that is nearly a photograph is one if the others are far from it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from sansface.capture import Role
from sansface.protect.contents import Bundle, BundleError, BundleFrame, levels
from sansface.protect.operators import NORM_OF_SUM, STRUCTURE_TENSOR, SUM_OF_NORMS, Operator

BLURRED, BLUR = "blurred", 0.9
"""Gradients that are blurred by so many pixels are of a kind of their own."""
Rule = tuple[float, tuple[tuple[float, float, float, float, float], ...]]
# fmt: off
RULES: dict[str, tuple[tuple[Rule, Rule], tuple[Rule, Rule]]] = {
    SUM_OF_NORMS: (
        (
            (-2.86, ((-7.38, 8.31, -0.68, -0.65, 0.26),)),
            (2.24, ((-0.65, 11.32, -0.12, 1.33, -1.71),)),
        ),
        (
            (-0.18, ((-4.47, 5.42, -1.46, -0.15, -0.08), (-2.50, 4.34, -0.27, -1.65, 0.62))),
            (-2.54, ((-1.25, 9.99, -1.22, 1.12, -1.24), (0.21, 3.20, 0.76, 1.08, -1.31))),
        ),
    ),
    NORM_OF_SUM: (
        (
            (-2.71, ((-6.29, 8.23, -1.48, -0.43, -0.55),)),
            (1.26, ((0.09, 13.53, -0.24, 1.59, -1.75),)),
        ),
        (
            (0.10, ((-5.26, 6.12, -1.40, -0.83, -0.63), (-1.66, 3.44, -0.12, -0.76, 0.43))),
            (-3.30, ((-0.14, 12.43, -1.22, 2.02, -1.12), (0.73, 4.24, 0.71, 0.56, -1.75))),
        ),
    ),
    STRUCTURE_TENSOR: (
        (
            (-7.03, ((-4.67, 7.55, -2.38, 3.38, 0.38),)),
            (7.19, ((-2.81, 0.43, -1.85, 2.07, -0.62),)),
        ),
        (
            (-3.51, ((-6.81, 3.41, -2.14, 3.47, 0.25), (1.07, 4.93, 0.14, -1.91, -0.08))),
            (0.28, ((-5.24, 4.04, -2.99, 3.09, -0.29), (0.85, 0.04, 1.78, -1.16, -1.31))),
        ),
    ),
    BLURRED: (
        (
            (-6.19, ((-3.50, 10.65, -0.27, 2.86, -0.25),)),
            (0.37, ((0.56, 7.61, -0.31, 1.17, -0.91),)),
        ),
        (
            (-4.42, ((-6.11, 8.60, -0.58, 2.79, -0.40), (0.31, 3.14, 0.05, -1.41, 0.20))),
            (0.81, ((1.06, 7.30, -0.21, 2.39, -1.07), (-0.69, 1.88, 0.11, -0.16, -0.44))),
        ),
    ),
}
# fmt: on
"""By the kind of operator, for pictures large enough for the near neighbours alone and for both, two rules of
which both must speak for a photograph: against σ of people, heads and rooms, and against σ of smooth waves.
Each is a constant, and for each spacing weights of follow, touch, rough, bend and cusp."""
NOISE, ROUNDING = 3.0, 0.7
"""Nothing is said of a picture whose standard deviation is not so many times that of its noise, and that part
of the step between its codes."""
NEARLY, APART = 3.0, {SUM_OF_NORMS: 5.0, NORM_OF_SUM: 5.0, STRUCTURE_TENSOR: 6.5}
"""Log-odds below the first rule's bar at which a picture still counts as a photograph if they are so much
above the middle of what the bundle's other pictures have. Blurred, honest pictures differ as much."""
FEW = 3
"""Pictures without which nothing stands out."""
DOUBT = 12.0
"""Log-odds that are taken off, over the root of the number of neighbourhoods."""
LEAST = 60
"""Neighbourhoods without which nothing is said."""
MOST = 4000
"""Neighbourhoods of a picture that are looked at; of more, every second, third, …"""
TOGETHER = 60_000
"""Neighbourhoods of all pictures together that are looked at."""
SHARPEST = 4.0
"""Largest cusp."""
FLOOR = 1e-3
"""Share of the variance below which a difference is rounding."""


def check(bundle: Bundle) -> None:
    """Refuse a bundle with a sensitive picture that looks like a photograph.

    Where nothing can be told it passes: too few pixels, a picture that noise or rounding drowns, no σ.

    Raises:
        BundleError: one sentence.
    """
    pictures = [frame for frame in bundle.frames if frame.role is Role.SENSITIVE]
    kept, told = [], []
    for looked in looked_at(bundle):
        told.append(odds(looked, bundle.operator))
        kept.append(thinned(looked, TOGETHER // len(pictures)))
    told = np.array([one for one in told if one is not None]).reshape(-1, 2)
    found = int(((told > 0).all(axis=1) | stands_out(told, bundle.operator)).sum())
    together = odds(joined(kept), bundle.operator)
    if found or (together is not None and min(together) > 0):
        which = f"{found} of its {len(pictures)} sensitive pictures" if found else "its sensitive pictures"
        raise BundleError(
            f"{which} cannot be told from photographs, whose gradients alone may leave the device; make the "
            "bundle again with sansface protect."
        )


Windows = list[np.ndarray]
"""(n, 9) float64 neighbourhoods, in units of the picture's mean, at both spacings."""


def looked_at(bundle: Bundle) -> Iterator[Windows]:
    """Of each sensitive picture that tells something."""
    for frame in bundle.frames:
        if frame.role is Role.SENSITIVE and frame.shared().any() and tells(frame, bundle.noise):
            yield windows(frame, spacings(bundle.operator))


def tells(frame: BundleFrame, noise: float) -> bool:
    """Is there more in a sensitive picture than noise and rounding?"""
    spread = float(frame.values()[frame.shared()].std(dtype=np.float64))
    return spread > NOISE * noise and spread > ROUNDING * frame.scale / (levels(frame.bits) - 1)


def spacings(operator: Operator) -> tuple[int, int]:
    """Pixels to the near and to the far neighbours: half and twice of what the operator averages over.

    The three rows of its kernels count as a Gaussian of variance 1/2.
    """
    wide = float(np.sqrt(1 + 2 * operator.blur**2 + 2 * operator.window**2))
    return max(1, round(wide / 2)), round(2 * wide)


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


def enough(looked: Windows) -> Windows:
    """Both spacings, the near one alone, or none: those with as many neighbourhoods as it takes."""
    return [one for one in looked if len(one) >= LEAST]


def features(looked: Windows) -> np.ndarray:
    """(n, 5) float64 of n spacings: follow, touch, rough, bend and cusp."""
    return np.stack([_features(one) for one in looked])


def doubt(looked: Windows) -> float:
    """By how much log-odds are lowered where neighbourhoods are few."""
    return DOUBT / float(np.sqrt(min(map(len, looked))))


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
    curved = windows[:, [1, 3, 5, 7]].mean(axis=1) - windows[:, 4]
    power = np.square(curved).mean()
    cusp = np.clip((curved**3).mean() / power**1.5, -SHARPEST, SHARPEST) if power > 0 else 0.0
    return np.array([follow, touch, rough, bend, cusp])


def kind(operator: Operator) -> str:
    """Which rules are those for an operator."""
    gradient = operator.modulus != NORM_OF_SUM
    return BLURRED if gradient and operator.blur >= BLUR else operator.modulus


def odds(looked: Windows, operator: Operator) -> tuple[float, float] | None:
    """Log-odds of both rules that these neighbourhoods are a photograph's; None if there are too few."""
    looked = enough(looked)
    if not looked:
        return None
    numbers, less = features(looked), doubt(looked)
    first, second = RULES[kind(operator)][len(looked) - 1]
    return _odds(first, numbers) - less, _odds(second, numbers) - less


def _odds(rule: Rule, numbers: np.ndarray) -> float:
    constant, weights = rule
    return constant + float((np.array(weights) * numbers).sum())


def stands_out(told: np.ndarray, operator: Operator) -> np.ndarray:
    """(n,) bool: is a picture nearly a photograph, and much more so than the others of its bundle?

    What one person's client makes is alike.

    Args:
        told: (n, 2) log-odds of n pictures.
    """
    apart = APART.get(kind(operator))
    if len(told) < FEW or apart is None:
        return np.zeros(len(told), dtype=bool)
    first, second = told.T
    others = [np.median(np.delete(first, one)) for one in range(len(first))]
    return (first > -NEARLY) & (second > 0) & (first - others > apart)
