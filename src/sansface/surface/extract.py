"""Marching cubes in slabs, coarse to fine, with bounded memory."""

from collections.abc import Callable

import numpy as np
from skimage.measure import marching_cubes

from sansface.errors import SansfaceError
from sansface.surface.mesh import Mesh

Sdf = Callable[[np.ndarray], np.ndarray]

SAFETY = 1.5
"""A learned distance is only about 1-Lipschitz: a cell is searched as if the surface were this much nearer.
"""

_NUDGE = 1e-3
"""Least |f| at a node, in voxels: keeps every vertex off the nodes, so that each lies on one edge for
certain.
"""

_BATCH = 1 << 18


def extract(
    sdf: Sdf, resolution: int = 256, *, bound: float = 1.0, block: int = 64, coarse: int = 64
) -> Mesh:
    """The zero set of a signed distance function as one welded mesh (Lewiner et al. 2003).

    sdf: (n, 3) float32 points of the cube [-bound, bound]^3 to (n,) distances, negative inside.  resolution:
    cells along an edge of the cube, or a few more.  block: layers of cells held in memory at a time.  coarse:
    at most so many cells along an edge for the first look; a coarse cell is searched finely where

        min over its corners of |f|  <  SAFETY * half its diagonal,

    or it or one of its neighbours has a change of sign, or the fine surface turns out to run into it.

    Returns vertices in the same frame, faces anticlockwise seen from outside; open where the surface leaves
    the cube.
    Raises SansfaceError where there is no surface or the function gives a number that is not finite.
    """
    if resolution < 2 or block < 1 or coarse < 1 or not bound > 0:
        raise SansfaceError(
            "marching cubes needs resolution >= 2 and positive block, coarse and bound; correct them."
        )
    stride = -(-resolution // coarse)
    resolution = stride * -(-resolution // stride)
    grid = _Grid(sdf, resolution, stride, bound)
    active = _near_surface(grid.corners, stride * grid.voxel)
    layers = max(1, block // stride)
    while True:
        mesh, missed = _sweep(grid, active, layers)
        if not missed.any():
            break
        active |= missed
    if mesh is None:
        raise SansfaceError(
            "there is no surface inside the bounding sphere; train longer or with another seed, or check the"
            " sphere and the masks."
        )
    return mesh


class _Grid:
    """The function on the nodes of a grid: everywhere on the coarse one, on the fine one where it is asked
    for.
    """

    def __init__(self, sdf: Sdf, resolution: int, stride: int, bound: float) -> None:
        self.sdf, self.stride, self.bound = sdf, stride, bound
        self.voxel = 2 * bound / resolution
        self.axis = np.linspace(-bound, bound, resolution + 1).astype(np.float32)
        self.cells = resolution // stride
        coarse = self.axis[::stride]
        points = np.stack(np.meshgrid(coarse, coarse, coarse, indexing="ij"), axis=-1)
        self.corners = self._evaluate(points.reshape(-1, 3)).reshape(points.shape[:3])

    def _evaluate(self, points: np.ndarray) -> np.ndarray:
        values = np.asarray(self.sdf(points), dtype=np.float32).reshape(-1)
        if not np.isfinite(values).all():
            raise SansfaceError(
                "the distance field has values that are not finite; train again with another seed or a lower"
                " learning rate."
            )
        least = np.float32(_NUDGE * self.voxel)
        return np.where(np.abs(values) < least, np.where(values < 0, -least, least), values)

    def slab(self, active: np.ndarray, start: int, stop: int, first_plane: np.ndarray | None) -> np.ndarray:
        """Values on the nodes of the coarse layers [start, stop): (layers * stride + 1, n, n) float32.

        Nodes that belong to no active cell take the value of a corner of theirs, which has the sign of all
        eight. first_plane: the last plane of the slab below, taken as it is: a field may answer differently
        in the last bit when asked in another batch, and the two slabs must agree on every sign.
        """
        values = self.corners[start : stop + 1]
        for axis in range(3):
            size = (values.shape[axis] - 1) * self.stride + 1
            values = np.take(np.repeat(values, self.stride, axis=axis), range(size), axis=axis)
        needed = _closed(active[start:stop], self.stride)
        if stop < self.cells:
            needed[-1] |= _closed(active[stop : stop + 1], self.stride)[0]
        if first_plane is not None:
            values[0], needed[0] = first_plane, False
        flat, nodes = values.reshape(-1), np.flatnonzero(needed)
        for batch in np.split(nodes, range(_BATCH, len(nodes), _BATCH)):
            x, y, z = np.unravel_index(batch, values.shape)
            flat[batch] = self._evaluate(
                np.stack([self.axis[x + start * self.stride], self.axis[y], self.axis[z]], axis=1)
            )
        return values


def _sweep(grid: _Grid, active: np.ndarray, layers: int) -> tuple[Mesh | None, np.ndarray]:
    """Slab by slab: the mesh, or None where nothing was found, and the cells that should have been active
    too.
    """
    missed = np.zeros_like(active)
    weld, plane = _Weld(grid), None
    for start in range(0, grid.cells, layers):
        stop = min(start + layers, grid.cells)
        values = grid.slab(active, start, stop, plane)
        plane = values[-1].copy()
        inside = values < 0
        mixed = _any_in_cells(inside, grid.stride) & _any_in_cells(~inside, grid.stride)
        missed[start:stop] = mixed & ~active[start:stop]
        if mixed.any() and not missed.any():
            weld.add(values, mixed, start)
    return weld.mesh(), missed


class _Weld:
    """Joins the slabs' meshes: vertices on a shared plane are the same when they lie on the same edge of the
    grid.
    """

    def __init__(self, grid: _Grid) -> None:
        self.grid = grid
        self.vertices: list[np.ndarray] = []
        self.faces: list[np.ndarray] = []
        self.count = 0
        self.plane_keys, self.plane_ids = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def add(self, values: np.ndarray, mixed: np.ndarray, start: int) -> None:
        """Run marching cubes on the slab that begins at coarse layer `start`, within the box of its mixed
        cells.
        """
        s, n = self.grid.stride, len(self.grid.axis)
        box = [np.flatnonzero(mixed.any(axis=tuple({0, 1, 2} - {k}))) for k in range(3)]
        low = np.array([cells[0] * s for cells in box])
        high = np.array([(cells[-1] + 1) * s + 1 for cells in box])
        part = np.ascontiguousarray(values[low[0] : high[0], low[1] : high[1], low[2] : high[2]])
        # "descent" takes the low values for the object, which makes the faces turn anticlockwise seen from
        # outside.
        found, faces, _, _ = marching_cubes(part, 0.0, gradient_direction="descent")
        position, axis, node = _on_edges(part, found)
        shift = low + np.array([start * s, 0, 0])
        keys = np.ravel_multi_index(tuple((node + shift).T), (n, n, n)) * 3 + axis
        ids = np.arange(self.count, self.count + len(found))
        fresh = np.full(len(found), True)
        below = np.flatnonzero((node[:, 0] + shift[0] == start * s) & (axis > 0))
        if len(below) and len(self.plane_keys):
            at = np.minimum(np.searchsorted(self.plane_keys, keys[below]), len(self.plane_keys) - 1)
            known = self.plane_keys[at] == keys[below]
            ids[below[known]] = self.plane_ids[at[known]]
            fresh[below[known]] = False
        ids[fresh] = self.count + np.arange(fresh.sum())
        self.count += int(fresh.sum())
        self.vertices.append(-self.grid.bound + self.grid.voxel * (position[fresh] + shift))
        self.faces.append(ids[faces])
        above = np.flatnonzero((node[:, 0] + shift[0] == start * s + len(values) - 1) & (axis > 0))
        above = above[np.argsort(keys[above])]
        self.plane_keys, self.plane_ids = keys[above], ids[above]

    def mesh(self) -> Mesh | None:
        if not self.faces:
            return None
        return Mesh(np.concatenate(self.vertices), np.concatenate(self.faces))


def _on_edges(values: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices in voxels, worked out again in float64, the axis of the edge that each lies on and its first
    node.

    Lewiner's tables also put a vertex inside an ambiguous cell; it lies on no edge, keeps its place and gets
    axis -1, and no other slab can know it.
    """
    nearest = np.rint(found).astype(np.int64)
    off = np.abs(found - nearest)
    axis = off.argmax(axis=1)
    row = np.arange(len(found))
    rest = off.copy()
    rest[row, axis] = 0
    node = nearest.copy()
    node[row, axis] = np.floor(found[row, axis]).astype(np.int64)
    node = np.minimum(node, np.array(values.shape) - 1)
    end = node.copy()
    end[row, axis] = np.minimum(end[row, axis] + 1, np.array(values.shape)[axis] - 1)
    a = values[tuple(node.T)].astype(np.float64)
    b = values[tuple(end.T)].astype(np.float64)
    edge = (rest.max(axis=1) < 1e-4) & ((a < 0) != (b < 0))
    position = np.where(edge[:, None], node, found).astype(np.float64)
    position[row[edge], axis[edge]] += a[edge] / (a[edge] - b[edge])
    return position, np.where(edge, axis, -1), node


def _near_surface(corners: np.ndarray, size: float) -> np.ndarray:
    """(c, c, c) bool, the coarse cells to search; size: their edge."""
    near = _any_in_cells(np.abs(corners) < SAFETY * size * np.sqrt(3) / 2, 1)
    inside = corners < 0
    change = _any_in_cells(inside, 1) & _any_in_cells(~inside, 1)
    # A cell's neighbours are those that share a corner with it.
    return near | _any_in_cells(_closed(change, 1), 1)


def _any_in_cells(nodes: np.ndarray, stride: int) -> np.ndarray:
    """Nodes (a * stride + 1, ...) bool to cells (a, ...): whether any node of the closed cell is True."""
    for axis in range(3):
        nodes = np.moveaxis(nodes, axis, 0)
        body = nodes[:-1].reshape(-1, stride, *nodes.shape[1:]).any(axis=1)
        nodes = np.moveaxis(body | nodes[stride::stride], 0, axis)
    return nodes


def _closed(cells: np.ndarray, stride: int) -> np.ndarray:
    """Cells (a, ...) bool to nodes (a * stride + 1, ...): whether a node belongs to a cell that is True."""
    for axis in range(3):
        cells = np.repeat(np.moveaxis(cells, axis, 0), stride, axis=0)
        nodes = np.zeros((len(cells) + 1, *cells.shape[1:]), bool)
        nodes[:-1] = cells
        nodes[1:] |= cells
        cells = np.moveaxis(nodes, 0, axis)
    return cells
