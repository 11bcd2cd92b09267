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


def test_regions_have_their_own_vertices_faces_and_landmarks(model):
    cpu, codes = torch.device("cpu"), [torch.from_numpy(values).float() for values in drawn(model, 2)]
    whole, skin = LinearHead(model, cpu), LinearHead(model, cpu, ("Face", "Head and Neck"))
    everywhere = whole.vertices(*codes)
    torch.testing.assert_close(skin.vertices(*codes), everywhere[:, skin.kept])
    np.testing.assert_array_equal(skin.kept[skin.faces].numpy(), model.skin)
    np.testing.assert_array_equal(whole.landmarks.numpy(), model.landmarks)
    marks = skin.vertices(*codes)[:, skin.landmarks]
    torch.testing.assert_close(marks, everywhere[:, torch.from_numpy(model.landmarks)])
    teeth = LinearHead(model, cpu, ("Teeth",))
    assert (teeth.landmarks == -1).all()
    with pytest.raises(SansfaceError, match="no part 'Nose'"):
        LinearHead(model, cpu, ("Nose",))


def test_landmarks_bring_the_codes_back_that_made_them(model):
    """A fit by gradients, as one would write it: from 68 points and the prior, Gauss–Newton in one step."""
    cpu, wanted = torch.device("cpu"), torch.zeros(1, len(model.identity))
    wanted[0, :5] = torch.tensor([1.0, -1.5, 0.5, 2.0, -0.5])
    face = LinearHead(model, cpu, ("Face",))
    rest, start = torch.zeros(1, len(model.expression)), torch.zeros_like(wanted)

    def marks(identity: torch.Tensor) -> torch.Tensor:
        return face.vertices(identity, rest)[:, face.landmarks].flatten()

    slopes = torch.autograd.functional.jacobian(marks, start)[:, 0, :5]
    found = torch.linalg.lstsq(slopes, (marks(wanted) - marks(start))[:, None]).solution[:, 0]
    torch.testing.assert_close(found, wanted[0, :5], atol=1e-3, rtol=0)


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
