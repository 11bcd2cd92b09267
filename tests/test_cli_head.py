"""The head of one photograph: files, frame, uncertainty; and pose and expression held by other identities."""

import dataclasses
import json

import numpy as np
import pytest

from painted import alone, astronaut
from sansface import cli
from sansface.deidentify.carry import laid_on
from sansface.deidentify.change import appearance_of, change
from sansface.deidentify.faces import Tools, find
from sansface.deidentify.hold import GAIN, WEIGHTS, Held, change_held, corrected
from sansface.deidentify.ideudemon import another, step_two
from sansface.evaluate.png import write_png
from sansface.faces.detectors import followed
from sansface.heads.fit import fit_head
from sansface.surface.mesh import read_mesh


@pytest.fixture
def tools(shared_assets):
    return Tools()


def test_the_head_of_a_photograph(tools, tmp_path, capsys):
    write_png(tmp_path / "canary.png", astronaut())
    assert cli.main(["head", str(tmp_path / "canary.png"), "-o", str(tmp_path / "head")]) == 0
    mesh, said = read_mesh(tmp_path / "head/mesh.ply"), json.loads((tmp_path / "head/head.json").read_text())
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    assert 130 < (high - low)[0] < 500  # millimetres, shoulders and all
    assert len(said["identity"]) == len(said["identity spread"]) == 100
    assert 0 < said["surface spread"] < 10
    assert said["landmarks"]["mean"] < 0.03
    page = (tmp_path / "head/report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert not any(b"canary" in file.read_bytes() for file in (tmp_path / "head").rglob("*.*"))
    assert cli.main(["head", str(tmp_path / "canary.png"), "-o", str(tmp_path / "head")]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_no_face_no_head(tools, tmp_path, capsys):
    write_png(tmp_path / "grey.png", np.full((200, 200, 3), 90, np.uint8))
    assert cli.main(["head", str(tmp_path / "grey.png"), "-o", str(tmp_path / "head")]) == 1
    assert "no face" in capsys.readouterr().err
    assert not (tmp_path / "head").exists()


def test_what_is_held_is_the_head_laid_on_it_unless_corrected(tools):
    head = find(astronaut(), tools).heads[0]
    identity = np.random.default_rng(0).normal(size=100)
    plain = laid_on(head.vertices(tools.model, identity), head.vertices(tools.model))
    held = Held(head.expression, np.eye(3)).vertices(tools.model, head, identity)
    np.testing.assert_allclose(held, plain, atol=1e-3)


@pytest.mark.slow
def test_pose_and_expression_are_held(tools):
    photograph = astronaut()
    faces = find(photograph, tools)
    head, off, less = faces.heads[0], {"plain": [], "held": []}, {"plain": [], "held": []}
    light = appearance_of(tools.model, head, photograph, faces.hidden, np.random.default_rng(0))
    for seed in range(4):
        face = another(head.identity, light.albedo, 1.0, np.random.default_rng(seed))
        common = (head, photograph, alone(faces.hidden), light, face, step_two(1.0))
        for name, (picture, _) in (
            ("plain", change(tools.model, *common)),
            ("held", change_held(tools, *common)),
        ):
            found = followed(picture, head.landmarks, tools.detectors)
            seen = fit_head(tools.model, found.landmarks, picture.shape[1::-1])
            off[name].append(np.degrees(np.arccos((np.trace(seen.rotation @ head.rotation.T) - 1) / 2)))
            less[name].append(np.linalg.norm(seen.expression - head.expression))
    assert np.mean(off["held"]) < 0.8 * np.mean(off["plain"])
    assert np.mean(less["held"]) < 0.8 * np.mean(less["plain"])


def test_what_is_seen_too_much_is_taken_away(tools):
    head = find(astronaut(), tools).heads[0]
    held = Held(head.expression, np.eye(3))
    same = corrected(head, held, head)
    np.testing.assert_allclose(same.expression, head.expression.clip(*WEIGHTS))
    np.testing.assert_allclose(same.turn, np.eye(3), atol=1e-6)
    smiling = dataclasses.replace(head, expression=head.expression + 0.1)
    np.testing.assert_allclose(
        corrected(head, held, smiling).expression, (head.expression - 0.1 * GAIN).clip(*WEIGHTS)
    )
