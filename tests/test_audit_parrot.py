"""The parrot: descriptors, linear models against slow ones, calibration, and both controls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.ndimage import gaussian_filter

from sansface.audit.attackers import linear
from sansface.audit.attackers.calibration import calibrated, fused_views, log_loss, log_posteriors
from sansface.audit.attackers.descriptors import describe, even, orientations
from sansface.audit.attackers.layers import InnerLayers, enlarged
from sansface.audit.attackers.parrot import Fit, ParrotSettings, name_people
from sansface.errors import SansfaceError
from sansface.protect.operators import operator

PEOPLE, EACH = 8, 4


def protected_people(
    seed: int, people: int = PEOPLE, each: int = EACH, noise: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """σ of random smooth pictures, one a person, disturbed by another each time: (n, 32, 32), (n,)."""
    rng = np.random.default_rng(seed)

    def smooth(count: int) -> np.ndarray:
        values = gaussian_filter(rng.normal(size=(count, 32, 32, 3)), (0, 2, 2, 0))
        return (values / values.std()).astype(np.float32)

    pictures = smooth(people).repeat(each, axis=0) + noise * smooth(people * each)
    sigma = operator("sobel")
    return np.stack([sigma(one) for one in 0.5 + 0.1 * pictures]), np.arange(people).repeat(each)


def with_mirror(pictures: np.ndarray) -> dict[str, np.ndarray]:
    ways = [describe(one) for one in (pictures, pictures[:, :, ::-1])]
    return {name: np.stack([way[name] for way in ways], axis=1) for name in ways[0]}


def features(rng: np.random.Generator, n: int = 24, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 4
    return rng.normal(size=(n, d)) + rng.normal(size=(4, d))[labels], labels


# Controls.


def test_people_who_differ_are_named() -> None:
    pictures, labels = protected_people(0)
    shown = np.arange(len(labels)) % EACH < 2
    every = with_mirror(pictures)
    named = name_people(
        {name: one[shown] for name, one in every.items()},
        labels[shown],
        {name: one[~shown] for name, one in every.items()},
        np.random.default_rng(0),
    )
    right = (named.scores.argmax(axis=1) == labels[~shown]).mean()
    assert right > 0.7  # guessing: 0.125
    np.testing.assert_allclose(np.exp(named.scores).sum(axis=1), 1)
    together = fused_views(named.scores, labels[~shown])
    assert (together.argmax(axis=1) == np.arange(PEOPLE)).mean() >= right


def test_people_who_do_not_differ_are_guessed() -> None:
    """Pictures are shuffled, so that a label says nothing: chance, and the calibration knows it."""
    pictures, labels = protected_people(1, people=10, each=8)
    rng = np.random.default_rng(1)
    shown = np.arange(len(labels)) % 8 < 4
    every = with_mirror(rng.permutation(pictures))
    right, loss = [], []
    for _ in range(3):
        one = rng.permutation(labels)
        named = name_people(
            {name: values[shown] for name, values in every.items()},
            np.concatenate([np.arange(10), one[shown][10:]]),
            {name: values[~shown] for name, values in every.items()},
            rng,
        )
        right.append((named.scores.argmax(axis=1) == one[~shown]).mean())
        loss.append(-named.scores[np.arange(40), one[~shown]].mean())
    assert np.mean(right) < 0.22  # 120 guesses at 0.1: below 0.22 in all but 1 of 10,000 draws
    assert np.mean(loss) == pytest.approx(np.log(10), abs=0.2)


def test_a_person_with_one_photograph_is_still_named() -> None:
    pictures, labels = protected_people(2, noise=0.2)
    shown = np.flatnonzero(np.arange(len(labels)) % EACH < 2)[1:]  # person 0 keeps one
    every = with_mirror(pictures)
    probes = {name: one[[2, 3, 6, 7]] for name, one in every.items()}
    gallery = {name: one[shown] for name, one in every.items()}
    named = name_people(gallery, labels[shown], probes, np.random.default_rng(0))
    assert named.scores.argmax(axis=1).tolist() == [0, 0, 1, 1]
    for fit in named.fits:
        assert np.isfinite(fit.left_out[1:]).all()
    assert any(np.isnan(fit.left_out[0]).all() for fit in named.fits)


def test_bad_galleries() -> None:
    one = {"values": np.ones((4, 1, 5))}
    rng = np.random.default_rng(0)
    for labels in (np.zeros(4, int), np.arange(4), np.array([0, 0, 2, 2])):
        with pytest.raises(SansfaceError, match="enrol more"):
            name_people(one, labels, one, rng)
    with pytest.raises(SansfaceError, match="describe both"):
        name_people(one, np.array([0, 0, 1, 1]), {"other": one["values"]}, rng)


# Linear models.


def test_coordinates_keep_inner_products() -> None:
    rng = np.random.default_rng(0)
    gallery, probes = rng.normal(size=(6, 40)).astype(np.float32), rng.normal(size=(3, 40)).astype(np.float32)
    x, y = linear.coordinates(gallery, probes)
    assert x.shape == (6, 5)
    centred = gallery - gallery.mean(axis=0)
    factor = (centred**2).sum() / len(gallery)
    np.testing.assert_allclose(x @ x.T, centred @ centred.T / factor, atol=1e-5)
    np.testing.assert_allclose(y @ x.T, (probes - gallery.mean(axis=0)) @ centred.T / factor, atol=1e-5)


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_ridge_left_out_is_ridge_without_them(seed: int) -> None:
    """The closed form against a loop that solves the normal equations without a photograph's copies."""
    rng = np.random.default_rng(seed)
    x, labels = features(rng)
    x += rng.normal(size=10)
    photographs = rng.permutation(np.arange(24) // 2)
    strength = float(rng.uniform(0.01, 2))
    left_out, scores = linear.ridge(x @ x.T, x @ x.T, labels, photographs, 4, [strength])
    step = strength * np.square(x - x.mean(axis=0)).sum() / 24

    def by_hand(kept: np.ndarray, asked: np.ndarray) -> np.ndarray:
        target = np.eye(4)[labels[kept]]
        mean = x[kept].mean(axis=0), target.mean(axis=0)
        known = x[kept] - mean[0]
        return (asked - mean[0]) @ np.linalg.solve(
            known.T @ known + step * np.eye(10), known.T @ target
        ) + mean[1]

    for photograph in range(12):
        out = photographs == photograph
        np.testing.assert_allclose(left_out[0, out], by_hand(~out, x[out]), atol=1e-8)
    np.testing.assert_allclose(scores[0], by_hand(np.full(24, True), x), atol=1e-8)


def test_ridge_left_out_does_not_give_labels_away() -> None:
    """With far more numbers than rows and hardly any regularisation, noise is named by chance."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(200, 1000)), np.arange(200) % 10
    left_out, _ = linear.ridge(x @ x.T, x @ x.T, labels, np.arange(200), 10, [1e-4, 1.0])
    assert ((left_out.argmax(axis=2) == labels).mean(axis=1) < 0.2).all()


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_discriminants_are_those_of_the_eigenproblem(seed: int) -> None:
    """Cosines in the space of B v = λ W v, v's W-norm 1, as SciPy solves it."""
    rng = np.random.default_rng(seed)
    x, labels = features(rng)
    probes = rng.normal(size=(5, 10))
    strength = float(rng.uniform(0.01, 2))
    means = np.stack([x[labels == person].mean(axis=0) for person in range(4)])
    within = np.cov((x - means[labels]).T, bias=True)
    within += strength * np.trace(within) / 10 * np.eye(10)
    between = np.cov(means.T, bias=True)
    directions = eigh(between, within)[1][:, -3:]
    a, b = (one @ directions for one in (probes - x.mean(axis=0), means - x.mean(axis=0)))
    cosines = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(linear.discriminant(x, labels, probes, 4, [strength])[0], cosines, atol=1e-6)


def test_gaussian_kernel_by_loop() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    gram, across = linear.gaussian_kernel(x, y)
    squares = np.array([[((a - b) ** 2).sum() for b in x] for a in (*x, *y)])
    slow = np.exp(-squares / squares[:5].mean())
    np.testing.assert_allclose(gram, slow[:5])
    np.testing.assert_allclose(across, slow[5:])
    np.testing.assert_array_equal(
        linear.gaussian_kernel(np.ones((3, 2)), np.ones((1, 2)))[0], np.ones((3, 3))
    )


def test_folds_keep_copies_together_and_people_apart() -> None:
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    photographs = np.arange(12) // 2
    fold = linear.folds(labels, photographs, 2, np.random.default_rng(0))
    assert (fold[::2] == fold[1::2]).all()
    assert (fold[labels == 2] == -1).all()
    for person in (0, 1):
        assert set(fold[labels == person]) == {0, 1}


def test_a_row_left_out_has_no_part_in_its_score() -> None:
    rng = np.random.default_rng(0)
    x, labels = features(rng)
    fold = linear.folds(labels, np.arange(24), 3, rng)
    before = linear.discriminant_left_out(x, labels, fold, 4, [0.1, 1.0])
    moved = x.copy()
    moved[fold == 0] += 100 * rng.normal(size=moved[fold == 0].shape)
    after = linear.discriminant_left_out(np.where((fold == 0)[:, None], x, x), labels, fold, 4, [0.1, 1.0])
    np.testing.assert_array_equal(before, after)
    wild = linear.discriminant_left_out(moved, labels, fold, 4, [0.1, 1.0])
    assert not np.allclose(before[:, fold == 1], wild[:, fold == 1])
    first = np.flatnonzero(fold == 0)[0]
    direct = linear.discriminant(x[fold != 0], labels[fold != 0], x[[first]], 4, [0.1, 1.0])
    np.testing.assert_allclose(before[:, first], direct[:, 0])


# Calibration.


def test_weights_find_the_model_that_knows() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=400)
    knows = rng.normal(size=(400, 5)) + 2 * np.eye(5)[labels]
    weights = calibrated(np.stack([knows, rng.normal(size=(400, 5))]), labels)
    # Of unit Gaussians 2 apart the log likelihood ratio is 2 times the score.
    assert weights[0] == pytest.approx(2, abs=0.3)
    assert weights[1] < 0.2
    alone = calibrated(knows[None], labels)
    loss = -log_posteriors(knows[None], alone)[np.arange(400), labels].mean()
    assert log_loss(knows[None], labels) == pytest.approx(loss)
    for other in (0.9 * alone, 1.1 * alone):
        assert -log_posteriors(knows[None], other)[np.arange(400), labels].mean() > loss


