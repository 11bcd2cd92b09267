"""The stand-in for LPIPS: against its definition by loops, and its ratio."""

import numpy as np
import pytest

from sansface.audit.attackers.layers import inner_layers
from sansface.audit.perceptual import TINY, perceptual_distances, perceptual_ratio, unit_channels
from sansface.recognise.onnx import edgeface


def by_definition(one, other):
    """Σ over layers of the mean over places of ‖unit channels' difference‖²; layers (c, h, w)."""
    total = 0.0
    for name in one:
        a, b = one[name], other[name]
        _, height, width = a.shape
        for y in range(height):
            for x in range(width):
                u, v = (z[:, y, x] / (np.linalg.norm(z[:, y, x]) + TINY) for z in (a, b))
                total += np.square(u - v).sum() / (height * width)
    return total


def test_square_distances_of_the_vectors_are_the_definition():
    rng = np.random.default_rng(0)
    maps = {"one": rng.normal(size=(2, 3, 4, 5)), "two": rng.normal(size=(2, 6, 2, 2))}
    vectors = unit_channels(maps)
    first, second = ({name: values[k] for name, values in maps.items()} for k in range(2))
    assert np.square(vectors[0] - vectors[1]).sum() == pytest.approx(by_definition(first, second), rel=1e-9)


def test_a_ratio_is_that_of_the_distances_between_people_alone():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(6), 2)
    modulus = rng.uniform(1, 2, (12, 12))
    modulus = modulus + modulus.T
    colour = 1.3 * modulus
    colour[people[:, None] == people] = 99  # what lies between pictures of one person does not count
    found = perceptual_ratio(colour, modulus, people, rng)
    assert found.ratio.value == pytest.approx(1.3)
    assert found.ratio.low == pytest.approx(1.3)
    assert found.ratio.high == pytest.approx(1.3)
    assert found.ratio.tries == 12 * 10 // 2


def test_an_interval_holds_a_ratio_that_varies():
    rng = np.random.default_rng(2)
    colour, modulus = (rng.uniform(1, 2, (20, 20)) for _ in range(2))
    found = perceptual_ratio(colour, modulus, np.arange(20), rng)
    assert found.ratio.low < found.ratio.value < found.ratio.high


def test_a_networks_distances(shared_assets):
    rng = np.random.default_rng(3)
    network = inner_layers(edgeface())
    one = rng.random((112, 112, 3), dtype=np.float32)
    slightly = np.clip(one + 0.02 * rng.standard_normal(one.shape, dtype=np.float32), 0, 1)
    distances = perceptual_distances(network, np.stack([one, one, slightly, one[::-1]]))
    np.testing.assert_allclose(distances, distances.T, atol=1e-9)
    assert distances[0, 1] == pytest.approx(0, abs=1e-6)
    assert 0 < distances[0, 2] < distances[0, 3]


def test_grey_maps_are_the_descriptors_of_the_grey_picture(shared_assets):
    network = inner_layers(edgeface())
    grey = np.random.default_rng(4).random((2, 112, 112), dtype=np.float32)
    described, maps = network(grey), network.maps(np.repeat(grey[..., None], 3, axis=3))
    assert set(maps) == set(described)
    for name, values in maps.items():
        roots = np.sign(values) * np.sqrt(np.abs(values))
        np.testing.assert_allclose(roots.reshape(2, -1), described[name], atol=1e-5)
