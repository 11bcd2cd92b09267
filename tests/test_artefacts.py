"""What attackers make of artefacts: pictures by sides, linked bundles, shapes, renderings; all rows."""

import csv
import json
import shutil
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import trimesh

from conftest import BALL_CENTER, ball_picture, looking_at
from sansface.audit.artefacts import renderings
from sansface.audit.artefacts.cloud import Cloud, seen
from sansface.audit.artefacts.coefficients import fit
from sansface.audit.artefacts.linkage import likeness, linked
from sansface.audit.artefacts.material import CONFIG, Material
from sansface.audit.artefacts.residual import by_residual, residual
from sansface.audit.artefacts.rows import KINDS, Found
from sansface.audit.artefacts.sitting import SECTORS, directions, read_sitting
from sansface.audit.artefacts.skin import HAIR, SKIN, generic_skin, worn
from sansface.audit.artefacts.views import Views, alike, named, of_silhouettes, together
from sansface.audit.people import CLEAR
from sansface.audit.scores import chance_interval
from sansface.bench.artefacts import artefact_rows
from sansface.capture import Capture, Frame, Role
from sansface.cli import main
from sansface.cli.bench import ArtefactName
from sansface.errors import SansfaceError
from sansface.evaluate.align import move
from sansface.evaluate.raycast import Caster
from sansface.formats.transforms_json import write_transforms_json
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.protect.pipeline import ProtectSettings
from sansface.reconstruct.config import Config, changed, preset
from sansface.surface import Mesh, write_mesh
from small import small_config

PEOPLE, SIDES, EACH, NUMBERS = 12, 3, 3, 40
FACE = BALL_CENTER + np.array(
    [[-0.6, 0.6, 1.8], [0.6, 0.6, 1.8], [0, 0, 2], [-0.5, -0.6, 1.8], [0.5, -0.6, 1.8]]
)
"""Landmarks of the face of a ball that looks along +z."""


def crowd(own: float, moment: int) -> Views:
    """Descriptors that are to a share `own` the person's, from each side others, else of the moment alone."""
    person = np.random.default_rng(1).normal(size=(SIDES, PEOPLE, NUMBERS))
    rng = np.random.default_rng([2, moment])
    labels = np.tile(np.repeat(np.arange(PEOPLE), EACH), SIDES)
    groups = np.repeat(np.arange(SIDES), PEOPLE * EACH)
    values = own * person[groups, labels] + (1 - own) * rng.normal(size=(len(labels), NUMBERS))
    return Views(labels, groups, {"one": values.astype(np.float32), "two": np.abs(values).astype(np.float32)})


def rank1(scores: np.ndarray, labels: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == labels).mean())


def sphere(radius: float, center=(0.0, 0.0, 0.0), subdivisions: int = 4) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions, radius=radius)
    return Mesh(np.asarray(ball.vertices) + center, np.asarray(ball.faces))


def cloud(mesh: Mesh) -> Cloud:
    return Cloud(mesh.vertices, mesh.vertex_normals)


class TestViews:
    def test_people_who_differ_are_named_by_pictures_from_one_side(self):
        gallery, probes = crowd(0.6, 0), crowd(0.6, 1)
        scores = named(gallery, probes, np.random.default_rng(0))
        assert rank1(scores, probes.labels) > 0.9
        assert rank1(together(scores, probes.labels), np.arange(PEOPLE)) == 1.0
        assert rank1(alike(gallery, probes, "one"), probes.labels) > 0.9

    def test_a_gallery_of_shuffled_labels_gives_chance(self):
        gallery, probes = crowd(0.6, 0), crowd(0.6, 1)
        rng = np.random.default_rng(0)
        labels = gallery.labels.copy()
        for group in range(SIDES):
            labels[gallery.groups == group] = rng.permutation(labels[gallery.groups == group])
        drawn = Views(labels, gallery.groups, gallery.described)
        low, high = chance_interval(len(probes.labels), PEOPLE, rng)
        assert low <= rank1(named(drawn, probes, rng), probes.labels) <= high

    def test_pictures_from_another_side_are_not_compared(self):
        gallery, probes = crowd(0.6, 0), crowd(0.6, 1)
        other = Views(probes.labels, (probes.groups + 1) % SIDES, probes.described)
        low, high = chance_interval(len(probes.labels), PEOPLE, np.random.default_rng(0))
        assert low <= rank1(alike(gallery, other, "one"), other.labels) <= high

    def test_an_outline_is_the_signed_distance_from_it(self):
        y, x = np.mgrid[:64, :64]
        disc = (np.hypot(x - 32, y - 32) < 20).astype(np.float32)
        found = of_silhouettes(disc[None])["outline"].reshape(64, 64)
        assert found[32, 32] == 1
        assert found[0, 0] == -1
        assert found[32, 32 + 17] == pytest.approx(3 / 8, abs=0.1)


