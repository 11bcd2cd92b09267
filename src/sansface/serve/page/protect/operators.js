/**
 * σ, the only way by which a sensitive photograph leaves the worker; twin of `sansface/protect/operators.py`,
 * which is the definition and says what each modulus is. Tests hold both against each other, the parameters
 * byte for byte.
 *
 * @typedef {object} Operator
 * @property {string} name
 * @property {number[]} kernelX (3, 3) numbers that float32 can say, correlated with the picture, rows are y
 * @property {number[]} kernelY (3, 3)
 * @property {string} modulus `sum-of-norms`, `norm-of-sum` or `structure-tensor`
 * @property {number} blur standard deviation of the Gaussian before the kernels, pixels; 0 = none
 * @property {number} window of the one that averages the structure tensor; 0 = none
 */

import { transposed } from "./linear.js";
import { Refusal, shown } from "./refusal.js";

const BLURS = [0.25, 8];
/** Pixels of the longer side from which on texture is blurred first, by 1 pixel here. */
const FINE = 256;
const SUM_OF_NORMS = "sum-of-norms";
const NORM_OF_SUM = "norm-of-sum";
const STRUCTURE_TENSOR = "structure-tensor";

/** Central difference along x, smoothed over three rows with these weights. */
function separable(rows) {
  const sum = rows[0] + rows[1] + rows[2];
  return rows.flatMap((row) => [-0.5, 0, 0.5].map((side) => Math.fround((row / sum) * side)));
}

function makeOperator(name, kernelX, blur, others = {}) {
  const { kernelY = transposed(kernelX), modulus = SUM_OF_NORMS, window = 0 } = others;
  return { name, kernelX, kernelY, modulus, blur, window };
}

const FALLING = [0, 0, 0, 0, -0.5, 0, 0, 0, 0.5];
const RISING = [0, 0, 0, 0, 0, -0.5, 0, 0.5, 0];

/** @type {Record<string, (blur?: number) => Operator>} */
export const OPERATORS = {
  sobel: (blur = 0) => makeOperator("sobel", separable([1, 2, 1]), blur),
  scharr: (blur = 0) => makeOperator("scharr", separable([3, 10, 3]), blur),
  prewitt: (blur = 0) => makeOperator("prewitt", separable([1, 1, 1]), blur),
  central: (blur = 0) => makeOperator("central", separable([0, 1, 0]), blur),
  roberts: (blur = 0) => makeOperator("roberts", FALLING, blur, { kernelY: RISING }),
  log: (blur = 1) => {
    if (blur === 0) {
      throw new Refusal("the operator log is a Laplacian of a Gaussian; give it a blur above 0, such as 1.");
    }
    const second = [0, 0, 0, 1, -2, 1, 0, 0, 0].map((value) => (value ? Math.fround(value * blur * blur) : 0));
    return makeOperator("log", second, blur, { modulus: NORM_OF_SUM });
  },
  structure: (blur = 0) =>
    makeOperator("structure", separable([1, 2, 1]), blur, { modulus: STRUCTURE_TENSOR, window: 1 }),
};

/**
 * Make an operator by name.
 * @param {string} name
 * @param {number | null} blur standard deviation, pixels; null for the operator's own, from FINE pixels on as
 *   many as `resolution` has of them
 * @param {number} resolution of the pictures' longer side, pixels
 * @returns {Operator}
 */
export function operatorNamed(name, blur = null, resolution = 64) {
  if (!Object.hasOwn(OPERATORS, name)) {
    throw new Refusal(`there is no operator ${shown(name)}; choose one of ${Object.keys(OPERATORS).join(", ")}.`);
  }
  if (blur === null) return resolution >= FINE ? OPERATORS[name](resolution / FINE) : OPERATORS[name]();
  if (typeof blur !== "number" || !(blur === 0 || (blur >= BLURS[0] && blur <= BLURS[1]))) {
    throw new Refusal(`the blur ${shown(blur)} is neither 0 nor ${BLURS[0]} to ${BLURS[1]} pixels; choose another.`);
  }
  return OPERATORS[name](blur);
}

