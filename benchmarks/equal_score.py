"""What a step of the preset `paper` costs, and how long `fast` takes to the score that `paper` reached.

    python benchmarks/equal_score.py [CAPTURE] [--preset paper] [--steps 300] [--beta B]
    python benchmarks/equal_score.py CAPTURE --result OUT/runs/CAPTURE/paper-small/two-stages/0/result.json

`paper` trains for so many steps, half of them in each stage (0: the whole schedule), and its mesh is scored;
or it was already, by `sansface bench paper`, and RESULT says how far it came. The sampler looks at more
points the narrower the density is, so steps from another B say what late ones cost.

Then `fast` trains with its own schedule and is scored every few steps, until its mesh is as good. Only
training counts, not the scoring. What the whole schedule would take is a projection from the steps that were
run, and called one.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from commands import CAPTURES
from floor import waiting
from sansface.bench.paper import Subject, read_subject
from sansface.errors import SansfaceError
from sansface.evaluate import score
from sansface.files import read_json
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.reconstruct.config import Config, preset
from sansface.reconstruct.device import chosen_device
from sansface.reconstruct.run import head_mesh
from sansface.reconstruct.stages import Moment, train
from sansface.reconstruct.supervision import Supervision, from_bundle

EVERY = 5
"""Steps of `fast` between two scores."""
CELLS = 128
"""Along the cube's edge, of the meshes that are scored: the 512 of `paper` take longer than its steps."""


class Reached(Exception):
    """Thrown out of a training that is good enough."""


def scored(field: nn.Module, subject: Subject, supervision: Supervision, config: Config) -> float:
    """In R; infinite where there is no surface."""
    try:
        mesh = head_mesh(field, supervision, replace(config, mesh_resolution=CELLS))
    except SansfaceError:
        return float("inf")
    cameras = [frame.camera for frame in subject.capture.frames]
    lowest = subject.capture.meta.get("head_min_y")
    return score(mesh, subject.truth, cameras, subject.radius, lowest, np.random.default_rng(0)).score


@dataclass(frozen=True)
class Slow:
    """The run that is to be equalled.  reached: in R.  seconds: of its training.  words: to say of it."""

    reached: float
    seconds: float
    words: str


def read_result(path: Path) -> Slow:
    """What `sansface bench paper` wrote of a run; its seconds count the mesh, too."""
    found = read_json(path)["result"]
    words = f"{found['preset']}: {1e3 * found['score']:.2f}e-3 R in {found['seconds']:.0f} s"
    return Slow(found["score"], found["seconds"], words)


def run(
    subject: Subject, supervision: Supervision, config: Config, steps: int, seed: int, device: torch.device
) -> Slow:
    """Train for so many steps, half of them in each stage, or for all; score the mesh."""
    whole = {1: config.stage1.steps, 2: config.stage2.steps}
    if steps:
        stages = {f"stage{k}": replace(getattr(config, f"stage{k}"), steps=steps // 2) for k in (1, 2)}
        config = replace(config, **stages)
    wait = waiting(device)
    spent, worked = {1: 0.0, 2: 0.0}, {1: 0.0, 2: 0.0}  # by the clock, by processors
    since = time.perf_counter(), time.process_time()

    def clock(moment: Moment) -> None:
        nonlocal since
        wait()
        now = time.perf_counter(), time.process_time()
        spent[moment.stage] += now[0] - since[0]
        worked[moment.stage] += now[1] - since[1]
        since = now
        if moment.step % 25 == 0:
            print(
                f"{config.preset}, stage {moment.stage}, step {moment.step}: {sum(spent.values()):.0f} s, "
                f"beta {moment.losses['beta']:.4f}",
                flush=True,
            )

    field = train(supervision, config, seed, device, clock)
    reached, seconds = scored(field, subject, supervision, config), sum(spent.values())
    steps_of = {1: config.stage1.steps, 2: config.stage2.steps}
    cost = {stage: spent[stage] / steps_of[stage] for stage in steps_of}
    work = {stage: worked[stage] / steps_of[stage] for stage in steps_of}
    words = (
        f"{config.preset}: {cost[1]:.2f} s a step of stage 1, {cost[2]:.2f} s of stage 2; "
        f"{work[1]:.2f} and {work[2]:.2f} CPU-seconds\n"
        f"{config.preset}: {1e3 * reached:.2f}e-3 R after {config.stage1.steps} + {config.stage2.steps} steps"
        f" in {seconds:.0f} s"
    )
    if steps:
        projected = sum(whole[stage] * cost[stage] for stage in whole) / 3600
        full = (3 * whole[1] + 3 * whole[2] // 2) * cost[1] / 3600
        words += f"\nPROJECTION of the whole schedule: {projected:.1f} h, of full RGB's {full:.1f} h"
    return Slow(reached, seconds, words)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, nargs="?", default=CAPTURES / "lps")
    parser.add_argument("--preset", default="paper", choices=["paper", "paper-small"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--result", type=Path)
    parser.add_argument(
        "--beta", type=float, help="scale of the density to start with; default: the preset's"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device = chosen_device(options.device)
    wait = waiting(device)
    subject = read_subject(options.capture)
    supervision = from_bundle(protect(subject.capture, ProtectSettings(), rng=np.random.default_rng(0)))
    config, fast = preset(options.preset), preset("fast")
    assert isinstance(config, Config)
    assert isinstance(fast, Config)
    if options.beta:
        config = replace(config, field_settings=config.field_settings | {"beta": options.beta})
    if options.result:
        slow = read_result(options.result)
    else:
        slow = run(subject, supervision, config, options.steps, options.seed, device)

    trained, since = 0.0, time.perf_counter()
    best = float("inf")

    def until(moment: Moment) -> None:
        nonlocal trained, since, best
        wait()
        trained += time.perf_counter() - since
        if moment.step % EVERY == 0 or moment.step == moment.steps:
            best = min(best, scored(moment.field, subject, supervision, fast))
            if best <= slow.reached:
                raise Reached
        since = time.perf_counter()

    try:
        train(supervision, fast, options.seed, device, until)
        found = f"not reached: its best is {1e3 * best:.2f}e-3 R"
    except Reached:
        found = f"{1e3 * best:.2f}e-3 R after {trained:.1f} s, {slow.seconds / trained:.0f} times as fast"

    print(f"\n{device}, {torch.get_num_threads()} threads, {options.capture.name}, seed {options.seed}")
    print(slow.words)
    print(f"fast: {found}")


if __name__ == "__main__":
    main()
