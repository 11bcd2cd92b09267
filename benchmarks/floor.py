"""What a step of stage 2 needs of the machine at least, what it takes, and where the time goes.

    python benchmarks/floor.py [CAPTURE] [--resolution 64] [--device cpu] [--steps 40] [--set NAME=VALUE ...]

The floor is the larger of two times: the step's floating-point operations over what a matrix product reaches
on this machine, and the bytes that must move over what a copy reaches. Operations are those of every kernel
of the plain form, for nothing sees into a compiled loop; bytes are those of the parameters, their gradients
and Adam's two moments, each read and written once, as if everything else stayed in caches. Beside them stand
the bytes that the plain kernels move one by one, which is what a program without fused ones has to wait for.

The profile runs the two halves of a step one after the other; the first line is the step as it is.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from commands import CAPTURES
from sansface.fields import grid
from sansface.fields.grid import GridField, GridSurface
from sansface.formats import read_capture
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.reconstruct import stages
from sansface.reconstruct.config import Config, changed, preset
from sansface.reconstruct.device import chosen_device
from sansface.reconstruct.supervision import Supervision, from_bundle
from sansface.settings import with_settings

WARM = 10
"""Steps before anything is measured."""
SLOW = ("exp", "expm1", "log", "pow", "sqrt", "sigmoid", "softplus", "tanh", "cumsum", "div")
"""Kernels that spend some ten operations on a number; the others one."""


class Counter(TorchDispatchMode):
    """Operations and bytes of every kernel, by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: dict[str, float] = defaultdict(float)
        self.bytes: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        made = [x for x in tree_leaves(out) if isinstance(x, torch.Tensor)]
        if func.is_view or not made or name in ("detach", "empty", "empty_like", "empty_strided"):
            return out
        kind, operations = _operations(name.rstrip("_"), given, made)
        self.operations[kind] += operations
        self.bytes[kind] += sum(x.numel() * x.element_size() for x in (*given, *made))
        return out


def _operations(name: str, given: list[torch.Tensor], made: list[torch.Tensor]) -> tuple[str, float]:
    """Kind of a kernel and its floating-point operations."""
    size = max(x.numel() for x in made)
    if name in ("mm", "addmm", "bmm", "matmul"):
        a, b = given[-2:]
        return "matrix products", 2.0 * a.numel() * b.shape[-1]
    if name.startswith("grid_sampler"):
        # Places and eight weights of a point, some 40; then a product and a sum for each corner and channel,
        # and in the derivative as many again for the values and for the places.
        values, points = sorted(given[-2:], key=lambda x: x.shape[-1] == 3)
        back = 3 if name.endswith("backward") else 1
        return "interpolation", points.numel() / 3 * back * (40 + 16 * values.shape[1])
    if name.startswith("_fused_adam"):
        return "Adam", 12.0 * sum(x.numel() for x in given) / 4
    if name.startswith("convolution"):
        return "σ", 18.0 * size
    return "one number after the other", size * (10.0 if name.removesuffix("_backward") in SLOW else 1.0)


class Clock:
    """Time of each part, without that of the parts within it."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.running = ["the rest"]
        self.since = time.perf_counter()
        self.wait = wait

    def change(self) -> None:
        """Give the time since the last change to the part that ran."""
        self.wait()
        now = time.perf_counter()
        self.seconds[self.running[-1]] += now - self.since
        self.since = now

    def timed(self, function: Callable, part: str | Callable[[], str]) -> Callable:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self.change()
            self.running.append(part if isinstance(part, str) else part())
            try:
                return function(*args, **kwargs)
            finally:
                self.change()
                self.running.pop()

        return run


@contextmanager
def parts(clock: Clock) -> Iterator[None]:
    """While this lasts, the parts of a step of a `GridField` are timed."""

    def in_turn(*names: str) -> Callable[[], str]:
        order = cycle(names)
        return lambda: next(order)

    looks = in_turn("pictures: find the surface", "silhouettes: find the surface")
    backs = in_turn(
        "pictures: derivative", "silhouettes and penalties: derivative", "pyramid and slopes: derivative"
    )
    places: list[tuple[Any, str, str | Callable[[], str]]] = [
        (stages, "look", looks),
        (stages, "render", "pictures: radiance and opacity"),
        (stages, "gradient_loss", "pictures: σ and losses"),
        (stages, "silhouette_loss", "silhouettes: coverage"),
        (GridSurface, "eikonal", "penalties"),
        (GridSurface, "smoothness", "penalties"),
        (GridSurface, "volume", "penalties"),
        (GridField, "now", "pyramid and slopes"),
        (torch.autograd, "backward", backs),
        (torch.optim.Adam, "step", "Adam"),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    try:
        for owner, name, part in places:
            setattr(owner, name, clock.timed(getattr(owner, name), part))
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


class Enough(Exception):
    """Thrown out of a training that has been looked at for long enough."""


def waiting(device: torch.device) -> Callable[[], None]:
    """Waits until all that a device was given is done."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def measured(
    supervision: Supervision, config: Config, device: torch.device, steps: int
) -> tuple[float, dict[str, float], Counter, int]:
    """Seconds of a step as it is, seconds of its parts one after the other, its kernels, its parameters."""
    wait = waiting(device)
    config = changed(config, {"stage1": {"steps": WARM}, "stage2": {"steps": 10_000}})
    parameters = 0

    def run(until: int, at: Callable[[int], None]) -> None:
        def watch(moment: stages.Moment) -> None:
            nonlocal parameters
            parameters = sum(p.numel() for p in moment.field.parameters())
            if moment.stage == 2:
                at(moment.step)
                if moment.step == until:
                    raise Enough

        try:
            stages.train(supervision, config, 0, device, watch)
        except Enough:
            wait()

    began: list[float] = []

    def whole(step: int) -> None:
        wait()
        if step >= WARM:
            began.append(time.perf_counter())

    run(WARM + steps, whole)
    step = float(np.median(np.diff(began)))

    clock, counter = Clock(wait), Counter()

    def apart(step: int) -> None:
        clock.change()
        if step == WARM:
            clock.seconds.clear()

    beside, compilable = stages.threads, grid.compilable
    stages.threads = _no_threads  # the clock knows no threads
    try:
        with parts(clock):
            run(WARM + steps, apart)

        def count(step: int) -> None:
            if step == WARM:
                counter.__enter__()
            if step == WARM + 1:
                counter.__exit__(None, None, None)

        grid.compilable = lambda values: False  # the counter sees into no loop
        run(WARM + 1, count)
    finally:
        stages.threads, grid.compilable = beside, compilable
    return step, {part: s / steps for part, s in clock.seconds.items()}, counter, parameters


