"""The fit of the parametric head: against heads that are known, its own posterior, and photographs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from landmark_fit import HELD_OUT, errors, first_photographs, middle_face
from landmark_places import meetings
from painted import camera_of_fit, detectors, drawn, fitted, head_model, lfw, painted, shape
from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.faces.detectors import all_faces
from sansface.heads import fit
from sansface.heads.fit import FittedHead, bounded, fit_head
from sansface.heads.landmarks import COUNT, LEFT_EYE, RIGHT_EYE, between_eyes, load_places
from sansface.heads.parametric import HeadModel
from sansface.photographs.decode import decode_rgb


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return head_model()


def deviations(head: FittedHead) -> np.ndarray:
    """(468,) pixels, as the module's own words have them."""
    places = load_places()
    return fit.NOISE * between_eyes(head.landmarks) * np.maximum(places.spread / fit.SHARP, 1)


def posterior(model: HeadModel, head: FittedHead, change: np.ndarray) -> float:
    """−log p of the module's docstring, for (163,) turns in rad, shifts in mm and codes beside the fit's."""
    pose = np.array(head.camera.cam_from_world)
    pose[:3, :3] = Rotation.from_rotvec(change[:3]).as_matrix() @ pose[:3, :3]
    pose[:3, 3] += change[3:6]
    identity, expression = head.identity + change[6:106], head.expression + change[106:]
    places = load_places()
    x = places.mean_head(model).astype(np.float64)
    x = x + np.tensordot(identity, places.of(model.identity).astype(np.float64), axes=1)
    x = x + np.tensordot(expression, places.of(model.expressions).astype(np.float64), axes=1)
    shown, _ = Camera(head.camera.K, head.camera.width, head.camera.height, pose).project(x)
    far = np.linalg.norm(shown - head.landmarks, axis=1) / deviations(head)
    huber = np.where(far < fit.ROBUST, far**2 / 2, fit.ROBUST * (far - fit.ROBUST / 2))
    return float(huber.sum() + (identity**2).sum() / 2 + (expression**2).sum() / 2 / fit.EXPRESSION**2)


@pytest.mark.parametrize(("turn", "nod"), [(0, 0), (-30, 10), (20, -15)])
def test_a_known_head_comes_back(model, turn, nod, monkeypatch):
    monkeypatch.setattr(fit, "NOISE", 0.01)  # these landmarks have none; the priors still draw a little
    identity, expression = drawn(seed=turn + 100)
    vertices = shape(model, identity, expression)
    camera = camera_of_fit(model, vertices, turn, nod, eyes=60)
    points, _ = camera.project(load_places().of(vertices))
    head = fit_head(model, points, (camera.width, camera.height))
    true = np.diag([1.0, -1.0, -1.0]) @ camera.cam_from_world[:3, :3]
    off = np.degrees(np.arccos(np.clip((np.trace(head.rotation @ true.T) - 1) / 2, -1, 1)))
    assert off < 1.5
    assert abs(head.turned - np.degrees(np.arccos(true[2, 2]))) < 1.5
    face = slice(*model.parts["Face"])
    rest = np.linalg.norm((shape(model, *drawn(seed=1)) - vertices)[face], axis=1)
    error = np.linalg.norm((head.vertices(model) - vertices)[face], axis=1)
    assert np.median(error) < 1.5  # mm
    assert np.median(error) < 0.4 * np.median(rest)
    found, there = (
        load_places().of(np.tensordot(e, model.expressions, axes=1)) for e in (head.expression, expression)
    )
    assert (found * there).sum() > 0.8 * np.linalg.norm(found) * np.linalg.norm(there)
    assert errors(model, head).mean() < 0.005


def test_codes_are_within_their_bounds_and_some_are_at_them(model):
    head = fitted(model, seed=3, turn=15)
    assert head.identity.shape == (100,)
    assert head.expression.shape == (57,)
    assert head.expression.min() == 0
    assert head.expression.max() <= 1
    assert np.abs(head.identity).max() < 4


