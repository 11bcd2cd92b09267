/**
 * Affine maps of the plane, [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f; and what of a picture they
 * show, as OpenCV's warpAffine does. Places are indices of pixels, so a pixel's centre is a whole number.
 */

import { rint } from "../protect/linear.js";

const STEPS = 32; // OpenCV looks at places in steps of 1/32 pixel
export const GREY = 127; // beside a turned picture: edges that repeat its own last pixels look like heads

/** Turned counter-clockwise about a place, and scaled. */
export function turning([x, y], degrees, scale) {
  const a = scale * Math.cos((degrees * Math.PI) / 180);
  const b = scale * Math.sin((degrees * Math.PI) / 180);
  return [a, b, (1 - a) * x - b * y, -b, a, b * x + (1 - a) * y];
}

/** First `inner`, then `outer`. */
export function composed(outer, inner) {
  const [c, f] = applied(outer, [inner[2], inner[5]]);
  const at = (row, column) => outer[row] * inner[column] + outer[row + 1] * inner[column + 3];
  return [at(0, 0), at(0, 1), c, at(3, 0), at(3, 1), f];
}

export function inverted([a, b, c, d, e, f]) {
  const size = a * e - b * d;
  const [A, B, D, E] = [e / size, -b / size, -d / size, a / size];
  return [A, B, -(A * c + B * f), D, E, -(D * c + E * f)];
}

/** @param {number[]} point (2,) */
export function applied([a, b, c, d, e, f], [x, y]) {
  return [a * x + b * y + c, d * x + e * y + f];
}

/**
 * A picture under a map, interpolated linearly.
 * @param {import("./pixels.js").Pixels} pixels
 * @param {number[]} map from the picture's places to those of the result
 * @param {number} width of the result
 * @param {number} height of the result
 * @param {"grey" | "repeated"} beside what lies beside the picture: grey, or its own last pixels
 * @returns {import("./pixels.js").Pixels}
 */
export function mapped(pixels, map, width, height, beside = "grey") {
  const [a, b, c, d, e, f] = inverted(map);
  const data = new Uint8Array(3 * width * height);
  const repeated = beside === "repeated";
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const across = Math.floor((a * x + b * y + c) * STEPS + 0.5) / STEPS;
      const down = Math.floor((d * x + e * y + f) * STEPS + 0.5) / STEPS;
      const left = Math.floor(across);
      const top = Math.floor(down);
      const [u, v] = [across - left, down - top];
      for (let k = 0; k < 3; k++) {
        const upper = (1 - u) * code(pixels, left, top, k, repeated) + u * code(pixels, left + 1, top, k, repeated);
        const lower = (1 - u) * code(pixels, left, top + 1, k, repeated) + u * code(pixels, left + 1, top + 1, k, repeated);
        data[to + k] = rint((1 - v) * upper + v * lower);
      }
    }
  }
  return { width, height, data };
}

function code({ width, height, data }, x, y, k, repeated) {
  if (x >= 0 && y >= 0 && x < width && y < height) return data[3 * (y * width + x) + k];
  if (!repeated) return GREY;
  return data[3 * (Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))) + k];
}
