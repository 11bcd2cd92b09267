"""The key-derived isometry: Haar, exact, the same anywhere, and unrelated to that of any other key or use."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from sansface.deidentify.keys import Key, Purpose
from sansface.deidentify.virtual import MOST, OFFSET, codes, isometry, normals, unit
from sansface.errors import SansfaceError


def key(number: int) -> Key:
    return Key(Purpose.RECOGNITION, number.to_bytes(32, "big"))


def random_units(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)))


@given(st.integers(0, 2**256 - 1), st.integers(1, 40), st.integers(0, 2**32))
def test_it_is_orthogonal_and_keeps_distances(secret, dimension, counter):
    drawn = isometry(key(secret), dimension, "face", counter)
    np.testing.assert_allclose(drawn.turn @ drawn.turn.T, np.eye(dimension), atol=1e-12)
    assert np.linalg.norm(drawn.offset) == pytest.approx(OFFSET)
    embeddings = 7 * np.random.default_rng(counter).normal(size=(6, dimension))
    clear, virtual = unit(embeddings), drawn(embeddings)
    for one in range(6):
        np.testing.assert_allclose(
            np.linalg.norm(virtual - virtual[one], axis=1),
            np.linalg.norm(clear - clear[one], axis=1),
            atol=1e-12,
        )
    np.testing.assert_allclose(drawn.back(virtual), clear, atol=1e-12)


def test_the_length_of_an_embedding_does_not_count():
    drawn, embedding = isometry(key(1), 8, "face"), random_units(1, 8)[0]
    np.testing.assert_allclose(drawn(1e-3 * embedding), drawn(50 * embedding.astype(np.float32)), atol=1e-6)


def test_turns_are_uniform_over_the_orthogonal_group():
    """Of 3 numbers, both signs of the determinant, entries uniform over [-1, 1], as on a sphere (Archimedes),
    and a trace whose moments are those of Haar's measure: E tr Q = 0, E (tr Q)² = 1.
    """
    turns = np.stack([isometry(key(number), 3, "face").turn for number in range(600)])
    assert abs(np.sign(np.linalg.det(turns)).mean()) < 4 / np.sqrt(600)
    for row in range(3):
        for column in range(3):
            assert kstest(turns[:, row, column], "uniform", (-1, 2)).pvalue > 1e-4
    trace = np.trace(turns, axis1=1, axis2=2)
    assert abs(trace.mean()) < 4 / np.sqrt(600)
    assert (trace**2).mean() == pytest.approx(1, abs=0.3)


def test_normals_are_normal_and_finite_at_the_ends(monkeypatch):
    drawn = normals(bytes(32), 40_000)
    assert kstest(drawn, norm.cdf).pvalue > 1e-3
    assert np.array_equal(drawn[:100], normals(bytes(32), 100))

    class Stream:
        def __init__(self, byte: int) -> None:
            self.byte = byte

        def __call__(self, *_, **__):
            return self

        encryptor = __call__

        def update(self, data: bytes) -> bytes:
            return bytes([self.byte]) * len(data)

    for byte, sign in ((0, -1), (255, 1)):
        monkeypatch.setattr("sansface.deidentify.virtual.Cipher", Stream(byte))
        ends = normals(bytes(32), 2)
        assert np.isfinite(ends).all()
        assert (np.sign(ends) == sign).all()
        assert (np.abs(ends) > 8).all()


def test_the_stream_is_that_of_rfc_8439():
    """Its keystream of key and nonce zero begins 76 b8 e0 ad a0 f1 3d 90 (appendix A.1, test vector 1)."""
    first = (int.from_bytes(bytes.fromhex("76b8e0ada0f13d90"), "little") >> 12) + 0.5
    assert normals(bytes(32), 1)[0] == pytest.approx(norm.ppf(first / 2**52), rel=1e-12)


@pytest.mark.parametrize("other", [(key(2), ("face", 0)), (key(1), ("face", 1)), (key(1), ("picture", 0))])
def test_another_key_counter_or_use_is_unrelated(other):
    """Cosines of one person under two isometries spread as those of random vectors do, by 1/√d."""
    embeddings = random_units(400, 64)
    one, two = isometry(key(1), 64, "face", 0), isometry(other[0], 64, *other[1])
    cosines = ((one(embeddings) - one.offset) * (two(embeddings) - two.offset)).sum(axis=1)
    assert abs(cosines.mean()) < 0.05
    assert cosines.std() == pytest.approx(1 / 8, rel=0.15)
    apart = np.linalg.norm(one(embeddings) - two(embeddings), axis=1)
    assert apart.mean() == pytest.approx(np.sqrt(2 + 2 * OFFSET**2), rel=0.1)


TOLD = """
import numpy as np
from sansface.deidentify.keys import Key, Purpose
from sansface.deidentify.virtual import codes, isometry
key = Key(Purpose.RECOGNITION, bytes(range(32)))
embedding = np.arange(1.0, 17.0)
print(isometry(key, 16, "face", 2)(embedding).tobytes().hex())
print(codes(key, embedding, 20, 3).tobytes().hex())
"""


def test_two_processes_draw_the_same():
    one, two = (
        subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True) for _ in range(2)
    )
    assert one.stdout == two.stdout
    assert len(one.stdout.split()[0]) == 16 * 16, one.stderr


def test_known_numbers_stay_what_they_are():
    """Else a register of today is worth nothing tomorrow."""
    drawn = isometry(Key(Purpose.RECOGNITION, bytes(range(32))), 3, "face", 0)
    known = [-0.9934813050, -0.0519614792, 0.8609976548]
    np.testing.assert_allclose(drawn(np.array([1.0, 2.0, 2.0])), known, atol=1e-9)


def test_it_is_gram_and_schmidts():
    """Of the stream's numbers in rows, columns made orthonormal one after the other; then the offset."""
    secret, d = key(4), 5
    stream = normals(secret.derive("isometry", "face", 7), d * (d + 1))
    turn = np.zeros((d, d))
    for number, column in enumerate(stream[: d * d].reshape(d, d).T):
        rest = column - turn @ (turn.T @ column)
        turn[:, number] = rest / np.linalg.norm(rest)
    drawn = isometry(secret, d, "face", 7)
    np.testing.assert_allclose(drawn.turn, turn, atol=1e-10)
    np.testing.assert_allclose(drawn.offset, OFFSET * unit(stream[d * d :]), atol=1e-12)