def test_no_change_makes_the_fit_likelier(model):
    """Its place is the posterior's maximum: by differences of the formula, written here a second time."""
    rng = np.random.default_rng(0)
    vertices = shape(model, *drawn(seed=5))
    camera = camera_of_fit(model, vertices, 20, 5, eyes=50)
    points, _ = camera.project(load_places().of(vertices))
    points = points + rng.normal(size=points.shape) * 1.0
    head = fit_head(model, points, (camera.width, camera.height))
    spread = np.sqrt(np.diag(head.covariance))
    bound = np.concatenate([np.zeros(106), np.where(head.expression == 0, 1, 0) - (head.expression == 1)])
    for k in range(0, 163, 3):
        step = 0.05 * spread[k] * np.eye(163)[k]
        slope = (posterior(model, head, step) - posterior(model, head, -step)) / 0.1
        assert bound[k] * slope >= -0.05
        if not bound[k]:
            assert abs(slope) < 0.05, k  # of the posterior, a deviation


def test_the_covariance_is_the_curvature_turned_over(model):
    """Second differences of the posterior, where no landmark is beyond Huber's bend."""
    head = fitted(model, seed=8)
    precision = np.linalg.inv(head.covariance)
    for k in (0, 1, 2, 3, 5, 6, 9, 40, 110, 150):
        size = 0.02 / np.sqrt(precision[k, k])
        step = size * np.eye(163)[k]
        sides = posterior(model, head, step) + posterior(model, head, -step)
        second = (sides - 2 * posterior(model, head, 0 * step)) / size**2
        np.testing.assert_allclose(second, precision[k, k], rtol=0.1)  # Gauss and Newton leave curves out


def test_errors_are_as_large_as_the_fit_says(model):
    """Identities drawn from the prior, landmarks with the assumed noise: standardised errors are 1."""
    rng, squares, surface = np.random.default_rng(1), [], []
    face = slice(0, 9409, 50)
    for seed in range(12):
        identity, expression = rng.normal(size=100), np.zeros(57)
        vertices = shape(model, identity, expression)
        camera = camera_of_fit(model, vertices, rng.uniform(-20, 20), rng.uniform(-10, 10), eyes=50)
        points, _ = camera.project(load_places().of(vertices))
        spread = fit.NOISE * between_eyes(points) * np.maximum(load_places().spread / fit.SHARP, 1)
        head = fit_head(model, points + spread[:, None] * rng.normal(size=points.shape), (300, 300))
        squares.append(((head.identity - identity) / head.identity_spread) ** 2)
        if seed < 4:
            off = np.linalg.norm((head.vertices(model) - vertices)[face], axis=1)
            surface.append(off / head.surface_spread(model)[face])
    assert 0.75 < np.mean(squares) < 1.3
    assert 0.5 < np.sqrt(np.mean(np.square(surface))) < 1.3  # the expression is less uncertain at its bound
    assert head.identity_spread.max() < 1.0001
    assert head.identity_spread.min() < 0.7
    assert head.expression_spread.max() < 1.01 * fit.EXPRESSION


def test_surface_spread_is_the_codes_covariance_at_the_vertices(model):
    head = fitted(model, seed=2)
    spread, basis = head.surface_spread(model), np.concatenate([model.identity, model.expressions])
    for vertex in (0, 1000, 5000, 20000):
        B = basis[:, vertex].astype(np.float64)
        np.testing.assert_allclose(
            spread[vertex], np.sqrt(np.trace(B.T @ head.covariance[6:, 6:] @ B)), rtol=1e-3
        )


def test_landmarks_thrown_far_hardly_matter(model, monkeypatch):
    rng = np.random.default_rng(0)
    vertices = shape(model, *drawn(seed=11))
    camera = camera_of_fit(model, vertices, 10, 0, eyes=60)
    points, _ = camera.project(load_places().of(vertices))
    clean = fit_head(model, points, (400, 400))
    corners = [*RIGHT_EYE, *LEFT_EYE]  # by which the scale is known
    thrown = rng.choice(np.setdiff1d(np.arange(COUNT), corners), COUNT // 10, replace=False)
    away = points.copy()
    away[thrown] += rng.uniform(-40, 40, (len(thrown), 2))
    fits = fit_head(model, away, (400, 400))
    face = slice(*model.parts["Face"])
    moved = np.linalg.norm((fits.vertices(model) - clean.vertices(model))[face], axis=1)
    assert np.median(moved) < 1.5
    monkeypatch.setattr(fit, "ROBUST", 1e9)
    plain = fit_head(model, away, (400, 400))
    worse = np.linalg.norm((plain.vertices(model) - clean.vertices(model))[face], axis=1)
    assert np.median(worse) > 2 * np.median(moved)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_bounded_is_the_least_within_the_bounds(seed, count, alike):
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(count + 4, count)) + 3 * alike * rng.normal(size=(count + 4, 1))
    C = J.T @ J + np.diag(rng.uniform(0.1, 3, count))
    pull = np.diag(C) * rng.normal(size=count)
    low, high = -rng.uniform(0, 1, count), rng.uniform(0, 1, count)
    low[::3], high[1::4] = -np.inf, np.inf
    found = bounded(C, pull, low, high)
    root = np.linalg.cholesky(C)
    best = lsq_linear(root.T, np.linalg.solve(root, pull), (low, high), method="bvls", tol=1e-13).x
    assert (found >= low).all()
    assert (found <= high).all()

    def value(x: np.ndarray) -> float:
        return float(x @ C @ x / 2 - pull @ x)

    assert value(found) <= value(best) + 1e-9 * (1 + abs(value(best)))


