"""A network that can be taught says, before it is, what OpenCV says of the same file."""

import numpy as np
import pytest
import torch

from onnx_files import means, pupil, residual
from sansface.audit.attackers.layers import inner_layers
from sansface.audit.attackers.teachable import Teachable, first_teachable
from sansface.errors import SansfaceError
from sansface.recognise.onnx import OnnxRecogniser
from sansface.recognise.registry import recogniser

FACES = np.random.default_rng(0).random((3, 112, 112, 3), np.float32)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> OnnxRecogniser:
    return pupil(tmp_path_factory.mktemp("weights"))


def agrees(one: OnnxRecogniser) -> Teachable:
    network = Teachable(one).eval()
    with torch.no_grad():
        said, layers = network(torch.from_numpy(FACES).permute(0, 3, 1, 2))
    expected = one.embed(FACES)
    np.testing.assert_allclose(said.numpy(), expected, atol=1e-5 * np.abs(expected).max())
    maps = inner_layers(one).maps(FACES)
    assert list(layers) == list(maps)
    for name, values in maps.items():
        np.testing.assert_allclose(layers[name].numpy(), values, atol=1e-5 * np.abs(values).max())
    return network


def test_it_says_what_opencv_says(small):
    assert agrees(small).names == ["sum 14", "sum 7"]


def test_mobilefacenet_can_be_taught_and_edgeface_cannot(shared_assets):
    network = agrees(recogniser("mobilefacenet"))
    assert sum(value.numel() for value in network.parameters()) > 9e5
    assert first_teachable([recogniser("edgeface")]) is None  # its attention is no step that is known


def test_all_its_weights_can_be_taught(small):
    network = Teachable(small)
    said, layers = network(torch.from_numpy(FACES).permute(0, 3, 1, 2))
    (said.square().sum() + sum(value.square().sum() for value in layers.values())).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_other_networks_are_refused_by_name(tmp_path):
    path = tmp_path / "means.onnx"
    path.write_bytes(means(112))
    other = OnnxRecogniser(path)
    with pytest.raises(SansfaceError, match=r"means\.onnx has no residual sums"):
        Teachable(other)
    assert first_teachable([other]) is None
    path = tmp_path / "bent.onnx"
    path.write_bytes(residual().replace(b"PRelu", b"Tanh_"))
    bent = pupil(tmp_path)
    assert first_teachable([other, bent])[0] is bent
    bent.weights = path
    with pytest.raises(SansfaceError, match=r"bent\.onnx"):
        Teachable(bent)
