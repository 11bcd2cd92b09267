"""Spherical-harmonic light against integrals over the sphere."""

import numpy as np
import pytest
import torch

from sansface.heads.light import COUNT, ambient, harmonics, irradiance, lamp, random_light


@pytest.fixture(scope="module")
def sphere() -> tuple[np.ndarray, np.ndarray]:
    """Directions (n, 3) and weights (n,) that integrate exactly what is of low order: Gauss times even."""
    height, weight = np.polynomial.legendre.leggauss(24)
    turn = np.arange(48) * 2 * np.pi / 48
    z, t = (a.ravel() for a in np.meshgrid(height, turn, indexing="ij"))
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(t), across * np.sin(t), z], axis=1), np.repeat(
        weight, 48
    ) * 2 * np.pi / 48


def test_the_harmonics_are_orthonormal(sphere):
    ways, weights = sphere
    values = np.array(harmonics(ways))
    np.testing.assert_allclose((values * weights) @ values.T, np.eye(COUNT), atol=1e-12)


def test_irradiance_is_the_integral_over_the_hemisphere():
    """Against Monte Carlo: a million directions, for a light that is positive everywhere."""
    rng = np.random.default_rng(0)
    light = ambient(np.ones(3)) + 0.1 * rng.normal(size=(COUNT, 3))
    ways = rng.normal(size=(1_000_000, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    radiance = np.array(harmonics(ways)).T @ light
    normals = rng.normal(size=(5, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for normal in normals:
        integral = 4 * np.pi * (radiance * (ways @ normal).clip(0)[:, None]).mean(axis=0)
        np.testing.assert_allclose(irradiance(normal, light), integral / np.pi, rtol=5e-3)


def test_an_even_sky_gives_its_radiance_to_every_surface(sphere):
    ways, _ = sphere
    colour = np.array([0.2, 0.5, 1.0])
    np.testing.assert_allclose(irradiance(ways, ambient(colour)), np.tile(colour, (len(ways), 1)), rtol=1e-12)


def test_a_lamp_lights_what_faces_it_and_nothing_behind():
    way, colour = np.array([0.6, 0.0, 0.8]), np.array([1.0, 2.0, 3.0])
    faced = irradiance(way, lamp(way, colour)) * np.pi
    np.testing.assert_allclose(faced, 17 / 16 * colour, rtol=1e-12)
    side = irradiance(np.array([0.8, 0.0, -0.6]), lamp(way, colour)) * np.pi
    assert (side < 0.12 * colour).all()
    assert (irradiance(-way, lamp(way, colour)) < 0.1 * colour / np.pi).all()


def test_torch_gives_what_numpy_gives():
    rng = np.random.default_rng(1)
    light, ways = random_light(rng), rng.normal(size=(50, 3)).astype(np.float32)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    same = irradiance(torch.from_numpy(ways), torch.from_numpy(light))
    np.testing.assert_allclose(same.numpy(), irradiance(ways, light), atol=1e-6)


def test_random_lights_neither_burn_nor_blind(sphere):
    front = sphere[0][sphere[0][:, 2] > 0.5]
    shown = np.array([irradiance(front, random_light(np.random.default_rng(seed))) for seed in range(100)])
    assert 0.4 < shown.mean() < 1.2
    assert shown.mean(axis=(1, 2)).std() > 0.05
    assert shown.max() < 2.6
