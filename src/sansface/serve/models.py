"""The models that the page runs on the user's own device, as `sansface assets pull` laid them down.

The service gives them out and runs none of them: it has no photograph to run them on.
"""

import tarfile

from sansface import assets
from sansface.errors import SansfaceError

RUNTIME = "litert-web"
"""The asset that holds the runtime, as npm packs it."""
# "compat" is the program without relaxed SIMD: it runs in every browser that has SIMD, Safari among them, and
# rounds in the same way on every processor. Threads would need pages that are isolated from all others.
_MEMBERS = {
    "litert.js": ("package/wasm/litert_wasm_compat_internal.js", "text/javascript; charset=utf-8"),
    "litert.wasm": ("package/wasm/litert_wasm_compat_internal.wasm", "application/wasm"),
}
_NETWORKS = ("person", "face-short-range", "face-landmarks")

MODEL_FILES = (*_NETWORKS, *_MEMBERS)
"""What may be asked for by name."""


def model_file(name: str) -> tuple[bytes, str] | None:
    """A network or a part of the runtime: its bytes and its media type.

    Returns:
        None: no such name, the asset is not on this machine, or its SHA-256 is another.
    """
    if name not in MODEL_FILES:
        return None
    try:
        if name in _NETWORKS:
            return assets.find(name).read_bytes(), "application/octet-stream"
        member, kind = _MEMBERS[name]
        with tarfile.open(assets.find(RUNTIME), "r:gz") as archive:
            file = archive.extractfile(member)
            return None if file is None else (file.read(), kind)
    except (SansfaceError, OSError, tarfile.TarError, KeyError):
        return None
