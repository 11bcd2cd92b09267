"""The student learns what it is taught, the same for a seed, and goes on exactly where it was cut off."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from onnx_files import pupil
from sansface.audit.attackers.distillation import DistillationSettings, Student, distil
from sansface.audit.attackers.teachable import Teachable
from sansface.audit.sigma import sigma
from sansface.errors import SansfaceError
from sansface.protect.operators import operator
from sansface.recognise.align import Placing
from sansface.recognise.onnx import OnnxRecogniser

STILL = {"turn": 0.0, "size": 0.0, "shift": 0.0, "bend": 0.0, "tone": 0.0}
SETTINGS = DistillationSettings(steps=60, batch=8, rate=5e-3, keep_every=20, **STILL)
PLACED = Placing(64, 11.0)
SOBEL = operator("sobel")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> OnnxRecogniser:
    return pupil(tmp_path_factory.mktemp("weights"))


def faces(n: int) -> torch.Tensor:
    """(n, 3, 64, 64) float32 in [0, 1]: what differs lies where a recogniser looks."""
    rng = np.random.default_rng(0)
    values = np.stack([gaussian_filter(rng.normal(size=(3, 64, 64)), (0, 3, 3)) for _ in range(n)])
    return torch.from_numpy(np.clip(0.5 + 0.2 * values / values.std(), 0, 1).astype(np.float32))


def protect(pictures: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    return sigma(pictures, SOBEL)


def taught(teacher: OnnxRecogniser, settings=SETTINGS, clear=None, seed: int = 0, **more) -> Student:
    clear = faces(10) if clear is None else clear
    generator = torch.Generator().manual_seed(seed)
    return distil(clear, PLACED.side, PLACED.eyes, Teachable(teacher), protect, settings, generator, **more)


def test_a_student_learns_to_say_of_sigma_what_the_recogniser_says_of_the_face(teacher) -> None:
    clear = faces(10)
    seen = Placing().again(clear.permute(0, 2, 3, 1).numpy(), PLACED)
    protected, agreement = protect(clear).numpy(), []
    for settings in (SETTINGS, replace(SETTINGS, steps=1, rate=1e-9)):
        student = taught(teacher, settings, clear)
        said = student.embed(protected)
        assert list(said) == ["embedding", "sum 14", "sum 7"]
        np.testing.assert_allclose(np.linalg.norm(said["embedding"], axis=1), 1, rtol=1e-5)
        expected = student.about(teacher.embed(seen))
        agreement.append((said["embedding"] * expected).sum(axis=1).mean())
        rivals = (said["embedding"] @ expected.T).argmax(axis=1)
    assert agreement[0] > 0.7
    assert agreement[1] < 0.3
    assert (rivals == np.arange(10)).mean() < 0.5  # of the one who learnt nothing
    shuffled = (said["embedding"] * expected[::-1]).sum(axis=1).mean()
    assert shuffled < 0.3


def test_one_seed_one_student_and_one_cut_off_goes_on_as_if_it_had_not_been(teacher, tmp_path) -> None:
    settings = replace(DistillationSettings(), steps=8, batch=4, keep_every=3)
    kept = tmp_path / "s.safetensors"
    whole = taught(teacher, settings)

    def stop(done: float, loss: float) -> None:
        if done > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(teacher, settings, kept=kept, on_progress=stop)
    told: list[float] = []
    resumed = taught(teacher, settings, kept=kept, on_progress=lambda done, loss: told.append(done))
    assert len(told) == 2
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    other = taught(teacher, settings, seed=1).state_dict()
    assert not all(torch.equal(value, other[name]) for name, value in whole.state_dict().items())
    with pytest.raises(SansfaceError, match="another training"):
        taught(teacher, replace(settings, layers=2.0), kept=kept)
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(SansfaceError, match="is damaged; remove it"):
        taught(teacher, settings, kept=kept)


def test_a_student_reads_finer_pictures_than_it_is_shown(teacher) -> None:
    """Faces are changed at twice the pixels; what the teacher sees of them is as large."""
    fine = torch.nn.functional.interpolate(faces(6), scale_factor=2.0)
    student = taught(teacher, replace(SETTINGS, steps=2), fine)
    coarse = taught(teacher, replace(SETTINGS, steps=2), faces(6))
    torch.testing.assert_close(student.centre, coarse.centre, atol=0.05, rtol=0.1)


def test_settings_that_cannot_be() -> None:
    for wrong in ({"batch": 1}, {"layers": -1.0}, {"blend": -0.1}):
        with pytest.raises(SansfaceError):
            DistillationSettings(**wrong)
