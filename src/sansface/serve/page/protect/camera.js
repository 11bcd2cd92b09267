/**
 * A pinhole camera with Brown's distortion, in OpenCV's axes; twin of `sansface/capture.py`.
 * x_cam = R x_world + t, pixel = K x_cam / z_cam, with the first pixel's centre at (0.5, 0.5).
 *
 * @typedef {object} Camera
 * @property {number[]} K (3, 3), row by row
 * @property {number} width of the picture, pixels
 * @property {number} height
 * @property {number[]} camFromWorld (4, 4), rigid
 * @property {number[]} distortion (5,): k1, k2, p1, p2, k3
 */

import { determinant, dot, product, transposed } from "./linear.js";
import { Refusal, shown } from "./refusal.js";

export const UNITS = ["unknown", "arbitrary", "mm", "cm", "m", "in"];
export const RIGID_TOLERANCE = 1e-4;
export const MAX_SIDE = 32766;

/**
 * A camera, if it is one.
 * @param {Camera} given
 * @returns {Camera} a copy in plain arrays
 */
export function checkedCamera(given) {
  const K = finiteNumbers(given.K, 9, "the intrinsic matrix K");
  const pose = finiteNumbers(given.camFromWorld, 16, "the pose");
  const distortion = finiteNumbers(given.distortion ?? [0, 0, 0, 0, 0], 5, "the distortion");
  for (const name of ["width", "height"]) {
    const side = given[name];
    if (!Number.isInteger(side) || side < 1 || side > MAX_SIDE) {
      throw new Refusal(
        `the image ${name} ${shown(side)} is not a whole number from 1 to ${MAX_SIDE}; correct it.`,
      );
    }
  }
  const shaped = K[3] === 0 && K[6] === 0 && K[7] === 0 && K[8] === 1;
  if (!(K[0] > 0 && K[4] > 0 && shaped)) {
    throw new Refusal("the matrix K is not [fx s cx; 0 fy cy; 0 0 1] with positive focal lengths; correct it.");
  }
  checkRigid(pose);
  return { K, width: given.width, height: given.height, camFromWorld: pose, distortion };
}

function finiteNumbers(values, count, name) {
  if (values?.length !== count) {
    const found = values?.length ?? "no";
    throw new Refusal(`${name} has ${found} numbers instead of ${count}; correct the camera file.`);
  }
  const result = Array.from(values);
  if (!result.every(Number.isFinite)) {
    throw new Refusal(`${name} holds a number that is not finite; correct the camera file.`);
  }
  return result;
}

function checkRigid(pose) {
  if (pose[12] !== 0 || pose[13] !== 0 || pose[14] !== 0 || pose[15] !== 1) {
    throw new Refusal("the pose's last row is not 0 0 0 1; give a rigid 4 × 4 matrix.");
  }
  const R = rotationOf(pose);
  if (!isRotation(R)) {
    const flat = R.every((value) => Math.abs(value) < 2) && Math.abs(determinant(R)) < 1e-6;
    const kind = flat ? "singular" : "scaled or sheared";
    throw new Refusal(`the pose is ${kind}, not rotation and translation; give a rigid 4 × 4 matrix.`);
  }
  if (determinant(R) < 0) {
    throw new Refusal("the pose is mirrored (determinant −1); flip one axis of the world or the camera.");
  }
}

/** @param {number[]} R (3, 3) @returns {boolean} is R Rᵀ = I, mirrored or not? */
export function isRotation(R) {
  const same = product(R, transposed(R), 3);
  return same.every((value, at) => Math.abs(value - (at % 4 ? 0 : 1)) <= RIGID_TOLERANCE);
}

/** @param {number[]} pose (4, 4) @returns {number[]} (3, 3) */
export function rotationOf(pose) {
  return [pose[0], pose[1], pose[2], pose[4], pose[5], pose[6], pose[8], pose[9], pose[10]];
}

/** @param {Camera} camera @returns {number[]} (3,) its centre −Rᵀ t in the world */
export function centerOf(camera) {
  const p = camera.camFromWorld;
  const t = [p[3], p[7], p[11]];
  return [0, 1, 2].map((axis) => -dot([p[axis], p[4 + axis], p[8 + axis]], t));
}

/** The camera of the same picture at another size, its pixels already undistorted. */
export function resized(camera, width, height) {
  const [sx, sy] = [width / camera.width, height / camera.height];
  const K = camera.K.map((value, at) => (at < 3 ? sx * value : at < 6 ? sy * value : value));
  return { ...camera, K, width, height, distortion: [0, 0, 0, 0, 0] };
}

/** The same camera where x_norm = (x_world − center) / radius: R' = R, t' = (R center + t) / radius. */
export function normalized(camera, center, radius) {
  const pose = camera.camFromWorld.slice();
  for (const row of [0, 4, 8]) {
    pose[row + 3] = (dot(pose.slice(row, row + 3), center) + pose[row + 3]) / radius;
  }
  return { ...camera, camFromWorld: pose };
}

/** The same camera in a world that is turned: R' = R Q, x = Q x'. */
export function turned(camera, Q) {
  const pose = camera.camFromWorld.slice();
  const R = product(rotationOf(pose), Q, 3);
  for (let row = 0; row < 3; row++) for (let k = 0; k < 3; k++) pose[4 * row + k] = R[3 * row + k];
  return { ...camera, camFromWorld: pose };
}
