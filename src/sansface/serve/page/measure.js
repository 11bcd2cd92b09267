/**
 * Measurements on a triangle mesh: where a ray meets it, and curves in which a plane cuts it.
 *
 * Mesh as in mesh.js; points are arrays of three numbers in the mesh's frame, lengths in its unit.
 */

import { add, cross, distance, dot, scale, subtract, unit } from "./vector.js";

/**
 * The first point at which a ray meets the surface (Möller and Trumbore 1997).
 * @param {Mesh} mesh
 * @param {number[]} origin
 * @param {number[]} direction of any length
 * @returns {{point: number[], normal: number[]} | null} with the face's unit normal
 */
export function firstHit(mesh, origin, direction) {
  const { positions, faces } = mesh;
  let nearest = Infinity;
  let face = -1;
  for (let f = 0; f < faces.length; f += 3) {
    const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
    const ux = positions[b] - positions[a], uy = positions[b + 1] - positions[a + 1], uz = positions[b + 2] - positions[a + 2];
    const vx = positions[c] - positions[a], vy = positions[c + 1] - positions[a + 1], vz = positions[c + 2] - positions[a + 2];
    const px = direction[1] * vz - direction[2] * vy, py = direction[2] * vx - direction[0] * vz, pz = direction[0] * vy - direction[1] * vx;
    const determinant = ux * px + uy * py + uz * pz;
    if (Math.abs(determinant) < 1e-30) continue;
    const tx = origin[0] - positions[a], ty = origin[1] - positions[a + 1], tz = origin[2] - positions[a + 2];
    const s = (tx * px + ty * py + tz * pz) / determinant;
    if (s < 0 || s > 1) continue;
    const qx = ty * uz - tz * uy, qy = tz * ux - tx * uz, qz = tx * uy - ty * ux;
    const t = (direction[0] * qx + direction[1] * qy + direction[2] * qz) / determinant;
    if (t < 0 || s + t > 1) continue;
    const along = (vx * qx + vy * qy + vz * qz) / determinant;
    if (along > 0 && along < nearest) [nearest, face] = [along, f];
  }
  if (face < 0) return null;
  const [a, b, c] = [0, 1, 2].map((k) => vertex(positions, faces[face + k]));
  const normal = unit(cross(subtract(b, a), subtract(c, a))) ?? [0, 1, 0];
  return { point: add(origin, scale(direction, nearest)), normal };
}

/**
 * The curves in which a plane cuts the surface.
 * @param {Mesh} mesh
 * @param {{point: number[], normal: number[]}} plane
 * @returns {{points: number[][], closed: boolean}[]} a closed curve does not repeat its first point
 */
export function section(mesh, plane) {
  const { positions, faces } = mesh;
  const count = positions.length / 3;
  const height = new Float64Array(count);
  for (let i = 0; i < count; i++) height[i] = dot(subtract(vertex(positions, i), plane.point), plane.normal);
  // A vertex on the plane counts as above it, so a face is cut through two of its edges or through none.
  const nodes = new Map();
  const node = (i, j) => {
    const [low, high] = i < j ? [i, j] : [j, i];
    const key = low * count + high;
    if (!nodes.has(key)) {
      const t = height[low] / (height[low] - height[high]);
      const [a, b] = [vertex(positions, low), vertex(positions, high)];
      nodes.set(key, { point: add(a, scale(subtract(b, a), t)), next: [], seen: false });
    }
    return nodes.get(key);
  };
  for (let f = 0; f < faces.length; f += 3) {
    const corners = [faces[f], faces[f + 1], faces[f + 2]];
    const cut = [];
    for (let k = 0; k < 3; k++) {
      const [i, j] = [corners[k], corners[(k + 1) % 3]];
      if (height[i] >= 0 !== height[j] >= 0) cut.push(node(i, j));
    }
    if (cut.length === 2) {
      cut[0].next.push(cut[1]);
      cut[1].next.push(cut[0]);
    }
  }
  const curves = [];
  const ends = [...nodes.values()].filter((one) => one.next.length === 1);
  for (const start of [...ends, ...nodes.values()]) {
    if (start.seen) continue;
    const points = [];
    let here = start;
    while (here) {
      here.seen = true;
      points.push(here.point);
      here = here.next.find((other) => !other.seen);
    }
    curves.push({ points, closed: start.next.length === 2 && points.length > 2 });
  }
  return curves;
}

