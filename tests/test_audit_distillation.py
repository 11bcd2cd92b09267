"""The student learns what it is taught, the same for a seed, and goes on exactly where it was cut off."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from blobs import SIDE, blobs
from sansface.audit.attackers.distillation import DistillationSettings, Student, covered, distil, embed
from sansface.audit.sigma import sigma
from sansface.errors import SansfaceError
from sansface.protect.operators import operator

STILL = {"turn": 0.0, "size": 0.0, "shift": 0.0, "bend": 0.0, "tone": 0.0}
SETTINGS = DistillationSettings(steps=60, batch=16, width=8, keep_every=20, cover=0.1, **STILL)
SOBEL = operator("sobel")


def protect(pictures: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    return sigma(pictures, SOBEL)


def taught(embeddings: torch.Tensor, settings=SETTINGS, clear=None, seed: int = 0, **more) -> Student:
    clear = blobs(len(embeddings)) if clear is None else clear
    generator = torch.Generator().manual_seed(seed)
    return distil(clear, embeddings, SIDE, protect, settings, generator, **more)


def embeddings(n: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, 8, generator=torch.Generator().manual_seed(2)), dim=1)


def test_a_student_learns() -> None:
    """Of σ with noise, which it was not shown, it says what the teacher says; one taught noise does not."""
    clear, says = blobs(12), embeddings(12)
    disturbed = protect(clear + 0.03 * torch.randn(clear.shape, generator=torch.Generator().manual_seed(4)))
    agreement = []
    for goal in (says, says[torch.randperm(12, generator=torch.Generator().manual_seed(5))]):
        said, features = embed(taught(goal, clear=clear), disturbed)
        assert said.shape == (12, 8)
        assert features.shape[0] == 12
        agreement.append(float((said * says).sum(dim=1).mean()))
    assert agreement[0] > 0.5
    assert abs(agreement[1]) < 0.3


def test_one_seed_one_student_and_one_cut_off_goes_on_as_if_it_had_not_been(tmp_path) -> None:
    settings, says, kept = replace(SETTINGS, steps=8, keep_every=3), embeddings(6), tmp_path / "s.safetensors"
    whole = taught(says, settings)

    def stop(done: float, loss: float) -> None:
        if done > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(says, settings, kept=kept, on_progress=stop)
    told: list[float] = []
    resumed = taught(says, settings, kept=kept, on_progress=lambda done, loss: told.append(done))
    assert len(told) == 2
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert not torch.equal(taught(says, settings, seed=1).head.weight, whole.head.weight)
    with pytest.raises(SansfaceError, match="another training"):
        taught(says, replace(settings, width=4), kept=kept)
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(SansfaceError, match="is damaged; remove it"):
        taught(says, settings, kept=kept)


def test_what_is_covered_is_a_rectangle_of_no_more_than_that() -> None:
    pictures = torch.ones(200, 20, 30)
    hidden = covered(pictures, 0.3, torch.Generator().manual_seed(1)) == 0
    rows, columns = hidden.any(dim=2), hidden.any(dim=1)
    assert torch.equal(hidden, rows[:, :, None] & columns[:, None])
    assert 4 <= rows.sum(dim=1).max() <= 7
    assert 6 <= columns.sum(dim=1).max() <= 10
    assert torch.equal(covered(pictures, 0.0, torch.Generator()), pictures)


@pytest.mark.parametrize("side", [64, 24, 33])
def test_a_student_takes_pictures_of_any_size_and_their_mirror_images(side: int) -> None:
    student = Student(5, side, 4, torch.Generator().manual_seed(0)).eval()
    pictures = torch.rand(3, side, side, generator=torch.Generator().manual_seed(1))
    said, features = embed(student, pictures)
    torch.testing.assert_close(said.norm(dim=1), torch.ones(3))
    mirrored = embed(student, pictures.flip(2))
    torch.testing.assert_close(mirrored[0], said)
    torch.testing.assert_close(mirrored[1], features)
