"""Cameras and sparse points from photographs alone: structure from motion, on this device, by pycolmap.

COLMAP: Schönberger and Frahm 2016. All photographs are compared by their largest features, the likeliest
pairs by all; a pair that has a two-view geometry is matched once more along its epipolar lines, where more
matches are found if it is the right one; then COLMAP maps.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.photographs.features import Features, likeness, match, match_along_lines

NEIGHBOURS = 12
"""Each photograph is compared with so many others: those that look most alike."""
SUCCESSORS = 2
"""And with so many that follow it by name, for people walk around heads."""
INLIERS = 15
"""Least matches of a pair; COLMAP's own."""
ERROR = 3.0
"""Largest distance of a match from its epipolar line, in pixels of the reduced photographs."""
LINE_ERROR = 2.0
"""The same where matches are looked for along the lines."""
SHARE = 0.015
"""Least part of the features that match along the lines: twice what wrong lines give by chance."""
OFF = 2.0
"""Pixels of the reduced photographs beyond which an observation is not believed, half of COLMAP's own."""
PLACED = 20
"""Least points of the model that a photograph must show to be placed."""
FOCAL = 1.2
"""First guess of the focal length, in longer sides of the picture; COLMAP's own."""
THREADS = 2

Progress = Callable[[float, str], None]
"""Called with the share of the work done, 0 to 1, and what is being done."""


@dataclass(frozen=True, eq=False)
class Structure:
    """What structure from motion found, in a frame and unit of its own.

    Attributes:
        cameras: by the number of the photograph, those that were placed; of the reduced size.
        points: (n, 3) float64 sparse points.
        seen: for each point, the numbers of the photographs that show it.
        error: mean reprojection error, pixels of the reduced photographs.
    """

    cameras: dict[int, Camera]
    points: np.ndarray
    seen: tuple[tuple[int, ...], ...]
    error: float


def structure_from_motion(
    features: Sequence[Features],
    sizes: Sequence[tuple[int, int]],
    lenses: Sequence[int],
    folder: Path,
    seed: int = 0,
    progress: Progress = lambda done, note: None,
) -> Structure:
    """Place the cameras of photographs.

    Args:
        features: of each photograph.
        sizes: (width, height) of each photograph.
        lenses: which camera and focal length took each photograph: a number from 0 on.
        folder: an empty one for the database and the sparse model.
        seed: of COLMAP's random draws.
        progress: see `Progress`.

    Raises:
        SansfaceError: pycolmap is not installed, or no two photographs go together.
        KeyboardInterrupt: Ctrl-C; what was begun is stopped first.
    """
    colmap = require("pycolmap", extra="colmap")
    colmap.logging.minloglevel = int(colmap.logging.Level.FATAL)
    colmap.set_random_seed(seed)
    guesses = [_guessed(colmap, *sizes[lenses.index(lens)]) for lens in range(max(lenses) + 1)]
    work = _Work(colmap, features, lenses, guesses, seed)

    pairs = _likely_pairs(features, lambda done: progress(0.25 * done, "comparing photographs"))
    found = work.verified(pairs, lambda done: progress(0.25 + 0.6 * done, "matching"))
    model = work.mapped(found, folder, lambda done: progress(0.85 + 0.15 * done, "placing cameras"))
    return _structure(model)


def _guessed(colmap: Any, width: int, height: int) -> Any:
    focal = FOCAL * max(width, height)
    params = [focal, width / 2, height / 2, 0.0]
    return colmap.Camera(model="SIMPLE_RADIAL", width=width, height=height, params=params)


def _likely_pairs(features: Sequence[Features], progress: Callable[[float], None]) -> list[tuple[int, int]]:
    """Pairs that look alike, and neighbours by name."""
    count = len(features)
    alike = np.zeros((count, count))
    pairs = list(combinations(range(count), 2))
    for (one, other), value in _in_parallel(
        lambda pair: likeness(*(features[i] for i in pair)), pairs, progress
    ):
        alike[one, other] = alike[other, one] = value
    np.fill_diagonal(alike, -1)
    best = {(one, int(other)) for one in range(count) for other in np.argsort(-alike[one])[:NEIGHBOURS]}
    best |= {(one, one + step) for step in range(1, SUCCESSORS + 1) for one in range(count - step)}
    return sorted({(min(pair), max(pair)) for pair in best if pair[0] != pair[1]})


