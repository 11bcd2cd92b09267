/**
 * The bounding sphere: from the visual hull of the masks, else from what all cameras look at; twin of
 * `sansface/protect/sphere.py`.
 *
 * @typedef {object} Sphere
 * @property {number[]} center (3,), in the world
 * @property {number} radius
 * @property {"masks" | "cameras" | "given"} source
 */

import { centerOf } from "./camera.js";
import { dot, eigenSymmetric, norm, product, solved } from "./linear.js";
import { Refusal } from "./refusal.js";

const GRIDS = [32, 64]; // voxels along each axis of the first carving grid, and of the one that fits
const MARGIN = 1.05; // the sphere is this much larger than the hull
const SEEN = 2 / 3; // part of the cameras that must see a place
const NEAREST = 0.9; // the sphere reaches at most this part of the way to the nearest camera

/**
 * The sphere around the visual hull, by voxel carving on a coarse grid and again on one that fits.
 * @param {import("./camera.js").Camera[]} cameras without distortion, in the world
 * @param {Uint8Array[]} masks for each camera (h, w) coverage, 0 = background
 * @returns {Sphere | null} null if nothing remains: the masks or poses contradict each other
 */
export function sphereFromMasks(cameras, masks) {
  const start = sphereFromCameras(cameras);
  const views = cameras.map((camera, at) => ({
    P: product(camera.K, camera.camFromWorld.slice(0, 12), 3),
    width: camera.width,
    height: camera.height,
    mask: widened(masks[at], camera.width, camera.height),
  }));
  let low = start.center.map((value) => value - 1.6 * start.radius);
  let high = start.center.map((value) => value + 1.6 * start.radius);
  let left = [];
  let voxel = [];
  for (const voxels of GRIDS) {
    voxel = low.map((value, axis) => (high[axis] - value) / voxels);
    left = carved(low, high, voxels, views);
    if (!left.length) return null;
    const range = extremes(left);
    low = range.low.map((value, axis) => value - voxel[axis]);
    high = range.high.map((value, axis) => value + voxel[axis]);
  }
  const range = extremes(left);
  const center = range.low.map((value, axis) => (value + range.high[axis]) / 2);
  let most = 0;
  for (let at = 0; at < left.length; at += 3) {
    most = Math.max(most, norm([left[at] - center[0], left[at + 1] - center[1], left[at + 2] - center[2]]));
  }
  return { center, radius: outsideCameras(MARGIN * (most + norm(voxel) / 2), center, cameras), source: "masks" };
}

/**
 * The sphere that the cameras look at: where rays through their pictures' middles nearly meet, as wide as those. Of a
 * picture that was cut out of a larger one the middle ray is not the optical axis.
 * @param {import("./camera.js").Camera[]} cameras
 * @returns {Sphere}
 */
export function sphereFromCameras(cameras) {
  const centers = cameras.map(centerOf);
  const axes = cameras.map(middleRay);
  const total = new Array(9).fill(0);
  const right = [0, 0, 0];
  for (const [at, axis] of axes.entries()) {
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        const across = (i === j ? 1 : 0) - axis[i] * axis[j];
        total[3 * i + j] += across;
        right[i] += across * centers[at][j];
      }
    }
  }
  if (eigenSymmetric(total).values[0] < 1e-3 * cameras.length) {
    throw new Refusal("the cameras' axes do not meet, so no sphere can be found; give center and radius.");
  }
  const center = solved(total, right, 3, "the cameras' view");
  const depths = centers.map((place, at) => dot(center.map((value, axis) => value - place[axis]), axes[at]));
  if (median(depths) <= 0) {
    throw new Refusal("the cameras look away from each other; check the poses, or give center and radius.");
  }
  const halves = cameras.map(({ K, width, height }) => Math.min(width / K[0], height / K[4]) / 2);
  const radii = halves.map((half, at) => Math.max(depths[at], 0) * half);
  return { center, radius: outsideCameras(median(radii), center, cameras), source: "cameras" };
}

/** (3,) unit vector in the world, without distortion. */
function middleRay({ K, width, height, camFromWorld: pose }) {
  const y = (height / 2 - K[5]) / K[4];
  const x = (width / 2 - K[2] - K[1] * y) / K[0];
  const ray = [0, 1, 2].map((axis) => x * pose[axis] + y * pose[4 + axis] + pose[8 + axis]);
  return ray.map((value) => value / norm(ray));
}

function outsideCameras(radius, center, cameras) {
  const distances = cameras.map((camera) => norm(centerOf(camera).map((value, axis) => value - center[axis])));
  return Math.min(radius, NEAREST * Math.min(...distances));
}

function median(values) {
  const sorted = values.slice().sort((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** x, y, z, x, ... of a box's voxels that no camera carves away and `SEEN` of the cameras see. */
function carved(low, high, voxels, views) {
  const places = low.map((value, axis) =>
    Float64Array.from({ length: voxels }, (_, k) => value + ((k + 0.5) / voxels) * (high[axis] - value)),
  );
  const left = [];
  for (const x of places[0]) {
    for (const y of places[1]) {
      for (const z of places[2]) if (stays(x, y, z, views)) left.push(x, y, z);
    }
  }
  return left;
}

/** A picture that does not see a place does not carve it, for it may cut the subject. */
function stays(x, y, z, views) {
  let seen = 0;
  for (const { P, width, height, mask } of views) {
    const depth = P[8] * x + P[9] * y + P[10] * z + P[11];
    if (!(depth > 0)) continue;
    const column = Math.floor((P[0] * x + P[1] * y + P[2] * z + P[3]) / depth);
    const row = Math.floor((P[4] * x + P[5] * y + P[6] * z + P[7]) / depth);
    if (!(column >= 0 && row >= 0 && column < width && row < height)) continue;
    if (!mask[row * width + column]) return false;
    seen++;
  }
  return seen >= SEEN * views.length;
}

function extremes(points) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let at = 0; at < points.length; at++) {
    low[at % 3] = Math.min(low[at % 3], points[at]);
    high[at % 3] = Math.max(high[at % 3], points[at]);
  }
  return { low, high };
}

/** 1 within one pixel of subject. */
function widened(mask, width, height) {
  const result = new Uint8Array(mask.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (!mask[row * width + column]) continue;
      for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y++) {
        result.fill(1, y * width + Math.max(0, column - 1), y * width + Math.min(width, column + 2));
      }
    }
  }
  return result;
}