def test_a_misleading_model_counts_nothing() -> None:
    labels = np.arange(40) % 4
    assert calibrated(-np.eye(4)[labels][None], labels) == pytest.approx(0, abs=1e-6)


def test_views_are_multiplied() -> None:
    posteriors = np.log([[0.6, 0.4], [0.3, 0.7], [0.5, 0.5]])
    fused = np.exp(fused_views(posteriors, np.array([1, 1, 0])))
    np.testing.assert_allclose(fused, [[0.5, 0.5], [0.18 / 0.46, 0.28 / 0.46]])


# Descriptors.


def test_descriptors_ignore_gain() -> None:
    pictures, _ = protected_people(0, people=2, each=2)
    for name, one in describe(pictures).items():
        brighter = describe(4 * pictures)[name]
        assert one.dtype == np.float32
        assert np.corrcoef(one.ravel(), brighter.ravel())[0, 1] > 0.999, name


def test_orientations_of_a_ramp() -> None:
    """√σ that rises to the right votes for direction 0 alone, and one that rises downwards for a quarter."""
    ramp = np.square(np.arange(32, dtype=np.float32) / 32)
    pictures = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32))])
    middle = orientations(pictures, 3, 8)[:, 16, 16]
    assert middle.argmax(axis=1).tolist() == [0, 2]
    assert (np.sort(middle, axis=1)[:, :-1] < 1e-3).all()


