"""Row i: the server's second lock on photographs that a client forgot to turn into σ, and on honest bundles.

    python benchmarks/second_lock.py [--fit] [--short] [--seed 1] [--assets FOLDER] [--captures FOLDER]

--fit draws pictures of some people, heads and scenes, fits the rules of `sansface.serve.second_lock` and
prints them, with whom they refuse; they are copied there by hand. Without it others are measured, and the
capture `lps`: no rule was fitted to them. Kinds of forgeries that nothing was fitted to are told apart.
FOLDERs are those of the shared assets and captures; what is not there is left out.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from forgeries import FITTED, NEW, protected
from sansface.protect.contents import Bundle, BundleError, Share
from sansface.protect.operators import OPERATORS, STRUCTURE_TENSOR
from sansface.protect.pipeline import ProtectSettings
from sansface.serve import second_lock
from sittings import Picture, captured, demo_head, parametric_head, people, scene, striped_ball

VIEWS = 18
PICTURES, FEW = 12, 6
"""Of an honest bundle, where there are so many, and of one with forged pictures."""
BELOW, MARGIN, MARGINS = 0.999, 2.0, {second_lock.BLURRED: 2.75, STRUCTURE_TENSOR: 0.75}
"""Share of the honest pictures that were fitted to below the bar, and how far: of log-odds. Blurred ones are
unlike each other; those of the structure tensor keep far below."""
GIVEN_UP = 0.003
"""Share of the photographs that the rule against smooth waves may let pass."""
CALM = 1e-3
"""Of the weights' squares in the fit, whose numbers have unit variance."""
ISSUE = ("grey", "inverted", "blurred", "stretched")
"""The kinds that the target names."""
SHARP = tuple(name for name in OPERATORS if name != "structure")
"""All but the one that averages σ itself."""
FIT = (*OPERATORS, "log", "structure", "structure")
"""Those with weights of their own are drawn more often than the five that share theirs."""
HARD: dict[str, dict[str, Any]] = {
    "16 px": {"resolution": 16},
    "24 px": {"resolution": 24},
    "32 px": {"resolution": 32},
    "1 bit": {"bits": 1},
    "2 bits": {"bits": 2},
    "3 bits": {"bits": 3},
    "4 bits": {"bits": 4},
    "noise 0.01": {"noise": 0.01},
    "noise 0.03": {"noise": 0.03},
    "noise 0.1": {"noise": 0.1},
    "noise 0.5": {"noise": 0.5},
    "gain 0.1": {"gain": 0.1},
    "gain 0.1, noise 0.01": {"gain": 0.1, "noise": 0.01},
    "blur 1": {"blur": 1.0},
    "blur 2": {"blur": 2.0},
    "blur 2, 128 px": {"blur": 2.0, "resolution": 128},
    "blur 8, 256 px": {"blur": 8.0, "resolution": 256},
}
"""What differs from the defaults."""
SIZES = (16, 24, 32, 48, 64, 64, 64, 64, 96, 128, 256, 512)


Sources = dict[str, list[list[Picture]]]
"""Of each source its sittings."""


