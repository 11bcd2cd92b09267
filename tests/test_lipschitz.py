"""Lipschitz-bounded layers: the bound holds, binding changes nothing, rows are never scaled up."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sansface.fields.lipschitz import LipschitzLinear, bind_all, lipschitz_product
from sansface.fields.radiance import AlbedoTimesShading, RadianceNetwork

seeds = st.integers(0, 10**6)


def layer(inputs: int = 5, outputs: int = 4, seed: int = 0) -> LipschitzLinear:
    result = LipschitzLinear(inputs, outputs)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        result.weight.copy_(torch.randn(result.weight.shape, generator=generator))
        result.bias.copy_(torch.randn(result.bias.shape, generator=generator))
    return result


@given(seed=seeds, k=st.floats(-5, 5))
@settings(deadline=None)
def test_the_bound_holds_on_random_pairs(seed, k):
    bounded = layer(seed=seed)
    bounded.bind()
    bounded.k.data.fill_(k)
    generator = torch.Generator().manual_seed(seed + 1)
    x, y = torch.randn((2, 200, 5), generator=generator)
    change = (bounded(x) - bounded(y)).abs().amax(dim=1)
    assert (change <= bounded.limit() * (x - y).abs().amax(dim=1) * (1 + 1e-5) + 1e-6).all()


@given(seed=seeds, factor=st.floats(0.1, 1.5))
@settings(deadline=None, max_examples=30)
def test_the_product_bounds_a_whole_network(seed, factor):
    network = torch.nn.Sequential(
        layer(5, 16, seed), torch.nn.ReLU(), layer(16, 16, seed + 1), torch.nn.ReLU(), layer(16, 3, seed + 2)
    )
    bind_all(network)
    for bounded in (network[0], network[2], network[4]):
        bounded.k.data.mul_(factor)
    generator = torch.Generator().manual_seed(seed + 3)
    x, y = torch.randn((2, 300, 5), generator=generator)
    change = (network(x) - network(y)).abs().amax(dim=1)
    assert (change <= lipschitz_product(network) * (x - y).abs().amax(dim=1) * (1 + 1e-5) + 1e-6).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_binding_changes_nothing(scale):
    bounded = layer()
    with torch.no_grad():
        bounded.weight.mul_(scale)
    x = torch.randn((50, 5), generator=torch.Generator().manual_seed(1))
    before = bounded(x)
    bounded.bind()
    torch.testing.assert_close(bounded(x), before, rtol=1e-4, atol=1e-4 * scale)
    largest = bounded.weight.abs().sum(dim=1).max()
    torch.testing.assert_close(bounded.limit(), largest, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [lambda: RadianceNetwork(6, 16, 3, 2), lambda: AlbedoTimesShading(6, 16, 2)])
def test_binding_changes_no_colour(make):
    torch.manual_seed(0)
    network = make()
    inputs = [torch.randn(40, n) for n in (3, 3, 3, 6)]
    before = network(*inputs)
    bind_all(network)
    torch.testing.assert_close(network(*inputs), before, atol=1e-5, rtol=0)


def test_binding_again_changes_nothing_either():
    """A second stage that asks for the bound goes on with the k that the first one learnt."""
    layer = LipschitzLinear(5, 4)
    layer.bind()
    with torch.no_grad():
        layer.k -= 2
    x = torch.randn((9, 5), generator=torch.Generator().manual_seed(0))
    before = layer(x)
    layer.bind()
    assert torch.equal(layer(x), before)


def test_rows_are_scaled_down_to_the_limit():
    bounded = layer()
    bounded.bind()
    bounded.k.data.fill_(math.log(math.expm1(0.5)))  # softplus gives 0.5
    effective = bounded(torch.eye(5)) - bounded.bias
    torch.testing.assert_close(effective.abs().sum(dim=0), torch.full((4,), 0.5))
    # Scaled, not turned: each row keeps its direction.
    torch.testing.assert_close(F.normalize(effective.T, dim=1), F.normalize(bounded.weight, dim=1))


def test_rows_are_never_scaled_up():
    bounded = layer()
    x = torch.randn((20, 5), generator=torch.Generator().manual_seed(1))
    plain = bounded(x)
    bounded.bind()
    bounded.k.data.fill_(1e3)
    torch.testing.assert_close(bounded(x), plain)
    # And a row below the limit stays as it is while a larger one shrinks.
    with torch.no_grad():
        bounded.weight[0] = 0.01
        bounded.weight[1] = 2.0
        bounded.k.fill_(math.log(math.expm1(1.0)))
    effective = (bounded(torch.eye(5)) - bounded.bias).T
    torch.testing.assert_close(effective[0], bounded.weight[0])
    torch.testing.assert_close(effective[1], bounded.weight[1] / 10)


def test_the_product_is_equation_8():
    network = torch.nn.Sequential(layer(3, 8), torch.nn.ReLU(), layer(8, 2, seed=1))
    for bounded, k in ((network[0], 0.3), (network[2], -1.1)):
        bounded.k.data.fill_(k)
    expected = math.log1p(math.exp(0.3)) * math.log1p(math.exp(-1.1))
    assert lipschitz_product(network).item() == pytest.approx(expected, rel=1e-6)


def test_the_products_slope_reaches_k_and_the_weights_learn_through_the_bound():
    bounded = layer()
    bounded.bind()
    lipschitz_product(bounded).backward()
    assert bounded.k.grad is not None
    assert bounded.k.grad.item() == pytest.approx(torch.sigmoid(bounded.k).item(), rel=1e-5)
    bounded(torch.ones(1, 5)).square().sum().backward()
    assert bounded.weight.grad is not None
    assert torch.isfinite(bounded.weight.grad).all()
    assert bounded.weight.grad.abs().sum() > 0


def test_unbound_layers_are_plain_and_the_state_remembers_the_bound():
    first, second = layer(), layer(seed=9)
    x = torch.ones(1, 5)
    first.k.data.fill_(-20.0)
    torch.testing.assert_close(first(x), F.linear(x, first.weight, first.bias))
    first.bind()
    first.k.data.fill_(-1.0)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(x), first(x))
    assert not torch.allclose(second(x), F.linear(x, second.weight, second.bias))
