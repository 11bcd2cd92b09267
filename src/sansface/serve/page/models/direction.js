/**
 * Where the head is and where its face looks, from the faces that the photographs show and their cameras; twin of
 * `sansface/faces/direction.py`.
 *
 * @typedef {object} Head
 * @property {number[]} center (3,) the middle between the ears, in the world
 * @property {number[]} forward (3,) unit vector
 */

import { centerOf } from "../protect/camera.js";
import { cross, dot, norm, solved } from "../protect/linear.js";

// Of MediaPipe's mesh of 468 points: the subject's right and left corners of eyes and mouth, and three others.
const RIGHT = [33, 133, 61];
const LEFT = [263, 362, 291];
const [NASION, CHIN, NOSE] = [168, 152, 1];
const USED = [...RIGHT, ...LEFT, NASION, CHIN];
const [AT_NASION, AT_CHIN] = [6, 7]; // in USED
const DEPTH = 0.75; // the middle between the ears lies so many face lengths behind the nasion
const PROFILE = 0.5; // offset of the nose tip, in eye distances, at which a face counts nothing
const OUTLIER = 0.05; // a view whose landmarks are so many face lengths off has half its weight
const LOOSE = 0.1; // median distance, in face lengths, beyond which faces and cameras disagree
const APART = (5 * Math.PI) / 180; // least angle between two views
const BESIDE = (45 * Math.PI) / 180; // the face looks at the cameras that see it from the front, to within this
const STEPS = 20;

const minus = (one, other) => one.map((value, axis) => value - other[axis]);
const scaled = (vector, factor) => vector.map((value) => value * factor);

/** Degrees, at the head's centre, between forward and a camera. */
export function angleFrom({ center, forward }, camera) {
  const offset = minus(centerOf(camera), center);
  return degreesBetween(offset, forward);
}

export function degreesBetween(one, other) {
  const cosine = dot(one, other) / Math.max(norm(one) * norm(other), 1e-300);
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
}

/**
 * The head, from the landmarks of all photographs that show its face: triangulated by least squares on the
 * distances to their rays, reweighted against outliers (Holland and Welsch 1977, Cauchy's weights).
 * @param {import("../protect/camera.js").Camera[]} cameras
 * @param {import("./detectors.js").Finding[][]} findings of each photograph
 * @returns {Head | null} null where too few photographs show the face, or where they contradict each other
 */
export function findHead(cameras, findings) {
  const views = cameras.map((camera, at) => viewOf(camera, findings[at])).filter((view) => view !== null);
  if (views.length < 2) return null;
  const middles = views.map(({ rays }) => {
    const sum = [0, 1, 2].map((axis) => rays.reduce((total, ray) => total + ray[axis], 0));
    return scaled(sum, 1 / norm(sum));
  });
  const least = Math.min(...middles.flatMap((one) => middles.map((other) => dot(one, other))));
  if (Math.acos(Math.max(-1, Math.min(1, least))) < APART) return null;
  const { points, distances } = triangulated(views);
  const down = minus(points[AT_CHIN], points[AT_NASION]);
  const length = norm(down);
  const across = [0, 1, 2].map((axis) => {
    return [0, 1, 2].reduce((sum, k) => sum + (points[3 + k][axis] - points[k][axis]) / 3, 0);
  });
  const normal = cross(down, across);
  const size = norm(normal);
  const weights = views.map(({ frontal }) => frontal);
  if (!(length > 0 && size > 0) || weightedMedian(distances, weights) > LOOSE * length) return null;
  const forward = scaled(normal, 1 / size);
  const mean = [0, 1, 2].map((axis) => -middles.reduce((sum, one, at) => sum + weights[at] * one[axis], 0));
  if (dot(forward, mean) <= Math.cos(BESIDE) * norm(mean)) return null;
  return { center: minus(points[AT_NASION], scaled(forward, DEPTH * length)), forward };
}

/** The largest face that has a mesh and is not in profile: the camera's centre, unit rays, and its weight. */
function viewOf(camera, findings) {
  const meshed = findings.filter(({ landmarks }) => landmarks);
  if (!meshed.length) return null;
  const area = ({ box }) => box[2] * box[3];
  const { landmarks } = meshed.reduce((most, one) => (area(one) > area(most) ? one : most));
  const point = (at) => [landmarks[2 * at], landmarks[2 * at + 1]];
  const between = (one, other) => scaled([one[0] + other[0], one[1] + other[1]], 0.5);
  const right = between(point(RIGHT[0]), point(RIGHT[1]));
  const left = between(point(LEFT[0]), point(LEFT[1]));
  const across = minus(left, right);
  const nose = minus(point(NOSE), between(right, left));
  const turned = Math.abs(dot(nose, across)) / Math.max(dot(across, across), 1e-300);
  if (!(turned < PROFILE)) return null;
  const rays = USED.map((at) => rayThrough(camera, point(at)));
  return { origin: centerOf(camera), rays, frontal: 1 - turned / PROFILE };
}

/** Unit vector in the world from the camera through a place of the stored, distorted picture. */
function rayThrough({ K, camFromWorld: pose, distortion }, [u, v]) {
  const [k1, k2, p1, p2, k3] = distortion;
  const given = [0, (v - K[5]) / K[4]];
  given[0] = (u - K[2] - K[1] * given[1]) / K[0];
  let [x, y] = given;
  for (let step = 0; step < STEPS; step++) {
    const r2 = x * x + y * y;
    const radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3));
    const dx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x);
    const dy = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y;
    [x, y] = [(given[0] - dx) / radial, (given[1] - dy) / radial];
  }
  const ray = [0, 1, 2].map((axis) => x * pose[axis] + y * pose[4 + axis] + pose[8 + axis]);
  return scaled(ray, 1 / norm(ray));
}

/** (8, 3) points nearest to their rays, Σ w ‖(I − d dᵀ)(x − o)‖² being least, and each view's mean distance. */
function triangulated(views) {
  let robust = views.map(() => 1);
  let points = [];
  let distances = [];
  for (let step = 0; step < STEPS; step++) {
    points = USED.map((_, k) => {
      const total = new Array(9).fill(0);
      const right = [0, 0, 0];
      for (const [at, { origin, rays, frontal }] of views.entries()) {
        for (let cell = 0; cell < 9; cell++) {
          const [i, j] = [Math.floor(cell / 3), cell % 3];
          const across = frontal * robust[at] * ((i === j ? 1 : 0) - rays[k][i] * rays[k][j]);
          total[cell] += across;
          right[i] += across * origin[j];
        }
      }
      return solved(total, right, 3, "the view of the face");
    });
    distances = views.map(({ origin, rays }) => {
      const each = rays.map((ray, k) => {
        const offset = minus(points[k], origin);
        return norm(minus(offset, scaled(ray, dot(offset, ray))));
      });
      return each.reduce((sum, value) => sum + value, 0) / each.length;
    });
    const length = norm(minus(points[AT_CHIN], points[AT_NASION]));
    robust = distances.map((distance) => 1 / (1 + (distance / Math.max(OUTLIER * length, 1e-300)) ** 2));
  }
  return { points, distances };
}

function weightedMedian(values, weights) {
  const order = values.map((_, at) => at).sort((one, other) => values[one] - values[other]);
  const half = weights.reduce((sum, weight) => sum + weight, 0) / 2;
  let sum = 0;
  return values[order.find((at) => (sum += weights[at]) >= half)];
}
