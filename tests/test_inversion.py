"""The attackers that draw faces back: they learn what can be learnt, and nothing where there is nothing."""

import numpy as np
import pytest
import torch

from blobs import SIDE, blobs, shown
from sansface.audit.attackers.inversion import InversionSettings, invert, train
from sansface.audit.attackers.training import Example, TrainingSettings, augmented, learn
from sansface.audit.likeness import likeness
from sansface.audit.sigma import coded, protecting, sigma
from sansface.errors import SansfaceError
from sansface.protect.contents import SCALE_STEPS, levels
from sansface.protect.operators import OPERATORS, operator
from sansface.protect.pipeline import ProtectSettings
from sansface.protect.reduce import sensitive_codes

SOBEL = operator("sobel")
STILL = {"turn": 0.0, "size": 0.0, "shift": 0.0, "bend": 0.0, "tone": 0.0}
SMALL = InversionSettings(channels=8, levels=3, fold=4, steps=200, batch=4, rate=5e-3, **STILL)


def protect(pictures: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    return sigma(pictures, SOBEL)


def psnr_over_mean(network, clear: torch.Tensor) -> np.ndarray:
    drawn = invert(network, protect(clear).numpy())
    return (
        likeness(drawn, shown(clear)).psnr
        - likeness(shown(clear.mean(dim=0, keepdim=True))[0], shown(clear)).psnr
    )


@pytest.mark.parametrize("name", OPERATORS)
def test_sigma_of_many_is_that_of_each(name):
    pictures, of_it = blobs(3), operator(name)
    expected = np.stack([of_it(picture) for picture in shown(pictures)])
    np.testing.assert_allclose(sigma(pictures, of_it, 0.0).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("bits", [8, 4, 1])
def test_coded_values_are_what_a_bundle_says(bits):
    values = protect(blobs(2))
    for ours, one in zip(coded(values, bits).numpy(), values.numpy(), strict=True):
        scale = np.ceil(one.max() * SCALE_STEPS) / SCALE_STEPS
        codes = sensitive_codes(one, np.ones_like(one, bool), scale, bits)
        np.testing.assert_allclose(ours, (codes - 1.0) / (levels(bits) - 1) * scale, atol=1e-6)


def test_the_network_learns_four_pictures_by_heart():
    clear = blobs(4)
    network = train(clear, SIDE, protect, SMALL, torch.Generator().manual_seed(0))
    assert psnr_over_mean(network, clear).min() > 6


def test_it_learns_nothing_where_there_is_nothing_to_learn():
    """Each picture beside the σ of any other: the best answer is always the same, no better than the mean."""
    clear, mix = blobs(4), torch.Generator().manual_seed(1)

    def of_another(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return protect(pictures[torch.randperm(len(pictures), generator=mix)])

    network = train(clear, SIDE, of_another, SMALL, torch.Generator().manual_seed(0))
    assert psnr_over_mean(network, clear).mean() < 0.5


@pytest.mark.parametrize("strengths", [{}, {"noise": 0.1, "gain": 0.5}])
def test_a_training_that_was_cut_off_goes_on_as_if_it_had_not_been(tmp_path, strengths):
    protect = protecting(ProtectSettings(SIDE, **strengths))
    settings = InversionSettings(channels=8, levels=2, steps=6, batch=2, keep_every=2)
    kept, clear = tmp_path / "inversion.safetensors", blobs(4)
    whole = train(clear, SIDE, protect, settings, torch.Generator().manual_seed(3))

    def stop(done: float, loss: float) -> None:
        if done > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(clear, SIDE, protect, settings, torch.Generator().manual_seed(3), kept=kept, on_progress=stop)
    told: list[float] = []
    resumed = train(
        clear,
        SIDE,
        protect,
        settings,
        torch.Generator().manual_seed(3),
        kept=kept,
        on_progress=lambda done, loss: told.append(done),
    )
    assert len(told) == 2
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_file_of_another_training_is_refused(tmp_path):
    settings = InversionSettings(channels=8, levels=2, steps=1, batch=2)
    kept = tmp_path / "inversion.safetensors"
    train(blobs(4), SIDE, protect, settings, torch.Generator().manual_seed(3), kept=kept)
    with pytest.raises(SansfaceError, match="another training"):
        train(blobs(5), SIDE, protect, settings, torch.Generator().manual_seed(3), kept=kept)
    with pytest.raises(SansfaceError, match="another training"):
        train(
            blobs(4),
            SIDE,
            protect,
            settings,
            torch.Generator().manual_seed(3),
            kept=kept,
            known_by={"name": "scharr"},
        )


def test_faces_of_the_wrong_size_are_refused():
    with pytest.raises(SansfaceError, match="no multiple of 24"):
        train(blobs(2), 24, protect, SMALL, torch.Generator())


def test_unchanged_pictures_are_only_mirrored():
    still = InversionSettings(**STILL)
    result = augmented(blobs(8), SIDE, still, torch.Generator().manual_seed(0))
    as_it_is = (result - blobs(8)).abs().amax(dim=(1, 2, 3)) < 1e-3
    mirrored = (result - blobs(8).flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert (as_it_is | mirrored).all()
    assert as_it_is.any()
    assert mirrored.any()


def test_what_is_shown_in_a_step_belongs_together():
    """Reduced pictures are the means of the fine ones, and blends of two at the share asked for."""
    fine = blobs(8).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    seen: list[Example] = []
    for blend in (0.0, 1.0):
        settings = TrainingSettings(steps=1, batch=6, blend=blend, **STILL)
        network = torch.nn.Linear(1, 1)

        def loss_of(example: Example, network=network) -> torch.Tensor:
            seen.append(example)
            return network.weight.sum()

        learn(network, fine, SIDE, protect, settings, loss_of, seed=0)
    for example in seen:
        torch.testing.assert_close(example.clear, torch.nn.functional.avg_pool2d(example.fine, 2))
        assert torch.equal(example.protected, protect(example.clear, torch.Generator()))
    either = [blobs(8), blobs(8).flip(3)]
    nearest = [
        min(float((picture - one).abs().max()) for all_ in either for one in all_)
        for example in seen
        for picture in example.clear
    ]
    assert max(nearest[:6]) < 1e-3
    assert np.median(nearest[6:]) > 0.02


def test_changed_pictures_are_others_but_not_quite():
    result = augmented(blobs(8), SIDE, InversionSettings(), torch.Generator().manual_seed(0))
    assert result.min() >= 0
    assert result.max() <= 1
    either = torch.minimum((result - blobs(8)).abs(), (result - blobs(8).flip(3)).abs()).mean(dim=(1, 2, 3))
    assert either.min() > 0.005
    assert either.max() < 0.2
