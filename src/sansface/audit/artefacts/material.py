"""What attacks on artefacts are made of, each made when it is first asked for: sittings, views, shapes."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from sansface.audit.artefacts.cloud import Cloud, seen
from sansface.audit.artefacts.coefficients import Fit, fit
from sansface.audit.artefacts.sitting import FRONT, Sitting, read_sitting
from sansface.audit.artefacts.uploads import clear_views, neutral_views, protected_views, silhouette_views
from sansface.audit.artefacts.views import Views, alike, named
from sansface.audit.attackers.layers import InnerLayers, layers_of
from sansface.audit.runs import reconstructed
from sansface.capture import Role
from sansface.errors import SansfaceError
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.recogniser import Recogniser
from sansface.recognise.registry import OURS, recogniser
from sansface.reconstruct.config import AnyConfig, changed, preset
from sansface.reconstruct.supervision import from_bundle
from sansface.surface import Mesh, read_mesh

CONFIG: AnyConfig = changed(preset("fast"), {"stage1": {"steps": 24}, "stage2": {"steps": 140}})
"""Of the reconstructions, which are many: a fifth of the preset's steps."""
WORKS = 0.5
"""A recogniser that names fewer of the clear photographs rightly proves nothing, and is left out."""
RUN = "b-run"


class Material:
    """What several kinds of artefacts are made of, each made when it is first asked for."""

    def __init__(
        self,
        people: Sequence[Path],
        seed: int,
        recognisers: Sequence[Recogniser] | None,
        config: AnyConfig | None,
    ) -> None:
        self.folders, self.seed = people, seed
        self.config = config or CONFIG
        self._recognisers = recognisers

    @property
    def rng(self) -> np.random.Generator:
        """Anew for every attack, so that none depends on which were made before."""
        return np.random.default_rng(self.seed)

    @cached_property
    def first(self) -> list[Sitting]:
        return self._sittings("a")

    @cached_property
    def second(self) -> list[Sitting]:
        return self._sittings("b")

    def _sittings(self, which: str) -> list[Sitting]:
        settings = ProtectSettings()
        return [read_sitting(path / which, settings, self.rng) for path in self.folders]

    @cached_property
    def recognisers(self) -> list[Recogniser]:
        if self._recognisers is not None:
            return list(self._recognisers)
        found = []
        for name in OURS:
            with suppress(SansfaceError):
                found.append(recogniser(name))
        return found

    @cached_property
    def layers(self) -> dict[str, InnerLayers]:
        return layers_of(self.recognisers)

    @cached_property
    def photographs(self) -> tuple[Views, Views]:
        """From the front."""
        return (
            clear_views(self.first, self.recognisers, FRONT),
            clear_views(self.second, self.recognisers, FRONT),
        )

    @cached_property
    def working(self) -> list[Recogniser]:
        """The recognisers that name the people of clear photographs."""
        return [one for one in self.recognisers if self.naive(*self.photographs, one.name) >= WORKS]

    def naive(self, gallery: Views, probes: Views, name: str) -> float:
        scores = alike(gallery, probes, name)
        return float((scores.argmax(axis=1) == probes.labels).mean())

    @cached_property
    def protected(self) -> tuple[Views, Views]:
        return protected_views(self.first, self.layers), protected_views(self.second, self.layers)

    @cached_property
    def protected_scores(self) -> np.ndarray:
        return named(*self.protected, self.rng)

    @cached_property
    def neutral(self) -> tuple[Views, Views]:
        return neutral_views(self.first), neutral_views(self.second)

    @cached_property
    def silhouettes(self) -> tuple[Views, Views]:
        return silhouette_views(self.first), silhouette_views(self.second)

    @cached_property
    def model(self) -> HeadModel:
        return load_head_model()

    @cached_property
    def runs(self) -> list[Path]:
        """Folders of the reconstructions of the second sittings."""
        return [
            reconstructed(from_bundle(sitting.bundle), self.config, self.seed, folder / RUN)
            for folder, sitting in zip(self.folders, self.second, strict=True)
        ]

    @cached_property
    def meshes(self) -> list[Mesh]:
        return [read_mesh(run / "mesh.ply") for run in self.runs]

    @cached_property
    def scans(self) -> list[Mesh]:
        return [sitting.truth() for sitting in self.first]

    @cached_property
    def mesh_clouds(self) -> list[Cloud]:
        return [cloud_of(sitting, mesh) for sitting, mesh in zip(self.second, self.meshes, strict=True)]

    @cached_property
    def scan_clouds(self) -> list[Cloud]:
        return [cloud_of(sitting, mesh) for sitting, mesh in zip(self.first, self.scans, strict=True)]

    @cached_property
    def mesh_fits(self) -> list[Fit]:
        return [fit(self.model, cloud, self.rng) for cloud in self.mesh_clouds]

    @cached_property
    def scan_fits(self) -> list[Fit]:
        return [fit(self.model, cloud, self.rng) for cloud in self.scan_clouds]


def cloud_of(sitting: Sitting, mesh: Mesh) -> Cloud:
    """What the sitting's sensitive cameras see of a mesh, the neck left out."""
    cameras = [sitting.capture.frames[k].camera for k in sitting.frames(Role.SENSITIVE)]
    return seen(mesh, cameras, float(sitting.capture.meta.get("head_min_y", -np.inf)))