@dataclass(frozen=True, eq=False)
class _Work:
    """The photographs as COLMAP asks for them. Its images, cameras and frames count from 1."""

    colmap: Any
    features: Sequence[Features]
    lenses: Sequence[int]
    guesses: Sequence[Any]
    seed: int

    def verified(
        self,
        pairs: Sequence[tuple[int, int]],
        progress: Callable[[float], None],
    ) -> dict[tuple[int, int], Any]:
        """The two-view geometry of each pair that has one: by plain matches, then by those along lines."""
        options = self.colmap.TwoViewGeometryOptions()
        options.min_num_inliers = INLIERS
        options.ransac.max_error = ERROR
        options.ransac.random_seed = self.seed

        def estimated(pair: tuple[int, int], matches: np.ndarray) -> Any:
            if len(matches) < INLIERS:
                return None
            one, other = ((self.guesses[self.lenses[i]], self.features[i].points) for i in pair)
            found = self.colmap.estimate_two_view_geometry(*one, *other, matches.astype(np.uint32), options)
            return found if len(found.inlier_matches) >= INLIERS else None

        def geometry(pair: tuple[int, int]) -> Any:
            one, other = (self.features[i] for i in pair)
            found = estimated(pair, match(one, other))
            if found is None or found.F is None:
                return None
            found = estimated(pair, match_along_lines(one, other, np.asarray(found.F), LINE_ERROR))
            least = SHARE * min(len(one.points), len(other.points))
            return None if found is None or len(found.inlier_matches) < least else found

        found = dict(_in_parallel(geometry, pairs, progress))
        return {pair: found[pair] for pair in pairs if found[pair] is not None}

    def mapped(
        self, geometries: dict[tuple[int, int], Any], folder: Path, progress: Callable[[float], None]
    ) -> Any:
        """COLMAP's reconstruction of most photographs."""
        database = folder / "database.db"
        self._write(database, geometries)
        options = self.colmap.IncrementalPipelineOptions()
        options.num_threads = THREADS
        options.random_seed = self.seed
        options.extract_colors = False
        options.min_model_size = 3
        options.mapper.abs_pose_min_num_inliers = PLACED
        options.mapper.filter_max_reproj_error = OFF
        placed = []

        def one_more() -> None:
            placed.append(1)
            progress(min(1.0, len(placed) / len(self.features)))

        token = self.colmap.CancellationToken()
        with ThreadPoolExecutor(1) as pool:  # in this thread, Ctrl-C would wait until all is done
            future = pool.submit(
                self.colmap.incremental_mapping, database, folder, folder, options,
                next_image_callback=one_more, cancellation_token=token,
            )  # fmt: skip
            try:
                while not wait([future], timeout=0.2).done:
                    pass
            except BaseException:
                token.cancel()
                raise
        models = future.result()
        if not models:
            raise SansfaceError(
                "no two of the photographs show enough of the same from different places, so no camera can "
                "be placed; take more, in small steps around the head, sharp and in even light."
            )
        return max(models.values(), key=lambda model: model.num_reg_images())

    def _write(self, path: Path, geometries: dict[tuple[int, int], Any]) -> None:
        colmap = self.colmap
        database = colmap.Database.open(path)
        try:
            sensors, rigs = [], []
            for guess in self.guesses:
                sensors.append(colmap.sensor_t(colmap.SensorType.CAMERA, database.write_camera(guess)))
                rig = colmap.Rig()
                rig.add_ref_sensor(sensors[-1])
                rigs.append(database.write_rig(rig))
            for number, (features, lens) in enumerate(zip(self.features, self.lenses, strict=True)):
                image = colmap.Image(name=f"{number:05d}", camera_id=sensors[lens].id)
                image_id = database.write_image(image)
                frame = colmap.Frame()
                frame.rig_id = rigs[lens]
                frame.add_data_id(colmap.data_t(sensors[lens], image_id))
                database.write_frame(frame)
                database.write_keypoints(image_id, features.points.astype(np.float32))
            for (one, other), geometry in geometries.items():
                database.write_two_view_geometry(one + 1, other + 1, geometry)
        finally:
            database.close()


def _structure(model: Any) -> Structure:
    cameras = {}
    for image in (model.image(image) for image in model.reg_image_ids()):
        lens, pose = image.camera, np.eye(4)
        pose[:3] = image.cam_from_world().matrix()
        cameras[image.image_id - 1] = Camera(
            np.asarray(lens.calibration_matrix()), lens.width, lens.height, pose,
            np.array([lens.params[3], 0, 0, 0, 0]),
        )  # fmt: skip
    points = list(model.points3D.values())
    return Structure(
        cameras=dict(sorted(cameras.items())),
        points=np.array([point.xyz for point in points]).reshape(-1, 3),
        seen=tuple(
            tuple(sorted({element.image_id - 1 for element in point.track.elements})) for point in points
        ),
        error=float(model.compute_mean_reprojection_error()),
    )


def _in_parallel(
    work: Callable[[tuple[int, int]], Any],
    pairs: Sequence[tuple[int, int]],
    progress: Callable[[float], None],
) -> Iterator[tuple[tuple[int, int], Any]]:
    """(pair, work(pair)) in order; after Ctrl-C nothing new is begun."""
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for done, result in enumerate(pool.map(work, pairs)):
                yield pairs[done], result
                progress((done + 1) / len(pairs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
