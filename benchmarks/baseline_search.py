"""Search the all-RGB baseline's schedule (row b): each trial changes the last best in one thing, one seed.

python benchmarks/baseline_search.py CAPTURE [--table FILE.jsonl] [--part 1/2]
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
from sansface.reconstruct.config import Config, Ramp, changed
from sansface.reconstruct.run import reconstruct
from sansface.surface import read_mesh


def trials():
    """Changes to `baseline_config()`; the time stays about the same."""
    both = lambda **values: {"stage1": values, "stage2": values}  # noqa: E731
    second = lambda **values: {"stage2": values}  # noqa: E731
    baseline = baseline_config()
    assert isinstance(baseline, Config)
    field = baseline.field_settings
    return {
        "as it is": {},
        "rates along half a cosine": {"rate_shape": "cosine"},
        "rates to 0.003": {"rate_decay": 0.003},
        "rates to 0.03": {"rate_decay": 0.03},
        "colour weight 2": both(colour=2.0),
        "colour weight 4": both(colour=4.0),
        "volume as ours": both(volume=Ramp(0.5, 0.05)),
        "volume 0.4 x ours": both(volume=Ramp(0.2, 0.02)),
        "smoothness from 14e-3": {
            "stage1": {"smoothness": Ramp(14e-3, 14e-3)},
            "stage2": {"smoothness": Ramp(14e-3, 1.8e-3)},
        },
        "smoothness from 3.5e-3": {
            "stage1": {"smoothness": Ramp(3.5e-3, 3.5e-3)},
            "stage2": {"smoothness": Ramp(3.5e-3, 1.8e-3)},
        },
        "smoothness to 3.6e-3": second(smoothness=Ramp(7e-3, 3.6e-3)),
        "smoothness to 1.2e-3": second(smoothness=Ramp(7e-3, 1.2e-3)),
        "smoothness to 0.9e-3": second(smoothness=Ramp(7e-3, 0.9e-3)),
        "beta to 0.005": second(beta=Ramp(0.01, 0.005, 0.7)),
        "beta to 0.001": second(beta=Ramp(0.01, 0.001, 0.7)),
        "two views a step in both stages": both(views=2),
        "three views a step in both stages": both(views=3),
        "480 steps": second(steps=480),
        "1080 steps": second(steps=1080),
        "short first stage": {"stage1": {"steps": 30}, "stage2": {"steps": 770}},
        "long first stage": {"stage1": {"steps": 160}, "stage2": {"steps": 640}},
        "radiance rate 5e-3": {"radiance_rate": 5e-3},
        "features' rate 1e-2": {"feature_rate": 1e-2},
        "features' rate 4e-2": {"feature_rate": 4e-2},
        "distances' rate 1e-2": {"distance_rate": 1e-2},
        "distances' rate 2.5e-3": {"distance_rate": 2.5e-3},
        "coverage weight 2": both(coverage=2.0),
        "coverage weight 0.5": both(coverage=0.5),
        "features on 96 nodes": {"field_settings": {**field, "feature_nodes": 96}},
        "features on 40 nodes": {"field_settings": {**field, "feature_nodes": 40}},
        "eikonal weight 0.3": both(eikonal=0.3),
        "12000 silhouette rays": {"silhouette_rays": 12_000},
        "radiance not factored": {"field_settings": {**field, "factored": False, "width": 64}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, nargs="?", default=Path("../shared/captures/lps"))
    parser.add_argument("--table", type=Path, default=Path("baseline_search.jsonl"))
    parser.add_argument("--part", default="1/1", help="2/3: the second of three equal parts of the trials")
    options = parser.parse_args()
    part, parts = (int(number) for number in options.part.split("/"))
    capture = read_capture(options.capture)
    supervision = baseline_supervision(capture, ProtectSettings())
    truth = read_mesh(options.capture / "gt.ply")
    assert capture.sphere is not None
    for name, changes in list(trials().items())[part - 1 :: parts]:
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
