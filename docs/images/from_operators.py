"""docs/images/operators/: each operator and strength on the procedural head.

    python docs/images/from_operators.py D/capture      # the folder of a finished `sansface demo -o D`

Values from 0 to the largest are black to white, what is withheld is blue, as `sansface inspect` has it.
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))

from operators import RUNS  # noqa: E402
from sansface import read_capture  # noqa: E402
from sansface.capture import Role  # noqa: E402
from sansface.protect.pipeline import ProtectSettings, protect  # noqa: E402
from sansface.protect.sheet import picture_of  # noqa: E402

SHOWN = 2
"""Which of the sensitive frames: three quarters from the front."""
SIZE = 256


def main() -> None:
    """Write a PNG a run."""
    capture = read_capture(Path(sys.argv[1]))
    neutral = [frame for frame in capture.frames if frame.role is Role.NEUTRAL][:2]
    sensitive = [frame for frame in capture.frames if frame.role is Role.SENSITIVE][: SHOWN + 1]
    few = replace(capture, frames=(*neutral, *sensitive))
    (HERE / "operators").mkdir(exist_ok=True)
    for name, settings in RUNS.items():
        bundle = protect(few, ProtectSettings(**settings), rng=np.random.default_rng(0))
        picture = picture_of(bundle.frames[-1])[..., ::-1]
        large = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
        path = HERE / "operators" / f"{name.replace(' ', '-')}.png"
        cv2.imwrite(str(path), large, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
