"""The second lock: forged channels are refused, honest bundles of every kind pass."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgeries import FITTED, NEW, protected
from sansface.capture import Role
from sansface.demo import demo_cameras, photograph
from sansface.formats import read_capture
from sansface.heads.procedural import Head, Identity
from sansface.heads.trace import Tracer
from sansface.protect.bundle import bundle_bytes, decode
from sansface.protect.contents import Bundle, BundleError, Share
from sansface.protect.operators import OPERATORS, operator
from sansface.protect.photograph import read_codes
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.protect.presets import PRESETS
from sansface.serve.second_lock import check, enough, features, looked_at, stands_out, windows
from sittings import captured, people

SEED = 101
"""Of a demo head that no weight was fitted to."""


@pytest.fixture(scope="module")
def photographs() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(SEED)
    tracer = Tracer(Head(Identity.random(rng)))
    cameras = [camera for camera, role in demo_cameras(9, 128, rng) if role is Role.SENSITIVE]
    return [photograph(tracer, camera) for camera in cameras]


def made(photographs, forged=(), kind="grey", **settings) -> Bundle:
    rng = np.random.default_rng(0)
    forgeries = dict.fromkeys(forged, (FITTED | NEW)[kind])
    bundle = protected(photographs, ProtectSettings(**settings), rng, forgeries)
    assert bundle is not None
    return decode(bundle_bytes(bundle))  # the verifier accepts it


def forged_alone(photographs, kind="grey", **settings) -> None:
    with pytest.raises(BundleError, match=r"^1 of its 6 sensitive pictures cannot be told from photographs"):
        check(made(photographs, [2], kind, **settings))


@pytest.mark.parametrize("operator", OPERATORS)
def test_honest_pictures_pass_and_one_forged_among_them_does_not(photographs, operator):
    check(made(photographs, operator=operator))
    forged_alone(photographs, operator=operator)


@pytest.mark.parametrize("kind", [*FITTED, *NEW])
def test_every_kind_of_forgery_is_refused(photographs, kind):
    forged_alone(photographs, kind)
    with pytest.raises(BundleError, match="make the bundle again"):
        check(made(photographs, range(6), kind))


@pytest.mark.parametrize(
    "settings",
    [{"bits": bits} for bits in range(1, 17)]
    + [{"resolution": size} for size in (16, 24, 32, 96, 128)]
    + [{"noise": noise} for noise in (0.003, 0.03, 0.1, 1.0)]
    + [{"gain": 0.1}, {"gain": 0.1, "noise": 0.01, "bits": 2}]
    + [{"blur": blur} for blur in (0.25, 1.0, 2.0)]
    + [{"blur": 8.0, "resolution": 128}, {"operator": "log", "blur": 2.0}]
    + [{"share": share} for share in PRESETS.values()],
    ids=str,
)
def test_whatever_protect_offers_passes(photographs, settings):
    check(made(photographs, **settings))


@given(
    st.sampled_from([*OPERATORS]), st.integers(1, 16), st.sampled_from([16, 33, 64, 127]), st.integers(0, 99)
)
def test_noise_without_a_picture_says_nothing(operator, bits, size, seed):
    rng = np.random.default_rng(seed)
    flat = np.full((size, size, 3), rng.integers(256), dtype=np.uint8)
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[1:-1, 1:-1] = 255
    settings = ProtectSettings(resolution=size, operator=operator, bits=bits, noise=0.1)
    bundle = protected([(flat, mask)] * 3, settings, rng)
    assert bundle is None or check(bundle) is None


def test_where_nothing_can_be_told_a_forgery_passes(photographs):
    """The documented limits: one bit, noise as strong as the picture."""
    check(made(photographs, range(6), bits=1))
    check(made(photographs, range(6), noise=1.0))


def test_small_pictures_are_told_together(photographs):
    """At 20 pixels none alone has enough neighbourhoods, but all together have."""
    small = made(photographs * 3, range(18), resolution=20)
    assert [enough(one) for one in looked_at(small)] == [[]] * 18
    with pytest.raises(BundleError, match=r"^its sensitive pictures cannot be told"):
        check(small)


def test_exposure_changes_nothing(photographs):
    bundle = made(photographs, bits=16)
    frame = bundle.frames[0]
    dim = replace(frame, image=np.where(frame.image, 1 + (frame.image - 1) // 2, 0).astype(np.uint16))
    bright, dark = (features(windows(one, (1, 2))) for one in (frame, dim))
    np.testing.assert_allclose(bright, dark, atol=2e-3)


def test_the_copy_of_the_steps_is_true(tiny_capture: Path):
    """What is measured on is what `protect` makes."""
    capture = read_capture(tiny_capture)
    chosen = [frame for frame in capture.frames if frame.role is Role.SENSITIVE]
    ours = protected([read_codes(frame) for frame in chosen], ProtectSettings(), np.random.default_rng(0))
    theirs = protect(capture)
    check(theirs)
    assert ours is not None
    assert ours.scale == theirs.scale
    sensitive = [frame for frame in theirs.frames if frame.role is Role.SENSITIVE]
    for one, other in zip(ours.frames, sensitive, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)


def test_a_scanned_head_passes_and_its_photographs_do_not(shared_captures: Path):
    capture = read_capture(shared_captures / "lps")
    for name in OPERATORS:
        check(protect(capture, ProtectSettings(operator=name)))
    with pytest.raises(BundleError, match=r"^1 of its 20"):
        check(made(captured(shared_captures / "lps"), [7], "stretched"))


def test_photographs_of_people_are_refused_and_their_gradients_pass(shared_assets: Path):
    photographs = [
        one
        for them in people(shared_assets / "photos" / "lfw" / "img", slice(1, 25, 2), slice(0, 1))
        for one in them
    ]
    assert len(photographs) > 8
    check(made(photographs))
    for kind in ("grey", "inverted", "blurred", "stretched"):
        with pytest.raises(BundleError, match=rf"^1 of its {len(photographs)}"):
            check(made(photographs, [0], kind))


def test_what_is_nearly_a_photograph_counts_as_one_only_beside_others_that_are_not():
    sobel, blurred = operator("sobel"), operator("sobel", 1.0)
    nearly, far, waves = (-2.0, 1.0), (-8.0, 1.0), (-2.0, -1.0)

    def found(*told: tuple[float, float], of=sobel) -> list[bool]:
        return stands_out(np.array(told), of).tolist()

    assert found(far, nearly, far) == [False, True, False]
    assert found(nearly, nearly, nearly) == [False] * 3
    assert found(far, waves, far) == [False] * 3
    assert found(far, (-4.0, 1.0), far) == [False] * 3
    assert found(far, nearly) == [False] * 2
    assert found(far, nearly, far, of=blurred) == [False] * 3
    assert found() == []


def test_strict_and_paranoid_have_nothing_to_look_at(photographs):
    for share in (Share.OUTLINE, Share.CAMERA):
        assert list(looked_at(made(photographs, share=share))) == []


@pytest.mark.slow
def test_rates(shared_assets: Path, shared_captures: Path):
    """Row i in short: the long form is `python benchmarks/second_lock.py`."""
    from second_lock import measure, sittings

    tables = measure(sittings(True, shared_assets, shared_captures, short=True), 50, seed=1).tables
    (wrong, honest), (found, forged) = (
        tables[title]["all"] for title in ("honest", "of the issue: one forged among honest")
    )
    assert honest > 40
    assert wrong <= 1
    assert forged > 40
    assert found >= forged - 2