class TestLinkage:
    def test_bundles_of_one_person_are_linked(self):
        found = linked(crowd(0.7, 0), crowd(0.7, 1), (0.1,), np.random.default_rng(0))
        assert found.error.value < 0.05
        assert found.matched[0].value > 0.9
        assert found.false[0] < 0.3

    def test_bundles_that_say_nothing_of_the_person_are_not(self):
        found = linked(crowd(0.0, 0), crowd(0.0, 1), (0.1,), np.random.default_rng(0))
        assert 0.25 < found.error.value < 0.75
        assert found.error.low < 0.5 < found.error.high

    def test_more_in_common_is_more_alike(self):
        little, much = (likeness(crowd(own, 0), crowd(own, 1)) for own in (0.2, 0.7))
        assert np.diag(much).mean() > np.diag(little).mean() > 0

    def test_all_of_few_people_are_not_everybody(self):
        found = linked(crowd(1.0, 0), crowd(1.0, 1), (0.1,), np.random.default_rng(0))
        (matched,) = found.matched
        assert (found.error.value, found.error.low, matched.value, matched.high) == (0, 0, 1, 1)
        assert (1 - found.error.high) ** PEOPLE == pytest.approx(0.025)
        assert matched.low == pytest.approx(1 - found.error.high)
        assert matched.tries == PEOPLE

    def test_too_few_people_are_refused(self):
        few = crowd(0.5, 0).only(crowd(0.5, 0).labels < 3)
        with pytest.raises(SansfaceError, match="four"):
            linked(few, few, (0.1,), np.random.default_rng(0))


class TestShapes:
    def test_a_moved_copy_has_no_residual(self):
        egg = sphere(90.0)
        egg = Mesh(egg.vertices * (0.8, 1.2, 1.0), egg.faces)
        motion = np.eye(4)
        motion[:3, :3] = cv2.Rodrigues(np.array([0.1, -0.05, 0.08]))[0]
        motion[:3, 3] = 3, -20, 7
        moved = Mesh(move(egg.vertices, motion), egg.faces)
        assert residual(cloud(moved).drawn(500, np.random.default_rng(0)), cloud(egg)) < 0.3

    def test_spheres_differ_by_their_radii(self):
        found = residual(cloud(sphere(84.0)).drawn(500, np.random.default_rng(0)), cloud(sphere(90.0)))
        assert found == pytest.approx(6.0, abs=0.2)

    def test_every_shape_is_most_like_its_own_copy(self):
        shapes = [Mesh(sphere(90.0).vertices * (1, 1 + 0.05 * k, 1), sphere(90.0).faces) for k in range(4)]
        clouds = [cloud(one) for one in shapes]
        scores = by_residual(clouds, clouds, np.random.default_rng(0))
        assert (scores.argmax(axis=1) == np.arange(4)).all()

    def test_cameras_see_the_skin_and_nothing_within(self):
        outer, inner = sphere(2.0, BALL_CENTER), sphere(1.0, BALL_CENTER)
        both = Mesh(
            np.concatenate([outer.vertices, inner.vertices]),
            np.concatenate([outer.faces, inner.faces + len(outer.vertices)]),
        )
        found = seen(both, [looking_at(BALL_CENTER + np.array([0, 0, 8.0]), BALL_CENTER)], BALL_CENTER[1])
        away = np.linalg.norm(found.points - BALL_CENTER, axis=1)
        assert len(away) > 500
        assert np.allclose(away, 2.0, atol=0.02)
        assert found.points[:, 1].min() > BALL_CENTER[1]


@pytest.fixture(scope="module")
def tiny_model() -> HeadModel:
    """A ball of 90 mm whose identity is its width, height, depth and two bulges."""
    ball = sphere(90.0)
    unit = ball.vertices / 90
    bulges = [unit * np.exp(-4 * ((unit - place) ** 2).sum(axis=1))[:, None] for place in np.eye(3)[1:]]
    identity = np.stack([*(unit * axis for axis in np.eye(3)), *bulges]) * 4.0
    low = int((unit[:, 1] < -0.7).sum())
    order = np.argsort(unit[:, 1], kind="stable")[::-1]
    place = np.argsort(order)
    return HeadModel(
        neutral=(ball.vertices[order]).astype(np.float32),
        identity=identity[:, order].astype(np.float32),
        expression={"smile": (8 * unit * (unit[:, 2:] > 0.9))[order].astype(np.float32)},
        faces=place[ball.faces],
        landmarks=np.zeros(68, np.int64),
        parts={"Face": (0, len(unit) - low), "Head and Neck": (len(unit) - low, len(unit))},
    )


