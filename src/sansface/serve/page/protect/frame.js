/**
 * The way back from a bundle's normalised frame to the user's own, which stays with the user; twin of
 * `sansface/protect/frame.py`. `way_back.js` goes it.
 *
 * @typedef {object} UserFrame what `NAME.frame.json` holds: x_world = center + radius · rotation x_norm
 * @property {number} schema
 * @property {string} bundle SHA-256 of the bundle to which it belongs
 * @property {number[]} center (3,)
 * @property {number} radius
 * @property {number[][]} rotation (3, 3)
 * @property {string} unit
 */

import { centerOf, turned } from "./camera.js";
import { cross, dot, eigenSymmetric, norm } from "./linear.js";

export const NORMALISED = "arbitrary"; // the unit of a bundle that does not say its user's
const LEVEL = 0.2;

/**
 * The same bundle in a frame that says nothing of the world, and the rotation back: +y is up as the cameras
 * were held, +z is towards the cameras of the sensitive photographs.
 * @param {import("./contents.js").Bundle} bundle
 * @returns {{bundle: import("./contents.js").Bundle, rotation: number[]}} rotation is (3, 3)
 */
export function withoutFrame(bundle) {
  const cameras = bundle.frames.map((frame) => frame.camera);
  const sensitive = bundle.frames.filter((frame) => frame.role === "sensitive");
  const before = sensitive.map((frame) => centerOf(frame.camera));
  const towards = meanOf(before.map((center) => center.map((value) => value / norm(center))));
  const rotation = upright(upDirection(cameras), towards);
  const frames = bundle.frames.map((frame) => ({ ...frame, camera: turned(frame.camera, rotation) }));
  return { bundle: { ...bundle, frames, center: [0, 0, 0], radius: 1, unit: NORMALISED }, rotation };
}

/**
 * (3,) up for people who hold their cameras level: perpendicular to the pictures' horizontal axes. Of photographs that
 * lie on their side, all around the subject, up is on the left.
 */
function upDirection(cameras) {
  const upward = meanOf(cameras.map((camera) => camera.camFromWorld.slice(4, 7))).map((value) => -value);
  const across = cameras.map((camera) => camera.camFromWorld.slice(0, 3));
  const spread = meanOf(across.map((axis) => axis.flatMap((one) => axis.map((other) => one * other))));
  const { values, vectors } = eigenSymmetric(spread);
  const level = vectors[0].map((value) => (dot(vectors[0], upward) >= 0 ? value : -value));
  if (values[1] > LEVEL && values[0] < LEVEL / 2) return level;
  const length = norm(upward);
  if (length < LEVEL && values[2] > 1 - LEVEL) {
    const side = dot(vectors[2], meanOf(across));
    return vectors[2].map((value) => (side > 0 ? -value : value));
  }
  return length > 0 ? upward.map((value) => value / length) : level;
}

/** (3, 3) of columns x, y = up, and z as near to `towards` as that allows; z is any where `towards` is up. */
function upright(up, towards) {
  let level = withoutPart(towards, up);
  if (norm(level) < 1e-6) {
    const sizes = up.map(Math.abs);
    const least = sizes.indexOf(Math.min(...sizes));
    level = withoutPart([0, 1, 2].map((axis) => (axis === least ? 1 : 0)), up);
  }
  const z = level.map((value) => value / norm(level));
  const x = cross(up, z);
  return [0, 1, 2].flatMap((row) => [x[row], up[row], z[row]]);
}

function withoutPart(vector, up) {
  const part = dot(vector, up);
  return vector.map((value, axis) => value - part * up[axis]);
}

function meanOf(vectors) {
  return vectors[0].map((_, axis) => vectors.reduce((sum, vector) => sum + vector[axis], 0) / vectors.length);
}
