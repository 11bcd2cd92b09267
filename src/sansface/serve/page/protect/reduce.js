/**
 * From full-size pixels to what may leave: undistorted, no background, small, σ away from the outline; twin of
 * `sansface/protect/reduce.py`.
 *
 * @typedef {object} Reduced a photograph without background; never leaves the worker in this form
 * @property {import("./camera.js").Camera} camera for the reduced size, without distortion, still in the world
 * @property {Float32Array} colour (h, w, 3) premultiplied sRGB: the mean over the pixel's area of coverage · colour
 * @property {Float32Array} coverage (h, w), the mean coverage over the pixel's area
 */

import { resized } from "./camera.js";
import { MAX_SCALE, insideOutline, levelsOf, mostOf, wordOf } from "./contents.js";
import { rint } from "./linear.js";
import { reachOf, sigmaOf } from "./operators.js";
import { evenDraw, gaussianDraws } from "./draws.js";
import { Refusal } from "./refusal.js";

const STRIP = 128; // rows of a photograph that are worked on at a time
const WHOLE = 1 - 1e-6; // reduced coverage from which a pixel counts as wholly subject
const TIE = 1e-3; // of a code: what is nearer to a half is rounded up, so that last bits do not decide

/**
 * Remove the background, undistort, and average over the area of each reduced pixel.
 * @param {import("./decode.js").Picture} picture
 * @param {import("./photograph.js").Coverage} coverage
 * @param {import("./camera.js").Camera} camera of that picture
 * @param {number} resolution pixels of the longer side
 * @returns {Reduced}
 */
export function reduced(picture, coverage, camera, resolution) {
  const longer = Math.max(camera.width, camera.height);
  if (longer < resolution) {
    throw new Refusal(`it has ${longer} pixels, fewer than the resolution ${resolution}; lower the resolution`);
  }
  const width = Math.max(1, rint((camera.width * resolution) / longer));
  const height = Math.max(1, rint((camera.height * resolution) / longer));
  const mean = new AreaMean(camera.width, camera.height, width, height);
  for (const { row, values } of premultipliedRows(picture, coverage, camera)) mean.add(row, values);
  const most = coverage.most * mean.weight;
  const pixels = width * height;
  const colour = new Float32Array(3 * pixels);
  const covered = new Float32Array(pixels);
  for (let at = 0; at < pixels; at++) {
    covered[at] = Math.min(1, mean.sums[4 * at + 3] / most);
    for (let k = 0; k < 3; k++) {
      colour[3 * at + k] = Math.min(covered[at], mean.sums[4 * at + k] / (most * picture.most));
    }
  }
  return { camera: resized(camera, width, height), colour, coverage: covered };
}

/**
 * Sums over equal areas, row by row of the source. Weights are whole numbers, in units of one part in
 * `width · height` of a source pixel, so that of ones the mean is exactly 1.
 */
class AreaMean {
  constructor(fromWidth, fromHeight, width, height) {
    this.parts = partsOf(fromWidth, width);
    this.rows = partsOf(fromHeight, height);
    this.sums = new Float64Array(4 * width * height);
    this.narrow = new Float64Array(4 * width);
    this.weight = fromWidth * fromHeight;
    this.row = 0;
  }

  /** @param {number} row of the source, from 0 on @param {Float64Array} values (width, 4) */
  add(row, values) {
    const { narrow, parts, rows, sums } = this;
    narrowed(values, parts, narrow);
    while (row > rows.last[this.row]) this.row++;
    for (let target = this.row; target < rows.count && rows.first[target] <= row; target++) {
      let weight = rows.count;
      if (row === rows.first[target]) weight = rows.head[target];
      else if (row === rows.last[target]) weight = rows.tail[target];
      const to = target * narrow.length;
      for (let k = 0; k < narrow.length; k++) sums[to + k] += weight * narrow[k];
    }
  }
}

