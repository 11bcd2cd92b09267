"""The same blending by gsplat's kernels, on a CUDA device where that extra is installed.

gsplat compiles its kernels when they are first called: that needs the CUDA toolkit of torch's version and a
C++ compiler. Without gsplat the plain rasteriser runs on the GPU.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.splats.projection import NEAR, Pinhole
from sansface.splats.splats import Splats


def usable(tensor: Tensor, camera: Camera) -> bool:
    """Is it a CUDA tensor, is gsplat there, and has the camera no skew, which gsplat ignores?"""
    return tensor.is_cuda and camera.K[0, 1] == 0 and find_spec("gsplat") is not None


def blend(
    splats: Splats, camera: Pinhole, features: Float[Tensor, "n c"], finer: int
) -> tuple[Float[Tensor, "h w c"], Float[Tensor, "h w"]]:
    """As `rasterise.blend`; eq. 11's disc lies around the middle of the splat's box, not around its centre.

    gsplat's filter is of its own picture's pixels, so for a finer one a larger picture is made, and of that
    the middle of every pixel taken.

    Raises:
        SansfaceError: gsplat's kernels cannot be built here.
    """
    pose = torch.eye(4, device=features.device)
    enlarged = camera.K * camera.K.new_tensor([[finer], [finer], [1]])
    pose[:3, :3], pose[:3, 3] = camera.rotation, camera.shift
    flat = torch.ones_like(splats.log_scales[:, :1])
    blended, opacity, *_ = _kernels().rasterization_2dgs(
        splats.centres,
        splats.turns,
        torch.cat([splats.scales(), flat], dim=1),
        splats.opacities(),
        features,
        pose[None],
        enlarged[None],
        finer * camera.width,
        finer * camera.height,
        near_plane=NEAR,
    )
    middle = slice(finer // 2, None, finer)
    return blended[0, middle, middle], opacity[0, middle, middle, 0]


@cache
def _kernels() -> Any:
    """gsplat, with its kernels built."""
    gsplat = require("gsplat", extra="splats")
    try:
        built = require("gsplat.cuda._backend", extra="splats")._C is not None
    except (ImportError, OSError, RuntimeError):
        built = False
    if not built:
        raise SansfaceError(
            "gsplat cannot build its kernels here; install the CUDA toolkit of torch's version and a C++ "
            "compiler, or uninstall gsplat to go without."
        )
    return gsplat
