"""Checkpoints: everything comes back exactly, and whatever is wrong is said in a sentence."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from sansface.errors import SansfaceError
from sansface.fields.field import Field
from sansface.fields.lipschitz import bind_all
from sansface.fields.registry import make_field
from sansface.reconstruct import checkpoint
from sansface.reconstruct.stages import make_optimiser
from small import GRID, MLP, small_config

RUN = {"stage": 2, "step": 17, "seconds": 1.5, "seed": 3, "data": "ab", "config": "cd"}


def trained(name: str, steps: int = 3, seed: int = 0) -> tuple[Field, torch.optim.Adam]:
    """A field after some steps towards something."""
    config = small_config(field=name)
    field = make_field(name, config.field_settings, torch.Generator().manual_seed(seed))
    bind_all(field.radiance)
    optimiser = make_optimiser(field, config)
    for step in range(steps):
        advance(field, optimiser, step)
    return field, optimiser


def advance(field: Field, optimiser: torch.optim.Adam, step: int) -> None:
    points = torch.rand((50, 3), generator=torch.Generator().manual_seed(step)) - 0.5
    distance, gradient, features = field.now().query(points)
    colour = field.radiance(points, gradient, points, features)
    optimiser.zero_grad()
    (distance.square().mean() + (colour - 0.3).square().mean()).backward()
    optimiser.step()


@pytest.mark.parametrize("name", ["grid", "mlp"])
def test_what_is_restored_goes_on_exactly(tmp_path, name):
    path = tmp_path / checkpoint.NAME
    field, optimiser = trained(name)
    checkpoint.save(path, field, optimiser, RUN)
    kept = checkpoint.load(path)
    assert kept.run == RUN
    other, its = trained(name, steps=1, seed=9)
    kept.restore(other, its)
    for step in (3, 4):
        advance(field, optimiser, step)
        advance(other, its, step)
    expected = field.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in other.state_dict().items())
    assert list(tmp_path.iterdir()) == [path]


def test_a_stage_that_has_not_begun_has_no_moments(tmp_path):
    field, optimiser = trained("grid", steps=0)
    checkpoint.save(tmp_path / checkpoint.NAME, field, optimiser, RUN)
    other, its = trained("grid", steps=0, seed=9)
    checkpoint.load(tmp_path / checkpoint.NAME).restore(other, its)
    assert not its.state
    assert torch.equal(other.features, field.features)


def test_restored_values_do_not_hang_on_the_file(tmp_path):
    """It is replaced while the run goes on."""
    path = tmp_path / checkpoint.NAME
    field, optimiser = trained("grid")
    checkpoint.save(path, field, optimiser, RUN)
    kept = checkpoint.load(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    other, its = trained("grid", steps=1, seed=9)
    kept.restore(other, its)
    assert torch.equal(other.features, field.features)
    assert torch.equal(its.state[other.features]["exp_avg"], optimiser.state[field.features]["exp_avg"])


def header(values: dict) -> bytes:
    text = json.dumps(values).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"\xff" * len(data),
        lambda data: b"not tensors at all",
        lambda data: header({}),
        lambda data: header({"__metadata__": {"run": "{"}}),
        lambda data: header({"__metadata__": {"other": "{}"}}),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, damage):
    path = tmp_path / checkpoint.NAME
    checkpoint.save(path, *trained("grid", steps=1), RUN)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SansfaceError, match="is damaged; start anew with --overwrite") as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)


def test_no_checkpoint(tmp_path):
    with pytest.raises(SansfaceError, match=r"no checkpoint\.safetensors in .* to resume from"):
        checkpoint.load(tmp_path / checkpoint.NAME)


@pytest.mark.parametrize(("name", "settings"), [("mlp", MLP), ("grid", GRID | {"feature_nodes": 9})])
def test_a_checkpoint_of_another_field_is_refused(tmp_path, name, settings):
    checkpoint.save(tmp_path / checkpoint.NAME, *trained("grid"), RUN)
    config = small_config(field=name, field_settings=settings)
    other = make_field(name, settings, torch.Generator())
    with pytest.raises(SansfaceError, match="belongs to another field"):
        checkpoint.load(tmp_path / checkpoint.NAME).restore(other, make_optimiser(other, config))


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("I/O error: No space left on device (os error 28)"),
        OSError(28, "No space left on device"),
    ],
)
def test_a_full_disk_is_said_and_the_older_checkpoint_stays(tmp_path, monkeypatch, error):
    path = tmp_path / checkpoint.NAME
    checkpoint.save(path, *trained("grid", steps=1), RUN)
    before = path.read_bytes()

    def fails(tensors, filename, metadata):
        Path(filename).write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint, "save_file", fails)
    with pytest.raises(SansfaceError, match="the disk is full"):
        checkpoint.save(path, *trained("grid", steps=2), RUN)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