class TestCoefficients:
    def test_a_head_of_the_model_gives_its_identity_back(self, tiny_model):
        true = np.array([1.5, -1.0, 0.5, 2.0, -1.5])
        vertices = tiny_model.vertices(true).astype(np.float64)
        motion = np.eye(4)
        motion[:3, :3] = cv2.Rodrigues(np.array([0.05, 0.08, -0.05]))[0]
        motion[:3, 3] = 5, 8, -3
        found = fit(
            tiny_model, cloud(Mesh(move(vertices, motion), tiny_model.faces)), np.random.default_rng(0)
        )
        # The ball turns freely, so directions mix a little; and the prior draws small ones to nothing.
        assert found.identity @ true > 0.85 * np.linalg.norm(found.identity) * np.linalg.norm(true)
        assert found.identity[:2] == pytest.approx(true[:2], abs=0.6)
        other = fit(
            tiny_model, cloud(Mesh(tiny_model.vertices(-true), tiny_model.faces)), np.random.default_rng(0)
        )
        assert found.identity @ other.identity < 0

    def test_the_mean_head_has_no_identity(self, tiny_model):
        found = fit(tiny_model, cloud(Mesh(tiny_model.neutral, tiny_model.faces)), np.random.default_rng(0))
        assert np.abs(found.identity).max() < 0.1
        assert np.allclose(found.motion, np.eye(4), atol=0.2)


class TestRenderings:
    def test_a_face_is_cut_out_where_a_recogniser_wants_it(self, tmp_path):
        sitting = read_sitting(make_person(tmp_path / "a", 0, 0), ProtectSettings(), np.random.default_rng(0))
        number = sitting.frames(Role.SENSITIVE, SECTORS.index("front"))[0]
        camera = renderings.face_camera(sitting, sitting.capture.frames[number].camera)
        off = sitting.face(camera) - camera.width / 2 - (CLEAR.landmarks - CLEAR.side / 2)
        assert np.linalg.norm(off, axis=1).max() < 12  # the face of a ball is not quite a person's

    def test_depth_grows_away_from_the_camera(self):
        camera = looking_at(np.array([0, 0, 400.0]), np.zeros(3), focal=200.0)
        picture = renderings.depth(Caster(sphere(60.0)))(camera)[..., 0]
        assert picture[48, 48] == pytest.approx(0, abs=0.01)
        # At half the radius beside the middle the ball lies 60 − √(60² − 30²) mm farther back.
        column = round(camera.project(np.array([[30.0, 0, 52.0]]))[0][0, 0])
        assert picture[48, column] == pytest.approx((60 - 52) / renderings.DEEP, abs=0.02)
        assert picture[0, 0] == 1

    def test_a_skin_colours_the_mesh_and_a_plaster_cast_has_none(self):
        camera = looking_at(np.array([0, 0, 400.0]), np.zeros(3), focal=200.0)
        caster = Caster(sphere(60.0))
        red = np.tile([1.0, 0.5, 0.0], (len(caster.mesh.vertices), 1))
        picture = renderings.skinned(caster, red)(camera)
        assert picture[48, 48, 0] == pytest.approx(2 * picture[48, 48, 1], rel=0.05)
        assert picture[48, 48, 2] == 0
        plain = renderings.plaster(caster)(camera).astype(float)
        assert np.ptp(plain[48, 48]) < 20
        assert (plain[0, 0] == 0).all()

    def test_a_skin_goes_to_the_nearest_vertex(self):
        skin = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        found = worn(skin, np.array([[0.0, 0, 0], [10.0, 0, 0]]), np.array([[1.0, 2, 0], [8.0, 0, 1]]))
        np.testing.assert_array_equal(found, skin)

    def test_brows_and_hair_are_dark_and_cheeks_are_not(self, shared_assets):
        model = load_head_model()
        skin = generic_skin(model)
        marks = model.landmarks
        assert (skin[marks[19]] == HAIR).all()
        assert (skin[marks[2]] == SKIN).all()
        assert (skin[np.argmax(model.neutral[:, 1])] == HAIR).all()