/** Which source pixels each of `count` equal parts covers, and how much of the first and the last of them. */
function partsOf(size, count) {
  const [first, last, head, tail] = Array.from({ length: 4 }, () => new Float64Array(count));
  for (let part = 0; part < count; part++) {
    const [begin, end] = [part * size, (part + 1) * size];
    first[part] = Math.floor(begin / count);
    last[part] = Math.ceil(end / count) - 1;
    head[part] = Math.min(end, (first[part] + 1) * count) - begin;
    tail[part] = end - Math.max(begin, last[part] * count);
  }
  return { count, first, last, head, tail };
}

function narrowed(values, { count, first, last, head, tail }, result) {
  for (let part = 0; part < count; part++) {
    const [begin, end] = [4 * first[part], 4 * last[part]];
    let r = 0;
    let g = 0;
    let b = 0;
    let a = 0;
    for (let at = begin + 4; at < end; at += 4) {
      r += values[at];
      g += values[at + 1];
      b += values[at + 2];
      a += values[at + 3];
    }
    const more = end > begin ? tail[part] : 0;
    result[4 * part] = count * r + head[part] * values[begin] + more * values[end];
    result[4 * part + 1] = count * g + head[part] * values[begin + 1] + more * values[end + 1];
    result[4 * part + 2] = count * b + head[part] * values[begin + 2] + more * values[end + 2];
    result[4 * part + 3] = count * a + head[part] * values[begin + 3] + more * values[end + 3];
  }
}

/** From the top, (w, 4) of each undistorted row: colour code · coverage code, and coverage code. */
function* premultipliedRows(picture, coverage, camera) {
  const { width, height } = camera;
  const distorted = camera.distortion.some((value) => value !== 0);
  if (distorted && camera.K[1]) {
    throw new Refusal("its pixels are skewed and distorted at once; undistort the capture first");
  }
  const values = new Float64Array(4 * width);
  for (let top = 0; top < height; top += STRIP) {
    const count = Math.min(STRIP, height - top);
    if (!distorted) {
      const codes = picture.rows(top, count);
      for (let row = 0; row < count; row++) {
        premultiply(codes, row * width, picture.channels, coverage.data, (top + row) * width, values);
        yield { row: top + row, values };
      }
      continue;
    }
    const places = distortedPlaces(camera, top, count);
    const first = Math.min(height - 1, Math.max(0, Math.floor(places.least) - 1));
    const last = Math.min(height, Math.max(first + 1, Math.ceil(places.largest) + 2));
    const codes = picture.rows(first, last - first);
    const source = { codes, channels: picture.channels, coverage: coverage.data, first, last, width };
    for (let row = 0; row < count; row++) {
      sampled(source, places, row * width, values);
      yield { row: top + row, values };
    }
  }
}

function premultiply(codes, from, channels, coverage, covered, values) {
  const [green, blue] = channels > 2 ? [1, 2] : [0, 0];
  for (let at = 0, code = from * channels; at < values.length; at += 4, code += channels) {
    const alpha = coverage[covered++];
    values[at + 3] = alpha;
    if (alpha === 0) {
      values[at] = values[at + 1] = values[at + 2] = 0;
      continue;
    }
    values[at] = alpha * codes[code];
    values[at + 1] = alpha * codes[code + green];
    values[at + 2] = alpha * codes[code + blue];
  }
}

/** Where in the stored picture each pixel of some undistorted rows lies: Brown's model, pixel indices. */
function distortedPlaces({ K, width, distortion }, top, count) {
  const [k1, k2, p1, p2, k3] = distortion;
  const [fx, fy, cx, cy] = [K[0], K[4], K[2], K[5]];
  const across = new Float32Array(width * count);
  const down = new Float32Array(width * count);
  let least = Infinity;
  let largest = -Infinity;
  for (let row = 0, at = 0; row < count; row++) {
    const y = (top + row + 0.5 - cy) / fy;
    for (let column = 0; column < width; column++, at++) {
      const x = (column + 0.5 - cx) / fx;
      const r2 = x * x + y * y;
      const radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3));
      across[at] = fx * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + cx - 0.5;
      const place = fy * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + cy - 0.5;
      down[at] = place;
      if (place < least) least = place;
      if (place > largest) largest = place;
    }
  }
  return { across, down, least, largest };
}