def sittings(measured: bool, assets: Path, captures: Path, short: bool) -> Sources:
    """By source, what is fitted to or what is measured on: of the people every other one, and of whom nothing
    was fitted to those photographs that no threshold has seen.
    """
    views = 9 if short else VIEWS
    first, step, count = (1000, 1, 2 if short else 10) if measured else (0, 2, 8)
    seeds = range(first, first + step * count, step)
    result = {"demo": [demo_head(seed, views, 256) for seed in seeds]}
    if (captures / "lps").is_dir() and measured:
        result["lps"] = [captured(captures / "lps")]
    if (assets / "ict").is_dir():
        heads = range(24, 24 + count) if measured else range(0, 24, 2)
        result["parametric"] = [parametric_head(number, views, 256) for number in heads]
        result["scenes"] = [
            scene(name, seed, views, 256) for name in ("plate", "room") for seed in seeds[: (1 + count) // 2]
        ]
    if (assets / "photos" / "lfw").is_dir():
        which = slice(int(measured), 80 if short else None, 2)
        photographs = slice(4, 12) if measured else slice(0, 4)
        found = people(assets / "photos" / "lfw" / "img", which, photographs)
        everyone = [one for them in found for one in them]
        order = np.random.default_rng(first).permutation(len(everyone))
        result["people"] = [
            [everyone[number] for number in part] for part in np.array_split(order, max(1, len(order) // 20))
        ]
    result["balls"] = [
        striped_ball(seed, views, 256) for seed in range(first, first + 2 * step * count, step)
    ]
    return result


def ordinary(
    rng: np.random.Generator, pictures: list[Picture], operators: tuple[str, ...] = SHARP
) -> ProtectSettings:
    """Settings by which a photograph can be told: without noise, much blur, or too few pixels or bits."""
    longest = max(pictures[0][1].shape)
    return ProtectSettings(
        resolution=int(rng.choice([size for size in (48, 64, 64, 64, 64, 96, 128, 256) if size <= longest])),
        operator=str(rng.choice(operators)),
        bits=int(rng.choice([8, 8, 8, 8, *range(5, 17)])),
        gain=float(rng.choice([1, 1, 1, 0.5, 0.1])),
        blur=None if rng.random() < 0.75 else round(float(rng.uniform(0.25, 0.75)), 2),
    )


def any_settings(
    rng: np.random.Generator, pictures: list[Picture], operators: tuple[str, ...] = tuple(OPERATORS)
) -> ProtectSettings:
    """Settings of the whole range that `sansface protect` offers."""
    longest = max(pictures[0][1].shape)
    if rng.random() < 0.1:
        return ProtectSettings(share=Share(rng.choice([Share.OUTLINE, Share.CAMERA])))
    return ProtectSettings(
        resolution=int(rng.choice([size for size in SIZES if size <= longest])),
        operator=str(rng.choice(operators)),
        bits=int(rng.choice([*[8] * 8, *range(1, 17)])),
        noise=float(rng.choice([0, 0, 0, 0, 0.003, 0.01, 0.03, 0.1, 0.5])),
        gain=float(rng.choice([1, 1, 1, 0.5, 0.1])),
        blur=None if rng.random() < 0.6 else round(float(np.exp(rng.uniform(np.log(0.25), np.log(8)))), 2),
    )


Choice = Callable[[np.random.Generator, list[Picture]], ProtectSettings]


def drawn(
    sources: Sources, rng: np.random.Generator, count: int, settings: Choice, most: int = PICTURES
) -> Iterator[tuple[str, list[Picture], ProtectSettings]]:
    """Source, some pictures of one sitting, and settings; every source as often."""
    names = list(sources)
    for number in range(count):
        name = names[number % len(names)]
        sitting = sources[name][rng.integers(len(sources[name]))]
        chosen = rng.permutation(len(sitting))[:most]
        pictures = [sitting[one] for one in chosen]
        yield name, pictures, settings(rng, pictures)


# --- measuring ---


class Counts:
    """Of tables of rows: how many bundles were refused, of how many."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        self.seconds, self.pictures = 0.0, 0

    def look(self, table: str, bundle: Bundle | None, *rows: str) -> None:
        """Ask the lock, and count in these rows of a table."""
        if bundle is None:
            return
        began = time.perf_counter()
        try:
            second_lock.check(bundle)
            refused = False
        except BundleError:
            refused = True
        self.seconds += time.perf_counter() - began
        self.pictures += len(bundle.frames)
        for row in rows:
            self.tables[table][row][0] += refused
            self.tables[table][row][1] += 1


def measure(sources: Sources, count: int, seed: int) -> Counts:
    """Honest bundles of all settings, forged ones of ordinary settings, and both of the hard ones."""
    rng, found = np.random.default_rng(seed), Counts()
    natural = {name: them for name, them in sources.items() if name != "balls"}
    averaged = partial(ordinary, operators=("structure",))
    for title, some, choice in (
        ("honest", natural, any_settings),
        ("honest, structure", natural, averaged),
        ("honest, smooth", {"balls": sources["balls"]}, any_settings),
    ):
        for name, pictures, settings in drawn(some, rng, count, choice):
            blurred = "blurred" if (settings.blur or 0) >= second_lock.BLUR else "not blurred"
            rows = (settings.operator, blurred) if settings.share is Share.MODULUS else ("no σ",)
            found.look(title, protected(pictures, settings, rng), "all", name, *rows)
    for title, kinds, choice in (
        ("of the issue", ISSUE, ordinary),
        ("fitted", tuple(FITTED), ordinary),
        ("new", tuple(NEW), ordinary),
        ("structure, of the issue", ISSUE, averaged),
    ):
        for number, (name, pictures, settings) in enumerate(drawn(natural, rng, count, choice, FEW)):
            kind = kinds[number // len(natural) % len(kinds)]
            rows = ("all", kind, name, settings.operator, f"{settings.resolution} px")
            for table, forged in (("one forged among honest", [0]), ("all forged", range(len(pictures)))):
                bundle = protected(pictures, settings, rng, dict.fromkeys(forged, (FITTED | NEW)[kind]))
                found.look(f"{title}: {table}", bundle, *rows)
    for row, change in HARD.items():
        for _, pictures, _ in drawn(natural, rng, max(10, count // 10), ordinary, FEW):
            settings, kind = ProtectSettings(**change), ISSUE[rng.integers(len(ISSUE))]
            if settings.resolution > max(pictures[0][1].shape):
                continue
            for table, forged in (("honest", []), ("one forged", [0]), ("all forged", range(len(pictures)))):
                bundle = protected(pictures, settings, rng, dict.fromkeys(forged, FITTED[kind]))
                found.look(f"hard: {table}", bundle, row)
    return found


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a rate (Wilson 1927)."""
    z, rate = 1.959964, hits / count
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def report(found: Counts) -> str:
    """All tables in words."""
    lines = [f"{1000 * found.seconds / found.pictures:.2f} ms a picture"]
    for name, table in found.tables.items():
        lines.append(name)
        for row, (hits, count) in sorted(table.items()):
            low, high = (100 * end for end in wilson(hits, count))
            rate = f"{100 * hits / count:.1f} % [{low:.1f}, {high:.1f}]"
            lines.append(f"  {row:22s} {hits:4d} of {count:4d} refused, {rate}")
    return "\n".join(lines)


# --- fitting ---


@dataclass(frozen=True, eq=False)
class Seen:
    """Features of a picture, or of all of a bundle together."""

    numbers: np.ndarray
    doubt: float
    forged: bool
    about: str


def fit(sources: Sources, count: int, seed: int) -> None:
    """Print rules, and whom they refuse of those that they were fitted to."""
    alone, together = seen(sources, count, np.random.default_rng(seed))
    for family in alone:
        for rows in (1, 2):
            # Near neighbours count alone where the far ones are too few, but are learnt from all pictures.
            some = [one for one in alone[family] if len(one.numbers) >= rows]
            asked = [one for one in alone[family] + together[family] if len(one.numbers) == rows]
            photographs, honest, smooth = (partial(_of, which) for which in (PHOTOGRAPHS, HONEST, SMOOTH))
            plain = _rule(honest(some), photographs(some), rows)
            margin = MARGINS.get(family, MARGIN)
            plain[0] -= np.quantile(_odds(plain, honest(asked)), BELOW) + margin
            waves = _rule(smooth(some), photographs(some), rows)
            waves[0] -= np.quantile(_odds(waves, photographs(asked)), GIVEN_UP)
            for name, rule in (("plain", plain), ("waves", waves)):
                weights = np.round(rule[1:].reshape(rows, 5), 2).tolist()
                print(f"{family} {rows} {name}: {rule[0]:.2f}\n{weights}")
            for name, them in (("photographs", photographs), ("honest", honest), ("smooth", smooth)):
                both = np.minimum(_odds(plain, them(asked)), _odds(waves, them(asked)))
                print(f"  refused of {len(both)} {name}: {(both > 0).sum()}, {100 * (both > 0).mean():.2f} %")
                for one in np.argsort(-both)[:4] if name == "honest" else ():
                    print(f"    {both[one]:.1f} {them(asked)[one].about}")


PHOTOGRAPHS, HONEST, SMOOTH = (True, False), (False, False), (False, True)


def _of(which: tuple[bool, bool], pictures: list[Seen]) -> list[Seen]:
    """Those that are forged or not, and balls or not."""
    return [one for one in pictures if (one.forged, one.about.startswith("balls")) == which]


def _rule(honest: list[Seen], forged: list[Seen], rows: int) -> np.ndarray:
    numbers = np.array([one.numbers[:rows].ravel() for one in honest + forged])
    return fitted(numbers, np.arange(len(numbers)) >= len(honest))


def _odds(rule: np.ndarray, pictures: list[Seen]) -> np.ndarray:
    return np.array([rule[0] + rule[1:] @ one.numbers.ravel() - one.doubt for one in pictures])


def seen(
    sources: Sources, count: int, rng: np.random.Generator
) -> tuple[dict[str, list[Seen]], dict[str, list[Seen]]]:
    """By the operator's kind, all pictures, and all bundles, that tell something."""
    often = partial(any_settings, operators=FIT)
    alone: dict[str, list[Seen]] = defaultdict(list)
    together: dict[str, list[Seen]] = defaultdict(list)
    for number, (name, pictures, settings) in enumerate(drawn(sources, rng, count, often, FEW)):
        for forgery in (None, list(FITTED)[number % len(FITTED)]):
            forged = [] if forgery is None else range(len(pictures))
            bundle = protected(pictures, settings, rng, {one: FITTED[str(forgery)] for one in forged})
            if bundle is None or bundle.share is not Share.MODULUS:
                continue
            about, family = f"{name} {differs(settings)}", second_lock.kind(bundle.operator)
            looked = list(second_lock.looked_at(bundle))
            for table, windows in ((alone, looked), (together, [second_lock.joined(looked)])):
                for one in filter(None, map(second_lock.enough, windows)):
                    numbers, doubt = second_lock.features(one), second_lock.doubt(one)
                    table[family].append(Seen(numbers, doubt, bool(forged), about))
    return alone, together


def differs(settings: ProtectSettings) -> str:
    """What differs from the defaults."""
    plain = asdict(ProtectSettings())
    return ", ".join(f"{key} {value}" for key, value in asdict(settings).items() if value != plain[key])


def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(1 + k,) weights of the logistic rule; honest and forged count the same in all."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    z, sign = (x - mean) / spread, np.where(y, 1.0, -1.0)
    share = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        odds = sign * (weights[0] + z @ weights[1:])
        slope = -share * sign / (1 + np.exp(np.clip(odds, -500, 500))) / len(z)
        value = (share * np.logaddexp(0, -odds)).mean() + CALM * np.square(weights[1:]).sum()
        return value, np.concatenate([[slope.sum()], slope @ z + 2 * CALM * weights[1:]])

    found = minimize(loss, np.zeros(1 + x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    return np.concatenate([[found[0] - found[1:] @ (mean / spread)], found[1:] / spread])


def main() -> None:
    """Fit or measure."""
    root = Path(__file__).resolve().parents[2] / "shared"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument(
        "--assets", type=Path, default=Path(os.environ.get("SANSFACE_ASSETS", root / "assets"))
    )
    parser.add_argument(
        "--captures", type=Path, default=Path(os.environ.get("SANSFACE_CAPTURES", root / "captures"))
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["SANSFACE_ASSETS"] = str(options.assets)
    sources = sittings(not options.fit, options.assets, options.captures, options.short)
    print({name: (len(them), sum(map(len, them))) for name, them in sources.items()}, flush=True)
    count = 50 if options.short else 550
    if options.fit:
        fit(sources, 6 * count, options.seed)
    else:
        print(report(measure(sources, count, options.seed)))


if __name__ == "__main__":
    main()
