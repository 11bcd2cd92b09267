"""The halves of a step against one graph for all of it."""

import threading

import pytest
import torch

from sansface.fields.registry import make_field
from sansface.reconstruct.side_by_side import differentiate, threads
from small import GRID, MLP

CPU = torch.device("cpu")
WEIGHTS = {"distance": 2.0, "features": 0.5, "smoothness": 1e-3, "eikonal": 0.3}


def places(seed: int) -> torch.Tensor:
    return 2 * torch.rand((50, 3), generator=torch.Generator().manual_seed(seed)) - 1


def one_half(surface):
    distance, gradient, features = surface.query(places(1))
    return {"distance": distance.square().mean() + gradient.sum(), "features": features.square().mean()}


def other_half(surface):
    generator = torch.Generator().manual_seed(0)
    return {"smoothness": surface.smoothness(generator), "eikonal": surface.eikonal(generator)}


def make(name: str):
    return make_field(name, GRID if name == "grid" else MLP, torch.Generator().manual_seed(0))


def derivative(field) -> dict[str, torch.Tensor]:
    return {key: p.grad for key, p in field.named_parameters() if p.grad is not None}


@pytest.fixture
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["grid", "mlp"])
def test_two_halves_have_the_derivative_of_the_whole(name, two_cores):
    whole = make(name)
    losses = one_half(whole.now()) | other_half(whole.now())
    torch.stack([WEIGHTS[key] * loss for key, loss in losses.items()]).sum().backward()
    assert derivative(whole)
    for device in (CPU, torch.device("meta")):
        field = make(name)
        with threads(device, 2) as pool:
            assert (pool is None) == (device != CPU)
            told = differentiate(field.now(), (one_half, other_half), WEIGHTS, pool)
        assert told == pytest.approx({key: loss.item() for key, loss in losses.items()}, rel=1e-5)
        assert derivative(field).keys() == derivative(whole).keys()
        for key, gradient in derivative(field).items():
            torch.testing.assert_close(gradient, derivative(whole)[key], rtol=1e-4, atol=1e-6)


def test_halves_with_parameters_in_common_take_turns(two_cores):
    running = []

    def half(surface):
        running.append(threading.current_thread())
        return {}

    with threads(CPU, 2) as pool:
        differentiate(make("mlp").now(), (half, half), {}, pool)
    assert running == [threading.main_thread()] * 2


def test_the_halves_run_at_the_same_time_with_their_share_of_the_cores(two_cores):
    meet = threading.Barrier(2, timeout=120)
    shares = []

    def half(surface):
        meet.wait()  # breaks if the other one is not there
        shares.append(torch.get_num_threads())
        return {}

    with threads(CPU, 2) as pool:
        assert differentiate(make("grid").now(), (half, half), {}, pool) == {}
    assert shares == [1, 1]
    assert torch.get_num_threads() == 2


def test_an_error_of_a_half_is_raised(two_cores):
    def bad(surface):
        raise ValueError("no")

    with threads(CPU, 2) as pool, pytest.raises(ValueError, match="no"):
        differentiate(make("grid").now(), (other_half, bad), WEIGHTS, pool)
    assert torch.get_num_threads() == 2


def test_one_core_needs_no_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threads(CPU, 2) as pool:
        assert pool is None
    torch.set_num_threads(before)