def test_even_by_loop() -> None:
    picture = np.random.default_rng(0).random((1, 21, 21), np.float32)
    root = np.sqrt(picture[0].astype(np.float64))
    offset = np.arange(-10, 11)
    weights = np.exp(-0.5 * (offset / 4.0) ** 2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    mean = (weights * root).sum()
    deviation = np.sqrt((weights * root**2).sum() - mean**2)
    assert even(picture, 4.0)[0, 10, 10] == pytest.approx(
        (root[10, 10] - mean) / (deviation + 1e-3), rel=1e-3
    )


def test_descriptors_refuse_other_shapes() -> None:
    for shape in ((32, 32), (2, 32, 32, 3), (2, 4, 32)):
        with pytest.raises(ValueError, match="at least 8"):
            describe(np.zeros(shape, np.float32))


def test_enlarged_puts_the_eyes_where_they_belong() -> None:
    """A bright spot at an eye of the small cut comes to lie at the template's eye."""
    from sansface.recognise.align import TEMPLATE, placed_template

    rows, columns = np.mgrid[:64, :64] + 0.5
    for eye in range(2):
        x, y = placed_template(64, 11.0)[eye]
        spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4).astype(np.float32)
        large = enlarged(spot[None], 11.0)[0].astype(np.float64)
        assert large.shape == (112, 112)
        weight = np.where(large > 0.9 * large.max(), large, 0)
        places = np.mgrid[:112, :112][::-1] + 0.5
        centre = (places * weight).sum(axis=(1, 2)) / weight.sum()
        np.testing.assert_allclose(centre, TEMPLATE[eye], atol=0.6)


