"""The parametric head model: sums of offsets, parts and landmarks."""

import numpy as np
import pytest

from sansface.errors import SansfaceError
from sansface.heads.parametric import HeadModel, load_head_model


@pytest.fixture(scope="module")
def tiny() -> HeadModel:
    rng = np.random.default_rng(0)

    def drawn(*shape):
        return rng.normal(size=shape).astype(np.float32)

    return HeadModel(
        neutral=drawn(6, 3),
        identity=drawn(4, 6, 3),
        expression={name: drawn(6, 3) for name in ("smile_L", "smile_R", "jaw")},
        faces=np.array([[0, 1, 2], [2, 3, 4], [3, 4, 5]]),
        landmarks=np.arange(6),
        parts={"Face": (0, 3), "Head and Neck": (3, 6)},
    )


def test_vertices_are_the_sum_of_the_offsets(tiny):
    weights = np.array([0.5, -1.0, 2.0])
    expected = tiny.neutral.astype(np.float64)
    for weight, offsets in zip(weights, tiny.identity, strict=False):
        expected = expected + weight * offsets
    expected = expected + 0.7 * (tiny.expression["smile_L"] + tiny.expression["smile_R"])
    np.testing.assert_allclose(tiny.vertices(weights, {"smile": 0.7}), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(tiny.vertices(), tiny.neutral)
    one_side = tiny.vertices(expression={"smile_L": 1.0}) - tiny.neutral
    np.testing.assert_allclose(one_side, tiny.expression["smile_L"], atol=1e-6)


@pytest.mark.parametrize(
    ("identity", "expression"),
    [(np.zeros(5), {}), ([np.nan], {}), ([], {"frown": 0.5}), ([], {"jaw": 1.5}), ([], {"jaw": np.nan})],
)
def test_what_the_model_does_not_have_is_refused(tiny, identity, expression):
    with pytest.raises(SansfaceError):
        tiny.vertices(identity, expression)


def test_a_part_holds_the_faces_whose_corners_are_all_its(tiny):
    np.testing.assert_array_equal(tiny.part("Face"), [[0, 1, 2]])
    np.testing.assert_array_equal(tiny.skin, tiny.faces)
    with pytest.raises(SansfaceError, match="no part 'Tail', but Face"):
        tiny.part("Tail")


def test_the_model_of_the_assets_is_a_head_in_millimetres(shared_assets):
    model = load_head_model()
    assert 150 < np.ptp(model.neutral[:, 1]) < 400
    assert model.identity.shape == (100, *model.neutral.shape)
    left_eye, right_eye = model.neutral[model.landmarks[42:48]], model.neutral[model.landmarks[36:42]]
    assert (left_eye[:, 0] > 0).all()
    assert (right_eye[:, 0] < 0).all()
    nose, chin = model.neutral[model.landmarks[30]], model.neutral[model.landmarks[8]]
    assert nose[2] == pytest.approx(model.neutral[model.landmarks][:, 2].max())
    assert chin[1] < nose[1]
    opened = model.vertices(expression={"jawOpen": 1.0})
    assert opened[model.landmarks[8], 1] < chin[1] - 5
    edges = np.sort(model.skin[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert np.unique(edges, axis=0, return_counts=True)[1].max() == 2