@given(st.integers(0, 2**64), st.integers(1, 40))
def test_codes_are_orthonormal_rows_times_the_root_of_d(secret, count):
    """Codes of the unit vectors are the columns of √d W."""
    d = 12
    rows = codes(key(secret), np.eye(d), count, 0).T / np.sqrt(d)
    for start in range(0, count, d):
        block = rows[start : start + d].astype(np.float64)
        np.testing.assert_allclose(block @ block.T, np.eye(len(block)), atol=1e-6)


def test_codes_of_random_faces_are_standard_normal():
    drawn = codes(key(5), random_units(3000, 128), 60, 0).astype(np.float64)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.08)
    np.testing.assert_allclose(drawn.std(axis=0), 1, atol=0.06)
    pvalues = [kstest(column, norm.cdf).pvalue for column in drawn.T]
    assert np.median(pvalues) > 0.1
    assert np.abs(np.corrcoef(drawn.T) - np.eye(60)).max() < 0.1


def test_codes_differ_as_faces_do():
    """Faces of cosine c have codes that are correlated by c; another counter's or key's are not at all."""
    base, other = random_units(2, 256)
    near = 0.8 * base + 0.6 * unit(other - (other @ base) * base)

    def correlation(one: np.ndarray, two: np.ndarray) -> float:
        return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))

    mine = codes(key(1), base, 256, 0)
    assert correlation(mine, codes(key(1), near, 256, 0)) == pytest.approx(0.8, abs=1e-5)
    assert abs(correlation(mine, codes(key(1), base, 256, 1))) < 0.25
    assert abs(correlation(mine, codes(key(2), base, 256, 0))) < 0.25


def test_codes_tell_nothing_of_a_template():
    """The picture shows the codes: they are not the template's own numbers."""
    embeddings = random_units(300, 64)
    drawn = isometry(key(1), 64, "face", "0" * 16, 0)
    shown = codes(key(1), embeddings, 64, 0)
    related = np.corrcoef(shown.T, drawn(embeddings).T)[:64, 64:]
    # 64 numbers of W Qᵀ a row, each about 1/8, and the noise of 300 people: no number is one of the others'.
    assert np.abs(related).max() < 0.75


def test_what_cannot_be_turned_is_one_sentence():
    with pytest.raises(SansfaceError, match="finds nothing in the face"):
        unit(np.zeros((2, 4)))
    with pytest.raises(SansfaceError, match="finds nothing in the face"):
        unit(np.array([np.nan, 1.0]))
    with pytest.raises(SansfaceError, match="is for sealing, and this needs one for recognition"):
        isometry(Key(Purpose.SEALING, bytes(32)), 4, "face")
    with pytest.raises(SansfaceError, match=f"{MOST} at most"):
        isometry(key(1), MOST + 1, "face")


def test_who_knows_pairs_needs_no_key():
    """It is no encryption: d + 1 pairs of embedding and template give Q and o away."""
    d = 24
    known, asked = random_units(d + 1, d), random_units(5, d, seed=1)
    drawn = isometry(key(9), d, "face")
    virtual = drawn(known)
    u, _, vt = np.linalg.svd((virtual - virtual.mean(axis=0)).T @ (known - known.mean(axis=0)))
    turn = u @ vt
    offset = virtual.mean(axis=0) - turn @ known.mean(axis=0)
    np.testing.assert_allclose((drawn(asked) - offset) @ turn, asked, atol=1e-6)
