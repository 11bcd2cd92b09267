"""Shapes compared as they are: what is left between two heads after the best rigid motion."""

from collections.abc import Callable, Sequence

import numpy as np

from sansface.audit.artefacts.cloud import Cloud
from sansface.evaluate.align import icp

POINTS = 600
"""Of a probe, that are brought onto the scan."""
ITERATIONS = 12
FARTHEST = 0.1
"""Share of the points that counts no further: hair, and what one of the two does not have."""


def residual(probe: Cloud, scan: Cloud) -> float:
    """Root mean square distance from the scan's tangent planes, of the nearest points, after ICP.

    Begins with the two centres on each other and no turn: an attacker knows which way a head looks.
    """
    start = np.eye(4)
    start[:3, 3] = scan.points.mean(axis=0) - probe.points.mean(axis=0)
    begun = probe.moved(start)
    moved = begun.moved(icp(begun.points, scan, scan.normals, ITERATIONS))
    _, nearest, which = scan.query(moved.points)
    away = np.abs(np.einsum("ij,ij->i", moved.points - nearest, scan.normals[which]))
    kept = np.sort(away)[: max(1, round((1 - FARTHEST) * len(away)))]
    return float(np.sqrt(np.square(kept).mean()))


def by_residual(
    probes: Sequence[Cloud],
    scans: Sequence[Cloud],
    rng: np.random.Generator,
    progress: Callable[[float], None] = lambda done: None,
) -> np.ndarray:
    """(probes, scans) float64: −`residual` of every pair, in the unit of the points; more is likelier.

    rng: draws the points of a probe.
    """
    result = np.zeros((len(probes), len(scans)))
    for row, probe in enumerate(probes):
        few = probe.drawn(POINTS, rng)
        result[row] = [-residual(few, scan) for scan in scans]
        progress((row + 1) / len(probes))
    return result