class TestSittings:
    def test_directions_are_those_of_the_head(self):
        cameras = [
            looking_at(8 * np.array([np.sin(a), np.tan(0.2), np.cos(a)]), np.zeros(3))
            for a in np.radians([0, 60, -60, 180])
        ]
        found = directions(cameras, np.zeros(3), FACE - BALL_CENTER)
        np.testing.assert_allclose(found[:3, 0], [0, 60, -60], atol=1)
        assert abs(found[3, 0]) == pytest.approx(180, abs=1)
        np.testing.assert_allclose(found[:, 1], np.degrees(0.2), atol=0.5)

    def test_a_capture_without_landmarks_is_refused(self, tiny_capture):
        with pytest.raises(SansfaceError, match="landmarks"):
            read_sitting(tiny_capture, ProtectSettings(), np.random.default_rng(0))


# --- all rows ---


class Small:
    """A recogniser by small pictures, less what all of them have in common."""

    name, digest, input = "small pictures", "", ""
    placing = CLEAR

    def embed(self, faces: np.ndarray) -> np.ndarray:
        small = faces.reshape(len(faces), 14, 8, 14, 8, 3).mean(axis=(2, 4)).reshape(len(faces), -1)
        return (small - small.mean(axis=0)).astype(np.float32)


class Broken(Small):
    def embed(self, faces: np.ndarray) -> np.ndarray:
        raise AssertionError("nothing is to be measured again")