/** Everything that defines σ, as the manifest has it; a blur or window of 0 is not named. */
export function parametersOf(operator) {
  const rows = (kernel) => [kernel.slice(0, 3), kernel.slice(3, 6), kernel.slice(6, 9)];
  return {
    name: operator.name,
    kernel_x: rows(operator.kernelX),
    kernel_y: rows(operator.kernelY),
    colour: "srgb",
    border: "replicate",
    modulus: operator.modulus,
    ...(operator.blur ? { blur: operator.blur } : {}),
    ...(operator.window ? { window: operator.window } : {}),
  };
}

/** How far σ sees: its value depends on pixels up to so many rows and columns away. */
export function reachOf(operator) {
  return 1 + Math.ceil(3 * operator.blur) + Math.ceil(3 * operator.window);
}

/**
 * σ of a picture.
 * @param {Operator} operator
 * @param {Float32Array} colour (height, width, 3), sRGB values in [0, 1]
 * @param {number} width
 * @param {number} height
 * @returns {Float32Array} (height, width), per pixel
 */
export function sigmaOf(operator, colour, width, height) {
  const channels = [0, 1, 2].map((channel) => {
    const image = smoothed(padded(colour, width, height, channel, reachOf(operator)), operator.blur);
    return { x: correlated(image, operator.kernelX, 3, 3), y: correlated(image, operator.kernelY, 3, 3) };
  });
  const sums = (term) => {
    const { width: columns, height: rows } = channels[0].x;
    const values = new Float64Array(columns * rows);
    for (const { x, y } of channels) {
      for (let at = 0; at < values.length; at++) values[at] += term(x.values[at], y.values[at]);
    }
    return { values, width: columns, height: rows };
  };
  if (operator.modulus === NORM_OF_SUM) {
    return Float32Array.from(sums((x, y) => (x + y) ** 2).values, (value) => Math.sqrt(value));
  }
  const xx = sums((x) => x * x);
  const yy = sums((x, y) => y * y);
  if (operator.modulus === STRUCTURE_TENSOR) {
    const tensor = [xx, sums((x, y) => x * y), yy];
    const [a, b, c] = tensor.map((part) => smoothed(part, operator.window).values);
    return Float32Array.from(a, (_, at) => Math.sqrt(Math.sqrt(a[at] ** 2 + 2 * b[at] ** 2 + c[at] ** 2)));
  }
  return Float32Array.from(xx.values, (value, at) => Math.sqrt(value) + Math.sqrt(yy.values[at]));
}

/** One channel of a picture, its border repeated `reach` pixels beyond. */
function padded(colour, width, height, channel, reach) {
  const [columns, rows] = [width + 2 * reach, height + 2 * reach];
  const values = new Float64Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    const y = Math.min(height - 1, Math.max(0, row - reach));
    for (let column = 0; column < columns; column++) {
      const x = Math.min(width - 1, Math.max(0, column - reach));
      values[row * columns + column] = colour[3 * (y * width + x) + channel];
    }
  }
  return { values, width: columns, height: rows };
}

/** The inside of a picture, as far as the Gaussian's weights have pixels all around. */
function smoothed(image, deviation) {
  if (deviation === 0) return image;
  const weights = gaussianWeights(deviation);
  return correlated(correlated(image, weights, 1, weights.length), weights, weights.length, 1);
}

/** Weights of a Gaussian at whole pixels, cut off at three standard deviations; they sum to 1. */
function gaussianWeights(deviation) {
  const most = Math.ceil(3 * deviation);
  const places = Array.from({ length: 2 * most + 1 }, (_, at) => at - most);
  const weights = places.map((place) => Math.exp(-0.5 * (place / deviation) ** 2));
  const total = weights.reduce((sum, weight) => sum + weight);
  return weights.map((weight) => Math.fround(weight / total));
}

function correlated(image, kernel, rows, columns) {
  const [width, height] = [image.width - columns + 1, image.height - rows + 1];
  const values = new Float64Array(width * height);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const weight = kernel[row * columns + column];
      if (!weight) continue;
      for (let y = 0; y < height; y++) {
        const from = (y + row) * image.width + column;
        for (let x = 0; x < width; x++) values[y * width + x] += weight * image.values[from + x];
      }
    }
  }
  return { values, width, height };
}
