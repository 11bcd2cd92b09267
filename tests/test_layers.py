"""The layers as Python really loads them: import-linter reads the source, this asks a fresh interpreter."""

import subprocess
import sys

import pytest

from sansface.errors import SansfaceError
from sansface.extras import require

CLIENT = "sansface.capture sansface.files sansface.protect.pipeline sansface.protect.bundle sansface.formats"
SERVER = "sansface.reconstruct.run sansface.reconstruct.supervision sansface.evaluate.compare sansface.report"
# not PIL: trimesh loads it where it is installed; import-linter keeps our own code from it
READ_PHOTOGRAPHS = "cv2 imageio sansface.formats sansface.protect.photograph sansface.protect.pipeline"


def loaded_after_importing(modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules.split())}; print(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_client_loads_no_part_of_the_server():
    loaded = loaded_after_importing(CLIENT)
    assert "cv2" in loaded  # the client is what reads photographs
    assert not loaded & {"torch", "trimesh", "scipy", "skimage", "sansface.reconstruct", "sansface.fields"}


def test_the_server_loads_nothing_that_reads_a_photograph():
    loaded = loaded_after_importing(SERVER)
    assert "torch" in loaded
    assert not loaded & set(READ_PHOTOGRAPHS.split())


def test_a_missing_extra_names_its_install_line():
    with pytest.raises(SansfaceError, match=r"^no_such_module is .* pip install 'sansface\[decimate\]'$"):
        require("no_such_module", extra="decimate")
    assert require("numpy", extra="reconstruct").__name__ == "numpy"