def nonsense(kind: str) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(COUNT, 2)) * 50 + 200
    if kind == "one place":
        points[:] = 100
    elif kind == "not finite":
        points[7, 1] = np.nan
    elif kind == "infinite":
        points[7, 1] = np.inf
    elif kind == "far":
        points *= 1e200
    elif kind == "tiny":
        points *= 1e-3
    elif kind == "too few":
        points = points[:68]
    return points


@pytest.mark.parametrize("kind", ["one place", "not finite", "infinite", "far", "tiny", "too few"])
def test_nonsense_is_refused_in_one_sentence(model, kind):
    with pytest.raises(SansfaceError, match="are no face's"):
        fit_head(model, nonsense(kind), (400, 400))


def test_a_head_behind_the_camera_is_refused(model):
    with pytest.raises(SansfaceError, match="are no face's"):
        fit_head(model, np.random.default_rng(0).normal(size=(COUNT, 2)) * 100, (400, 400))


def test_places_lie_on_the_face_and_are_alike_on_both_sides(model):
    places = load_places()
    np.testing.assert_allclose(places.weights.sum(axis=1), 1, atol=1e-6)
    assert places.weights.min() > -1e-6
    assert places.vertices.max() < model.parts["Face"][1]
    assert (places.spread > 0).all()
    mean = places.mean_head(model)
    mirrored = mean * (-1, 1, 1)
    away = np.linalg.norm(mirrored[:, None] - mean[None], axis=-1)
    assert np.median(away.min(axis=1)) < 1.5  # mm: each has a partner across, of the mesh's own symmetry
    assert (away.argmin(axis=1)[away.argmin(axis=1)] == np.arange(COUNT)).mean() > 0.8
    right, left = (mean[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE))
    assert right[0] < 0 < left[0]
    assert 55 < np.linalg.norm(left - right) < 70


def test_landmarks_left_out_are_foreseen_on_renderings(model):
    off = []
    for seed, turn in ((0, 0), (1, 25), (2, -15)):
        vertices = shape(model, *drawn(seed))
        camera = camera_of_fit(model, vertices, turn, 5, eyes=50)
        found = all_faces(painted(model, vertices, camera), detectors())
        assert [face.kind for face in found] == ["landmarks"]
        head = fit_head(model, found[0].landmarks, (camera.width, camera.height), ~HELD_OUT)
        off.append(errors(model, head)[HELD_OUT].mean())
    assert max(off) < 0.03
    assert np.median(off) < 0.025


@pytest.mark.slow
def test_landmarks_left_out_are_foreseen_on_photographs(model):
    off = []
    for path in first_photographs(lfw())[::16][:20]:
        photograph = decode_rgb(path, "photograph")
        face = middle_face(photograph, detectors())
        if face is not None:
            head = fit_head(model, face.landmarks, photograph.shape[1::-1], ~HELD_OUT)
            off.append(errors(model, head)[HELD_OUT].mean())
    assert len(off) >= 17
    assert np.median(off) <= 0.02


@pytest.mark.slow
def test_the_places_are_found_again_with_few_heads(model):
    found = np.array([one for seed in (101, 102, 103) for one in meetings(model, detectors(), seed)])
    assert len(found) > 12
    away = np.linalg.norm(np.nanmedian(found, axis=0) - load_places().mean_head(model), axis=1)
    assert np.nanmedian(away) < 2.5  # mm
    assert np.nanpercentile(away, 90) < 6
