"""The head model in torch: equal to NumPy's, batched, and differentiable."""

import numpy as np
import pytest
import torch

from sansface.errors import SansfaceError
from sansface.heads.linear import LinearHead
from sansface.heads.parametric import HeadModel, load_head_model


@pytest.fixture
def model(shared_assets) -> HeadModel:
    return load_head_model()


def drawn(model: HeadModel, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, len(model.identity))), rng.uniform(0, 1, (count, len(model.expression)))


def test_a_batch_is_what_numpy_gives_one_by_one(model):
    identity, expression = drawn(model, 3)
    head = LinearHead(model, torch.device("cpu"))
    batch = head.vertices(torch.from_numpy(identity).float(), torch.from_numpy(expression).float())
    assert head.expressions == tuple(model.expression)
    for vertices, w, e in zip(batch, identity, expression, strict=True):
        expected = model.vertices(w, dict(zip(model.expression, e, strict=True)))
        np.testing.assert_allclose(vertices.numpy(), expected, atol=2e-3)  # float32 sums of 157 terms, mm
    np.testing.assert_array_equal(head.faces.numpy(), model.faces)


def test_a_part_has_its_own_vertices_and_faces(model):
    part = torch.from_numpy(np.unique(model.skin))
    whole, skin = LinearHead(model, torch.device("cpu")), LinearHead(model, torch.device("cpu"), part)
    codes = [torch.from_numpy(values).float() for values in drawn(model, 2)]
    torch.testing.assert_close(skin.vertices(*codes), whole.vertices(*codes)[:, part])
    np.testing.assert_array_equal(part[skin.faces].numpy(), model.skin)


def test_gradients_are_the_offsets(model):
    head = LinearHead(model, torch.device("cpu"))
    identity = torch.zeros(1, len(model.identity), requires_grad=True)
    expression = torch.zeros(1, len(model.expression), requires_grad=True)
    head.vertices(identity, expression)[0, 1225, 1].backward()
    np.testing.assert_allclose(identity.grad[0], model.identity[:, 1225, 1])
    offsets = np.stack(list(model.expression.values()))
    np.testing.assert_allclose(expression.grad[0], offsets[:, 1225, 1])


def test_another_number_of_weights_is_refused(model):
    head = LinearHead(model, torch.device("cpu"))
    with pytest.raises(SansfaceError, match="100 weights of identity and 57"):
        head.vertices(torch.zeros(1, 99), torch.zeros(1, 57))