@contextmanager
def _no_threads(device: torch.device, count: int) -> Iterator[None]:
    yield None


def machine(device: torch.device) -> tuple[float, float]:
    """What this machine reaches: operations of a matrix product, and bytes of a copy, a second."""
    wait = waiting(device)
    a, b = torch.rand((2048, 2048), device=device), torch.rand((2048, 2048), device=device)
    large = torch.rand(64 << 20, device=device)
    other = torch.empty_like(large)

    def best(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(8):
            wait()
            began = time.perf_counter()
            work()
            wait()
            times.append(time.perf_counter() - began)
        return min(times)

    products = best(lambda: torch.mm(a, b))
    return 2 * 2048**3 / products, 2 * 4 * large.numel() / best(lambda: other.copy_(large))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, nargs="?", default=CAPTURES / "lps")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--set", nargs="+", default=[], help="settings of the preset fast, NAME=VALUE")
    options = parser.parse_args()
    device = chosen_device(options.device)
    capture = read_capture(options.capture)
    bundle = protect(capture, ProtectSettings(resolution=options.resolution), rng=np.random.default_rng(0))
    config = with_settings(preset("fast", options.resolution), options.set)
    assert isinstance(config, Config)
    step, profile, counter, parameters = measured(from_bundle(bundle), config, device, options.steps)
    speed, bandwidth = machine(device)
    operations, moved = sum(counter.operations.values()), sum(counter.bytes.values())
    needed = 4 * parameters * 8  # value, gradient, two moments: each read and written

    print(f"{device}, {torch.get_num_threads()} threads: a matrix product does {speed / 1e9:.0f} GFLOP/s,")
    print(f"a copy moves {bandwidth / 1e9:.1f} GB/s.\n")
    print("| | a step of stage 2 | at this machine's best |")
    print("|---|---|---|")
    print(f"| as it is | {1e3 * step:.0f} ms | |")
    print(f"| operations | {operations / 1e9:.2f} GFLOP | {1e3 * operations / speed:.1f} ms |")
    print(f"| bytes that must move | {needed / 1e6:.0f} MB | {1e3 * needed / bandwidth:.1f} ms |")
    print(f"| bytes that plain kernels move | {moved / 1e9:.2f} GB | {1e3 * moved / bandwidth:.1f} ms |")
    floor = max(operations / speed, needed / bandwidth)
    print(f"\nFloor {1e3 * floor:.1f} ms; the step takes {step / floor:.0f} times that.\n")
    whole = sum(profile.values())
    print(f"| part, one after the other | {1e3 * whole:.0f} ms | share |")
    print("|---|---|---|")
    for part, seconds in sorted(profile.items(), key=lambda item: -item[1]):
        print(f"| {part} | {1e3 * seconds:.1f} | {100 * seconds / whole:.0f} % |")
    print("\n| kernels | GFLOP | GB |")
    print("|---|---|---|")
    for kind, count in sorted(counter.operations.items(), key=lambda item: -item[1]):
        print(f"| {kind} | {count / 1e9:.3f} | {counter.bytes[kind] / 1e9:.3f} |")


if __name__ == "__main__":
    main()