def make_person(folder: Path, person: int, moment: int, size: int = 96) -> Path:
    """A capture of a ball with a person's spots: nine views of the face, three of the rear."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rng, spots = np.random.default_rng([person, moment]), np.random.default_rng(person).normal(size=(12, 3))
    spots = 2 * spots / np.linalg.norm(spots, axis=1, keepdims=True)
    places = [(azimuth, height) for azimuth in (-60, 0, 60) for height in (-10, 10, 30)]
    places += [(azimuth, 10) for azimuth in (160, 180, 200)]
    frames = []
    for index, (azimuth, height) in enumerate(places):
        a, e = np.radians([azimuth + rng.uniform(-2, 2), height + rng.uniform(-2, 2)])
        away = rng.uniform(7.8, 8.2) * np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
        camera = looking_at(BALL_CENTER + away, BALL_CENTER, size, 150.0 * size / 96)
        picture, mask = ball_picture(camera)
        for spot in spots:
            if spot @ away > 4:  # it is on the near side
                at = camera.project((BALL_CENTER + spot)[None])[0][0]
                cv2.circle(picture, (int(at[0]), int(at[1])), 4, (30, 20, 20 + 10 * person), -1)
        picture[mask == 0] = 0
        image, where = folder / f"images/{index:03d}.png", folder / f"masks/{index:03d}.png"
        cv2.imwrite(str(image), picture[:, :, ::-1])
        cv2.imwrite(str(where), mask)
        frames.append(Frame(camera, Role.NEUTRAL if index >= 9 else Role.SENSITIVE, image, where))
    capture = Capture(tuple(frames), unit="mm", meta={"landmarks": FACE.tolist()})
    write_transforms_json(capture, folder)
    write_mesh(sphere(2.0, BALL_CENTER), folder / "gt.ply")
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for person in range(5):
        for moment, name in enumerate("ab"):
            make_person(folder / f"person{person:02d}" / name, person, moment)
    return folder


UPLOADED = ["control", "protected", "neutral", "masks", "bundle", "links"]


@pytest.fixture(scope="module")
def out(people, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out")
    artefact_rows(people, out, recognisers=[Small()], kinds=UPLOADED)
    return out


class TestRows:
    def test_spots_name_the_people_and_outlines_of_balls_do_not(self, out):
        rows = list(csv.DictReader((out / "artefacts.csv").read_text().splitlines()))
        found = {(row["artefact"], row["attacker"], row["shown"]): float(row["rank1"]) for row in rows}
        control = "control: clear photographs, front"
        assert found[control, "naive, small pictures", "all of a person"] > 0.8
        assert found[control, "parrot", "one picture"] > 0.8
        assert found["protected pictures, all sides", "parrot", "all of a person"] > 0.8
        assert found["the bundle's pictures and masks", "parrot", "all of a person"] > 0.8
        # All outlines are circles, as large as the camera is near, so a mask says nothing.
        assert found["masks, all sides", "parrot", "one picture"] < 0.5
        assert found["control: protected pictures, front", "parrot", "one picture"] < 0.6
        assert all(
            float(row["low"]) - 1e-9 <= float(row["rank1"]) <= float(row["high"]) + 1e-9 for row in rows
        )
        assert {row["chance"] for row in rows} == {"0.2"}

    def test_the_table_has_every_row_links_and_directions(self, out):
        text = (out / "artefacts.md").read_text()
        assert text.count("\n| control") == 5
        assert "two bundles of one person" in text
        (protected,) = (out / "rows").glob("protected-*.json")
        kept = json.loads(protected.read_text())["row"]["more"]["directions"]
        assert len(kept) == 9
        assert {round(one["azimuth"] / 60) for one in kept} == {-1, 0, 1}

    def test_what_is_there_is_not_measured_again(self, people, out):
        before = (out / "artefacts.md").read_text()
        artefact_rows(people, out, recognisers=[Broken()], kinds=UPLOADED)
        assert (out / "artefacts.md").read_text() == before

    def test_what_was_measured_of_anything_else_is_measured_again(self, tmp_path, monkeypatch):
        people, measured, other = tmp_path / "people", [], Small()
        other.input = "backwards"
        monkeypatch.setitem(KINDS, "control", lambda of: measured.append(of) or Found([], {}))
        for name in ("person0", "person1", "person2", "person3"):
            for moment in "ab":
                (people / name / moment).mkdir(parents=True)
                (people / name / moment / "meta.json").write_text("{}")

        def again(*recognisers: Small, **more) -> int:
            count = len(measured)
            artefact_rows(people, tmp_path, recognisers=recognisers, kinds=["control"], **more)
            return len(measured) - count

        assert again(Small()) == 1
        assert again(Small()) == 0
        assert again(Small(), seed=1) == 1
        assert again(Small(), other) == 1
        assert again(other) == 1
        assert again(Small(), config=changed(CONFIG, {"stage2": {"steps": 141}})) == 1
        (people / "person2" / "b" / "meta.json").write_text('{"unit": "mm"}')
        assert again(Small()) == 1
        assert again(Small()) == 0

    def test_a_reconstruction_of_another_seed_or_config_is_not_attacked(self, people, tmp_path):
        person = shutil.copytree(people / "person00", tmp_path / "person00")
        config = small_config(2, 2)
        (run,) = Material([person], 0, [], config).runs
        assert run == person / "b-run"
        before = (run / "config.json").read_bytes()
        assert Material([person], 0, [], config).runs == [run]
        assert (run / "config.json").read_bytes() == before
        with pytest.raises(SansfaceError, match="b-run holds was reconstructed with another seed"):
            _ = Material([person], 1, [], config).runs
        with pytest.raises(SansfaceError, match=r"with other settings; remove it, or ask for the same"):
            _ = Material([person], 0, [], small_config(2, 3)).runs

    def test_an_unknown_artefact_or_an_empty_folder_is_refused(self, people, tmp_path):
        with pytest.raises(SansfaceError, match="there is no artefact 'voice'"):
            artefact_rows(people, tmp_path / "out", kinds=["voice"])
        with pytest.raises(SansfaceError, match="photographed twice"):
            artefact_rows(tmp_path, tmp_path / "out")

    def test_on_the_command_line(self, people, tmp_path, capsys):
        words = ["bench", "artefacts", str(people), "-o", str(tmp_path / "out"), "--recogniser", "gradients"]
        assert main([*words, "--kind", "masks", "--kind", "links"]) == 0
        said = capsys.readouterr()
        assert "| masks, all sides | the same artefact |" in said.out
        assert "| two bundles of one person |" in said.out
        assert "UNPROTECTED" in said.err
        assert main([*words[:3], "-o", str(tmp_path / "none"), "--kind", "voice"]) == 2

    def test_names_on_the_command_line_are_those_of_the_package(self):
        assert get_args(ArtefactName) == tuple(KINDS)

    @pytest.mark.slow
    def test_reconstructions_are_made_and_rendered(self, people, tmp_path):
        fast = preset("fast")
        assert isinstance(fast, Config)
        few = {"steps": 3}
        grid = fast.field_settings | {"levels": (6, 12), "feature_nodes": 12}
        small = {"stage1": few, "stage2": few, "field_settings": grid, "silhouette_rays": 200}
        config = changed(fast, small | {"mesh_resolution": 32})
        kinds = ["radiance", "mesh", "depth"]
        rows = artefact_rows(people, tmp_path, recognisers=[Small()], kinds=kinds, config=config)
        assert (people / "person00" / "b-run" / "mesh.ply").is_file()
        assert {row.artefact for row in rows} == {
            "renderings of the radiance", "renderings of the mesh", "depth",
        }  # fmt: skip
        # Balls without their spots are all alike.
        cast = [row for row in rows if row.artefact == "depth" and row.shown == "one picture"]
        assert all(row.rank1.value < 0.6 for row in cast)