/** Premultiplied, then interpolated; what the photograph did not see is not subject. */
function sampled(source, { across, down }, from, values) {
  const { codes, channels, coverage, first, last, width } = source;
  const [green, blue] = channels > 2 ? [1, 2] : [0, 0];
  for (let at = 0; at < values.length; at += 4, from++) {
    const left = Math.floor(across[from]);
    const above = Math.floor(down[from]);
    const [u, v] = [across[from] - left, down[from] - above];
    let r = 0;
    let g = 0;
    let b = 0;
    let a = 0;
    for (let corner = 0; corner < 4; corner++) {
      const x = left + (corner & 1);
      const y = above + (corner >> 1);
      if (!(x >= 0 && x < width && y >= first && y < last)) continue;
      const weight = (corner & 1 ? u : 1 - u) * (corner >> 1 ? v : 1 - v) * coverage[y * width + x];
      if (weight === 0) continue;
      const code = ((y - first) * width + x) * channels;
      r += weight * codes[code];
      g += weight * codes[code + green];
      b += weight * codes[code + blue];
      a += weight;
    }
    values[at] = r;
    values[at + 1] = g;
    values[at + 2] = b;
    values[at + 3] = a;
  }
}

/**
 * σ of a reduced photograph, and where it may be shared: only where all that σ sees is subject.
 * @param {Reduced} small
 * @param {import("./operators.js").Operator} operator
 * @returns {{sigma: Float32Array, shared: Uint8Array}} (h, w) each; σ is 0 where withheld
 */
export function modulusOf({ camera, colour, coverage }, operator) {
  const { width, height } = camera;
  const whole = Uint8Array.from(coverage, (value) => (value >= WHOLE ? 1 : 0));
  const shared = insideOutline(whole, width, height, reachOf(operator));
  const sigma = sigmaOf(operator, colour, width, height).map((value, at) => (shared[at] ? value : 0));
  return { sigma, shared };
}

/**
 * σ of one view times a random gain, plus random noise, where it is shared: what nobody is told. The gain
 * comes first, so that the noise, whose size is told, does not give it away.
 * @param {Float32Array} sigma (h, w)
 * @param {Uint8Array} shared (h, w)
 * @param {number} noise standard deviation, in units of σ
 * @param {number} gain the least factor; it is drawn between this and 1, evenly in its logarithm
 * @returns {Float32Array} (h, w)
 */
export function disturbed(sigma, shared, noise, gain) {
  const factor = gain < 1 ? gain ** evenDraw() : 1;
  const added = noise > 0 ? gaussianDraws(sigma.length) : null;
  return sigma.map((value, at) => {
    if (!shared[at]) return 0;
    return Math.min(MAX_SCALE, Math.max(0, value * factor + (added ? noise * added[at] : 0)));
  });
}

/** (h, w, 3) premultiplied colour, code = round(c · max). */
export function neutralCodes({ colour }, bits) {
  return wordOf(bits).from(colour, (value) => rint(value * mostOf(bits) + TIE));
}

/** (h, w) coverage, 255 = wholly subject. */
export function maskCodes({ coverage }) {
  return Uint8Array.from(coverage, (value) => rint(value * 255 + TIE));
}

/** (h, w): 0 = withheld, else code = 1 + round(σ / scale · (levels − 1)). */
export function sensitiveCodes(sigma, shared, scale, bits) {
  const steps = levelsOf(bits) - 1;
  const codeOf = (value) => 1 + rint(Math.min(1, Math.max(0, value / scale)) * steps);
  return wordOf(bits).from(sigma, (value, at) => (shared[at] ? codeOf(value) : 0));
}
