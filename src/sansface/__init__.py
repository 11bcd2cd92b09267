"""3D heads from photographs that hide the face.

On the client, sensitive photographs become small gradient-magnitude images; only those, the cameras and the
privacy-neutral views cross to the server, which reconstructs the head in two stages.

    import sansface as sf
    capture = sf.read_capture("CAPTURE")
    bundle, frame = sf.protect_capture(capture)
    sf.write_bundle(bundle, "head.sfb")
    supervision = sf.from_bundle(sf.read_bundle("head.sfb"), frame)
    mesh = sf.reconstruct_head(supervision, "OUT", sf.preset("fast"))

A name is loaded when it is first used: the client's never bring torch, the server's nothing that reads a
photograph.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sansface.errors import SansfaceError
    from sansface.evaluate import score
    from sansface.formats import read_capture
    from sansface.protect.bundle import read_bundle, write_bundle
    from sansface.protect.describe import describe
    from sansface.protect.pipeline import ProtectSettings, protect_capture
    from sansface.reconstruct.config import changed, preset
    from sansface.reconstruct.run import reconstruct as reconstruct_head
    from sansface.reconstruct.supervision import from_bundle
    from sansface.surface import read_mesh

__version__ = "0.1.0"

__all__ = [
    "ProtectSettings",
    "SansfaceError",
    "changed",
    "describe",
    "from_bundle",
    "preset",
    "protect_capture",
    "read_bundle",
    "read_capture",
    "read_mesh",
    "reconstruct_head",
    "score",
    "write_bundle",
]

_HOMES = {
    "ProtectSettings": "protect.pipeline",
    "SansfaceError": "errors",
    "changed": "reconstruct.config",
    "describe": "protect.describe",
    "from_bundle": "reconstruct.supervision",
    "preset": "reconstruct.config",
    "protect_capture": "protect.pipeline",
    "read_bundle": "protect.bundle",
    "read_capture": "formats",
    "read_mesh": "surface",
    "reconstruct_head": "reconstruct.run:reconstruct",
    "score": "evaluate",
    "write_bundle": "protect.bundle",
}
"""Where each name lives and, after a colon, its name there, where a package has taken that one here."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, inner = _HOMES[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), inner or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
