"""Measure a neural head on people that it was not trained on: pictures, surface, and what identity moves.

    python benchmarks/neural_heads.py [FILE] [--people 20] [--size 256]

FILE is the head that comes with the package unless given. Truth is the linear model in the same codes. The
people are seeds from FIRST on, with an expression each, in random light and from random cameras.

PSNR is of sRGB values in [0, 1] over the head's pixels, which are those that both cover wholly; and over all
that either covers, wholly or in part, where the truth has no shoulders: there is black behind the head, so
half a millimetre of outline then counts as much as all the rest, and the more the larger the picture.

Surface error, mm: point to surface, of what three cameras see (front, both three quarters): the truth's skin
to the neural head, and the neural head to the truth; their mean.

Identity's hold on expression: z_id is moved by another draw of N(0, I) at the same
z_exp; the linear model is fitted, identity and expression, to the places of its skin's vertices on the neural
head before and after (least squares with errors of 1 mm and the usual priors); what is reported is the change
of the fit's expression as a share of the code's, ‖e′ − e‖ / ‖z_exp‖, and the same where the linear model
itself takes the neural head's place, which is the fit's own part.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sansface.evaluate.distance import Nearest
from sansface.evaluate.raycast import Caster
from sansface.heads.neural.codes import HeadCodes, random_codes
from sansface.heads.neural.file import load_neural_head, read_neural_head
from sansface.heads.neural.head import CUT, NeuralHead
from sansface.heads.neural.pictures import Picture, Surfaces, camera_at, random_camera
from sansface.heads.neural.render import rays_of, render, surface, trace
from sansface.heads.neural.train import expression_of
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.heads.trace import srgb

FIRST = 5000
"""Seed of the first person; those trained on begin at 10 000."""
TURNS = (-40.0, 0.0, 40.0)
"""Of the cameras that see the surface that is measured, degrees."""


def psnr(head: NeuralHead, picture: Picture) -> tuple[float, float]:
    """dB over the pixels that both cover wholly, and over those that either covers, wholly or in part."""
    shown = render(head, picture.codes, picture.camera)
    error = (srgb(shown[..., :3]) - srgb(picture.rgba[..., :3])).astype(np.float64) ** 2
    alphas = np.stack([shown[..., 3], picture.rgba[..., 3]])
    both, either = (alphas == 1).all(axis=0), (alphas > 0).any(axis=0) & picture.counts
    return float(-10 * np.log10(error[both].mean())), float(-10 * np.log10(error[either].mean()))


@dataclass(frozen=True)
class SurfaceError:
    """Means over points that are seen, mm, and the 95th percentile of both ways together."""

    to_neural: float
    to_truth: float
    p95: float

    @property
    def mean(self) -> float:
        """Of both ways."""
        return (self.to_neural + self.to_truth) / 2


def surface_error(head: NeuralHead, surfaces: Surfaces, codes: HeadCodes, size: int = 96) -> SurfaceError:
    """Point to surface, both ways, of what the cameras see."""
    truth = surfaces.mesh(codes)
    mean = surfaces.model.neutral[surfaces.faces].mean(axis=1)
    skin = len(surfaces.model.skin)
    caster, posed, seen, shown = Caster(truth), head.posed(codes), [], []
    for turn in TURNS:
        camera = camera_at(turn, 0.0, size)
        hits = caster.first(*camera.rays(camera.grid(size, size)))
        visible = (hits.face < skin) & (mean[hits.face, 1] > CUT)
        seen.append(hits.point[visible])
        traced = trace(posed, *rays_of(camera, head))
        shown.append(traced.point.numpy() * head.radius + np.array(head.center))
    there, _, _ = Nearest(surface(head, codes)).query(np.concatenate(seen))
    back, _, _ = Nearest(truth).query(np.concatenate(shown))
    return SurfaceError(
        float(there.mean()), float(back.mean()), float(np.percentile(np.concatenate([there, back]), 95))
    )


class Refit:
    """Fits the linear model to places of its skin's vertices, from nothing: error NOISE, the usual priors."""

    def __init__(self, model: HeadModel) -> None:
        skin = np.unique(model.skin)
        self.skin = skin[model.neutral[skin, 1] > CUT]
        offsets = np.concatenate([model.identity, np.stack(list(model.expression.values()))])[:, self.skin]
        self.mean, self.expression = model.neutral[self.skin], expression_of(offsets, len(model.identity))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(57,) expression of all the model's vertices (n, 3), of which it sees the skin's."""
        return self.expression @ (points[self.skin] - self.mean).reshape(-1)


@dataclass(frozen=True)
class Hold:
    """How far identity moves a re-fit's expression, as shares of the expression's length."""

    neural: float
    linear: float  # the same of the linear model: the fit's own part


def hold(
    head: NeuralHead, surfaces: Surfaces, refit: Refit, codes: HeadCodes, rng: np.random.Generator
) -> Hold:
    """Move z_id by a draw of N(0, 1) for each number, and fit again."""
    step = rng.normal(size=codes.identity.shape).astype(np.float32)
    moved = replace(codes, identity=codes.identity + step)
    length = np.linalg.norm(codes.expression)

    def share(places: Callable[[HeadCodes], np.ndarray]) -> float:
        return float(np.linalg.norm(refit(places(moved)) - refit(places(codes))) / length)

    return Hold(share(lambda one: on_surface(head, surfaces.model, one)), share(surfaces.vertices))


@torch.no_grad()
def on_surface(head: NeuralHead, model: HeadModel, codes: HeadCodes) -> np.ndarray:
    """(n, 3) mm: the model's vertices, carried by the shifts from where T stands, and then along the normal
    onto the neural head's skin.
    """
    rest = head.rest.numpy()[len(model.identity) :]
    there = {name: float(weight) for name, weight in zip(model.expression, rest, strict=True) if weight}
    start = (model.vertices(expression=there) - np.array(head.center)) / head.radius
    places, posed = torch.from_numpy(start.astype(np.float32)), head.posed(codes)
    moved = places + posed.shift(places)
    skin = torch.zeros(len(moved), dtype=torch.int64)
    moved -= posed.skin(places)[:, None] * posed.normal(moved, places, skin)
    return moved.numpy() * head.radius + np.array(head.center)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    head = read_neural_head(options.file) if options.file else load_neural_head()
    model = load_head_model()
    surfaces, refit = Surfaces(model), Refit(model)
    decibels, errors, holds = [], [], []
    for number in range(options.people):
        rng = np.random.default_rng(FIRST + number)
        codes = random_codes(model, rng)
        decibels.append(psnr(head, surfaces.picture(codes, random_camera(rng, options.size))))
        errors.append(surface_error(head, surfaces, codes))
        holds.append(hold(head, surfaces, refit, codes, rng))
        inside, either = decibels[-1]
        line = f"{number:3d}: {inside:.2f} dB, {either:.2f} with the outline; {errors[-1].mean:.3f} mm"
        print(f"{line}; {holds[-1].neural:.3f} ({holds[-1].linear:.3f})", flush=True)
    for name, values in zip(("PSNR", "with the outline"), zip(*decibels, strict=True), strict=True):
        print(f"{name}, dB: mean {np.mean(values):.2f}, least {min(values):.2f}")
    means = [error.mean for error in errors]
    print(f"surface, mm: mean {np.mean(means):.3f}, most {max(means):.3f}")
    for name in ("to_neural", "to_truth", "p95"):
        print(f"surface, mm, {name}: {np.mean([getattr(one, name) for one in errors]):.3f}")
    for name in ("neural", "linear"):
        shares = [getattr(one, name) for one in holds]
        print(f"identity's hold on expression, {name}: mean {np.mean(shares):.4f}, most {max(shares):.4f}")


if __name__ == "__main__":
    main()
