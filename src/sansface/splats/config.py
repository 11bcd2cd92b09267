"""Settings of a reconstruction by splats, and their preset."""

from dataclasses import asdict, dataclass
from typing import Any

from sansface.errors import SansfaceError
from sansface.settings import at_least


@dataclass(frozen=True)
class SplatStage:
    """One stage's schedule and the weights of its losses."""

    steps: int
    colour: float = 1.0  # of L_rgb
    gradient: float = 0.0  # of L_grad
    coverage: float = 2.0  # of the opacity against the masks: ours
    normal: float = 0.5  # of L_n
    distortion: float = 10.0  # of L_d
    smoothness: float = 0.2  # of the normals: ours
    targets: str = "all"  # views that are rendered and compared: neutral, sensitive or all
    views: int = 2  # pictures a step
    relocation: int = 0  # steps between two; 0: splats stay, as they must while some are seen by no target

    def __post_init__(self) -> None:
        weights = {"colour", "gradient", "coverage", "normal", "distortion", "smoothness"}
        at_least(self, steps=0, views=1, relocation=0, **dict.fromkeys(weights, 0))


@dataclass(frozen=True)
class SplatConfig:
    """Everything but the seed, the device and the data."""

    preset: str
    count: int  # splats, from beginning to end
    degree: int  # of the colours' spherical harmonics, 0 or 1
    stage1: SplatStage
    stage2: SplatStage
    patch: int = 64  # side of the pictures' window that a step renders, pixels
    finer: int = 1  # the rasteriser's filter is that of a picture so many times as large; odd
    centre_rate: float = 4e-4  # Adam's rates at a stage's start
    turn_rate: float = 3e-3
    scale_rate: float = 3e-3
    opacity_rate: float = 3e-2
    colour_rate: float = 2e-2
    rate_decay: float = 0.05  # of the rates from a stage's start to its end
    rate_shape: str = "cosine"  # of that decay: half a cosine, or by equal factors, exponential
    mesh_resolution: int = 128  # cells along the cube's edge

    def __post_init__(self) -> None:
        at_least(self, count=1, patch=3, finer=1, mesh_resolution=2, rate_decay=0)
        at_least(self, centre_rate=0, turn_rate=0, scale_rate=0, opacity_rate=0, colour_rate=0)
        if self.degree not in (0, 1):
            raise SansfaceError(f"the degree of the colours is 0 or 1, not {self.degree!r}; correct it.")
        if self.finer % 2 != 1:
            raise SansfaceError(f"the setting finer is an odd number, not {self.finer!r}; correct it.")
        if self.rate_shape not in ("exponential", "cosine"):
            raise SansfaceError(
                f"the rates' shape is 'exponential' or 'cosine', not {self.rate_shape!r}; correct it."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def splats(resolution: int) -> SplatConfig:
    """Larger pictures get more splats, larger windows and more cells."""
    detail = max(1.0, resolution / 64)
    return SplatConfig(
        preset="splats",
        count=round(6000 * detail),
        degree=1,
        stage1=SplatStage(steps=60, targets="neutral"),
        stage2=SplatStage(steps=250, gradient=4.0, views=3, relocation=50),
        patch=round(64 * detail**0.5),
        finer=2 * round(2 / detail) + 1,
    )