def test_inner_layers_refuse_what_is_no_network(tmp_path) -> None:
    path = tmp_path / "weights.onnx"
    with pytest.raises(SansfaceError, match=r"weights\.onnx"):
        InnerLayers(path, 0.5, 2.0)
    path.write_bytes(b"\x3a\x05hello")
    with pytest.raises(SansfaceError, match=r"weights\.onnx"):
        InnerLayers(path, 0.5, 2.0)


def test_inner_layers_of_a_recogniser(shared_assets) -> None:
    """The rewritten network's own output is the file's; its middle layers tell pictures apart."""
    import cv2

    path = shared_assets / "weights" / "mobilefacenet_insightface_112.onnx"
    network = InnerLayers(path, 0.0, 255.0)
    pictures = np.random.default_rng(0).random((2, 112, 112), np.float32)
    said = network(pictures)
    assert sorted({values.shape for values in said.values()}) == [(2, 128 * 49), (2, 128 * 196)]
    assert all(not np.allclose(values[0], values[1]) for values in said.values())
    np.testing.assert_array_equal(network(pictures)[network.names[0]], said[network.names[0]])
    plain = cv2.dnn.readNetFromONNX(str(path))
    plain.setInput(np.repeat(255 * pictures[:1, None], 3, axis=1))
    network._network.setInput(np.repeat(255 * pictures[:1, None], 3, axis=1))
    names = network._network.getUnconnectedOutLayersNames()
    own = dict(zip(names, network._network.forward(names), strict=True))
    np.testing.assert_allclose(
        own[plain.getUnconnectedOutLayersNames()[0]], plain.forward(), rtol=1e-4, atol=1e-5
    )


def test_the_strength_is_the_better_one_on_photographs_left_out() -> None:
    pictures, labels = protected_people(3)
    one = {"values": with_mirror(pictures)["values"]}

    def fits(*strengths: float) -> tuple[Fit, ...]:
        return name_people(one, labels, one, np.random.default_rng(0), ParrotSettings(strengths)).fits

    for weak, strong, chosen in zip(fits(0.01), fits(10.0), fits(0.01, 10.0), strict=True):
        better = min(weak, strong, key=lambda fit: log_loss(fit.left_out[None], labels))
        assert chosen.strength == better.strength
        np.testing.assert_array_equal(chosen.scores, better.scores)
