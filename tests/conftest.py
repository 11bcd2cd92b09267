"""Fixtures that several tests share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings
from sqlalchemy import Engine

from sansface import cli
from sansface.capture import Camera, Capture, Frame, Role
from sansface.formats.transforms_json import write_transforms_json

ROOT = Path(__file__).resolve().parents[1]
if (ROOT.parent / "shared" / "assets").is_dir():
    # For whoever loads models once for a whole module, before any fixture of a single test.
    os.environ.setdefault("SANSFACE_ASSETS", str(ROOT.parent / "shared" / "assets"))
sys.path.insert(0, str(ROOT / "benchmarks"))  # their checkers are tested, too
from postgres import Cluster, cluster, programs  # noqa: E402

# `make test` decides what may be merged, so it draws the same examples every time; `make test-all` new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: tests wait for browsers, databases and workers. Each takes up to 2 GB."""
    return min(os.cpu_count() or 1, 8) + 1


BALL_CENTER = np.array([0.5, -0.2, 1.0])
BALL_RADIUS = 2.0


def looking_at(position: np.ndarray, target: np.ndarray, size: int = 96, focal: float = 150.0) -> Camera:
    """A square camera at `position` whose axis meets `target`, world +y up."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Camera(K, size, size, pose)


def ball_picture(camera: Camera, background: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """A shaded, striped ball by exact ray intersection: (h, w, 3) uint8 sRGB and (h, w) uint8 mask."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    origins, directions = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    offset = origins - BALL_CENTER
    b = (offset * directions).sum(axis=1)
    discriminant = b**2 - (offset**2).sum(axis=1) + BALL_RADIUS**2
    hit = discriminant > 0
    normal = (offset + directions * (-b - np.sqrt(np.maximum(discriminant, 0)))[:, None]) / BALL_RADIUS
    stripes = 0.55 + 0.2 * np.sin(9 * normal[:, 1] + 4 * normal[:, 0])
    shade = 0.6 + 0.4 * (normal @ np.array([0.4, 0.8, 0.45]))
    colour = np.clip(np.outer(stripes * shade, [1.0, 0.8, 0.7]), 0, 1)
    checks = background * (0.5 + 0.5 * ((rows // 7 + columns // 5) % 2)).ravel()
    picture = np.where(hit[:, None], colour, checks[:, None]) * 255
    shape = (camera.height, camera.width)
    return picture.astype(np.uint8).reshape(*shape, 3), (hit * 255).astype(np.uint8).reshape(shape)


def make_tiny_capture(folder: Path, background: float = 0.8, size: int = 96, views: int = 8) -> Path:
    """Write a capture of a ball of known place and size: three rear views neutral, the others sensitive."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    frames = []
    for index in range(views):
        angle = 2 * np.pi * index / views
        height = (-1.5, 1.0, 3.0)[index % 3]
        position = BALL_CENTER + np.array([8 * np.sin(angle), height, 8 * np.cos(angle)])
        camera = looking_at(position, BALL_CENTER, size, 150.0 * size / 96)
        picture, mask = ball_picture(camera, background)
        image_path, mask_path = folder / f"images/{index:03d}.png", folder / f"masks/{index:03d}.png"
        cv2.imwrite(str(image_path), picture[:, :, ::-1])
        cv2.imwrite(str(mask_path), mask)
        rear = abs(index - views / 2) <= 1
        frames.append(Frame(camera, Role.NEUTRAL if rear else Role.SENSITIVE, image_path, mask_path))
    write_transforms_json(Capture(tuple(frames), unit="mm"), folder)
    return folder


@pytest.fixture
def tiny_capture(tmp_path: Path) -> Path:
    """Folder of a capture of 8 views of a ball at 96 pixels, with masks, roles and `meta.json`."""
    return make_tiny_capture(tmp_path / "capture")


@pytest.fixture
def shared_captures() -> Path:
    """The folder of shared captures, from SANSFACE_CAPTURES; the test is skipped without it."""
    folder = Path(os.environ.get("SANSFACE_CAPTURES", ROOT.parent / "shared" / "captures"))
    if not folder.is_dir():
        pytest.skip("no shared captures (set SANSFACE_CAPTURES)")
    return folder


@pytest.fixture
def shared_assets(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of shared assets, from SANSFACE_ASSETS; the test is skipped without it."""
    folder = Path(os.environ.get("SANSFACE_ASSETS", ROOT.parent / "shared" / "assets"))
    if not folder.is_dir():
        pytest.skip("no shared assets (set SANSFACE_ASSETS)")
    monkeypatch.setenv("SANSFACE_ASSETS", str(folder))
    return folder


@pytest.fixture
def say(capsys):
    """Run a command: exit code, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of the tests' own, without anything in it; they are skipped where it is not installed."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster(durable=False) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database: the test runs with SQLite, and with PostgreSQL where it is installed."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/service.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The service's database, migrated; on SQLite, and on PostgreSQL where it is installed."""
    from sansface.serve.database import open_database

    opened = open_database(database_url)
    yield opened
    opened.dispose()