/** Length of a curve, its last stretch back to the first point included where it is closed. */
export function curveLength({ points, closed }) {
  let sum = closed ? distance(points.at(-1), points[0]) : 0;
  for (let i = 1; i < points.length; i++) sum += distance(points[i - 1], points[i]);
  return sum;
}

/**
 * The plane of a circumference through picked points.
 * @param {number[][]} points one: the level plane through it; two: through both, tilted no more than that
 *   asks for; three: through all.
 * @param {number[]} up unit vector
 * @returns {{point: number[], normal: number[]}}
 * @throws {Error} one sentence: the points lie so that they give no plane.
 */
export function planeThrough(points, up) {
  const [a, b, c] = points;
  let normal = up;
  if (c) normal = unit(cross(subtract(b, a), subtract(c, a)));
  else if (b) {
    const along = unit(subtract(b, a));
    normal = along && unit(subtract(up, scale(along, dot(up, along))));
  }
  if (!normal) throw new Error("The points lie one above the other or in a line; pick others.");
  return { point: a, normal };
}

/**
 * The closed curve round the surface through picked points.
 * @param {Mesh} mesh
 * @param {number[][]} points one to three, on the surface
 * @param {number[]} up unit vector
 * @returns {{length: number, curve: {points: number[][], closed: boolean}}}
 * @throws {Error} one sentence: no plane, or the curve is not closed.
 */
export function circumference(mesh, points, up) {
  const curve = nearestCurve(section(mesh, planeThrough(points, up)), points[0]);
  if (!curve?.closed) {
    throw new Error("The surface is open there, so there is no way round it; pick other points.");
  }
  return { length: curveLength(curve), curve };
}

/**
 * As a tape lies: the shorter part of the cut through two points of the surface, in the plane that holds both
 * and the mean of their normals.
 * @param {Mesh} mesh
 * @param {{point: number[], normal: number[]}} a
 * @param {{point: number[], normal: number[]}} b
 * @returns {{length: number, curve: {points: number[][], closed: boolean}} | null} null where that cut does
 *   not lead from one to the other.
 */
export function along(mesh, a, b) {
  const normal = unit(cross(subtract(b.point, a.point), add(a.normal, b.normal)));
  if (!normal) return null;
  const curve = nearestCurve(section(mesh, { point: a.point, normal }), a.point);
  if (!curve) return null;
  const near = 1e-6 + 1e-4 * distance(a.point, b.point);
  const [first, last] = [nearestOn(curve, a.point), nearestOn(curve, b.point)];
  if (first.distance > near || last.distance > near) return null;
  const ways = [stretch(curve, first, last)];
  if (curve.closed) ways.push(stretch(curve, last, first));
  const lengths = ways.map(curveLength);
  const best = lengths.indexOf(Math.min(...lengths));
  return { length: lengths[best], curve: ways[best] };
}

function vertex(positions, index) {
  return [positions[3 * index], positions[3 * index + 1], positions[3 * index + 2]];
}

function nearestCurve(curves, point) {
  let best = null;
  let least = Infinity;
  for (const curve of curves) {
    const { distance: far } = nearestOn(curve, point);
    if (far < least) [best, least] = [curve, far];
  }
  return best;
}

/** Nearest point of a curve: {distance, point, index of the stretch's first point, its share of the stretch}. */
function nearestOn({ points, closed }, point) {
  let best = { distance: Infinity };
  for (let i = 0; i < points.length - (closed ? 0 : 1); i++) {
    const [a, b] = [points[i], points[(i + 1) % points.length]];
    const way = subtract(b, a);
    const square = dot(way, way);
    const share = square > 0 ? Math.min(1, Math.max(0, dot(subtract(point, a), way) / square)) : 0;
    const here = add(a, scale(way, share));
    const far = distance(here, point);
    if (far < best.distance) best = { distance: far, point: here, index: i, share };
  }
  return best;
}

/** From one place on a curve forwards to another; an open curve is turned if need be. */
function stretch({ points, closed }, from, to) {
  const later = from.index + from.share > to.index + to.share;
  if (later && !closed) [from, to] = [to, from];
  const last = later && closed ? to.index + points.length : to.index;
  const between = [];
  for (let i = from.index + 1; i <= last; i++) between.push(points[i % points.length]);
  return { points: [from.point, ...between, to.point], closed: false };
}
