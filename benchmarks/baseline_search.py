"""Search the all-RGB baseline's schedule (row b): each trial changes the last best in one thing, one seed.

python benchmarks/baseline_search.py CAPTURE [--table FILE.jsonl]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from sansface.bench.baseline import baseline_config, baseline_supervision
from sansface.evaluate import score
from sansface.formats import read_capture
from sansface.protect.pipeline import ProtectSettings
from sansface.reconstruct.config import Ramp, changed
from sansface.reconstruct.run import reconstruct
from sansface.surface import read_mesh


def trials():
    """Changes to `baseline_config()`; the total of steps, and so the time, stays."""
    both = lambda **values: {"stage1": values, "stage2": values}  # noqa: E731
    return {
        "colour weight 2": {},
        "colour weight 1": both(colour=1.0),
        "colour weight 4": both(colour=4.0),
        "beta to 0.005": {"stage2": {"beta": Ramp(0.01, 0.005, 0.7)}},
        "beta to 0.001": {"stage2": {"beta": Ramp(0.01, 0.001, 0.7)}},
        "short first stage (30 steps)": {"stage1": {"steps": 30}, "stage2": {"steps": 300}},
        "long first stage (160 steps)": {"stage1": {"steps": 160}, "stage2": {"steps": 170}},
        "smoothness to 3.6e-3": {"stage2": {"smoothness": Ramp(7e-3, 3.6e-3)}},
        "smoothness to 0.9e-3": {"stage2": {"smoothness": Ramp(7e-3, 0.9e-3)}},
        "two views a step": both(views=2),
        "radiance rate 5e-3": {"radiance_rate": 5e-3},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, nargs="?", default=Path("../shared/captures/lps"))
    parser.add_argument("--table", type=Path, default=Path("baseline_search.jsonl"))
    options = parser.parse_args()
    capture = read_capture(options.capture)
    supervision = baseline_supervision(capture, ProtectSettings())
    truth = read_mesh(options.capture / "gt.ply")
    assert capture.sphere is not None
    for name, changes in trials().items():
        with tempfile.TemporaryDirectory() as folder:
            mesh = reconstruct(supervision, Path(folder) / "out", changed(baseline_config(), changes))
            result = score(
                read_mesh(mesh),
                truth,
                [frame.camera for frame in capture.frames],
                capture.sphere.radius,
                capture.meta.get("head_min_y"),
                np.random.default_rng(0),
            )
        line = json.dumps({"trial": name, "score": result.score})
        with options.table.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


if __name__ == "__main__":
    main()
