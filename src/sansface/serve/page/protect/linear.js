/** Small dense matrices, row by row in plain arrays: (3, 3) has 9 numbers, (4, 4) has 16. */

import { Refusal } from "./refusal.js";

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b (n,) each */
export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** @param {ArrayLike<number>} a */
export function norm(a) {
  return Math.sqrt(dot(a, a));
}

/** @param {number[]} a @param {number[]} b (3,) each */
export function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/**
 * @param {ArrayLike<number>} a (rows, inner)
 * @param {ArrayLike<number>} b (inner, columns)
 * @param {number} inner
 * @returns {number[]} (rows, columns)
 */
export function product(a, b, inner) {
  const rows = a.length / inner;
  const columns = b.length / inner;
  const result = new Array(rows * columns).fill(0);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      for (let k = 0; k < inner; k++) result[i * columns + j] += a[i * inner + k] * b[k * columns + j];
    }
  }
  return result;
}

/** @param {ArrayLike<number>} m (3, 3) @returns {number[]} its transpose */
export function transposed(m) {
  return [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]];
}

/** @param {ArrayLike<number>} m (3, 3) */
export function determinant(m) {
  return (
    m[0] * (m[4] * m[8] - m[5] * m[7]) -
    m[1] * (m[3] * m[8] - m[5] * m[6]) +
    m[2] * (m[3] * m[7] - m[4] * m[6])
  );
}

/**
 * x of A x = B, by elimination with row pivots.
 * @param {ArrayLike<number>} a (n, n)
 * @param {ArrayLike<number>} b (n, columns)
 * @param {number} n
 * @param {string} name of A, for the sentence where it is singular
 * @returns {number[]} (n, columns)
 */
export function solved(a, b, n, name) {
  const left = Array.from(a);
  const right = Array.from(b);
  const columns = right.length / n;
  for (let pivot = 0; pivot < n; pivot++) {
    let best = pivot;
    for (let row = pivot + 1; row < n; row++) {
      if (Math.abs(left[row * n + pivot]) > Math.abs(left[best * n + pivot])) best = row;
    }
    if (!left[best * n + pivot]) throw new Refusal(`${name} is singular; give a rigid 4 × 4 matrix.`);
    swapRows(left, n, pivot, best);
    swapRows(right, columns, pivot, best);
    for (let row = 0; row < n; row++) {
      if (row === pivot) continue;
      const factor = left[row * n + pivot] / left[pivot * n + pivot];
      if (!factor) continue;
      for (let k = pivot; k < n; k++) left[row * n + k] -= factor * left[pivot * n + k];
      for (let k = 0; k < columns; k++) right[row * columns + k] -= factor * right[pivot * columns + k];
    }
  }
  return right.map((value, at) => {
    const row = Math.floor(at / columns);
    return value / left[row * n + row];
  });
}

function swapRows(matrix, columns, one, other) {
  for (let k = 0; k < columns; k++) {
    const kept = matrix[one * columns + k];
    matrix[one * columns + k] = matrix[other * columns + k];
    matrix[other * columns + k] = kept;
  }
}

/**
 * Eigenvalues, ascending, and unit eigenvectors of a symmetric matrix, by Jacobi's rotations.
 * @param {ArrayLike<number>} matrix (3, 3)
 * @returns {{values: number[], vectors: number[][]}} vectors[i] belongs to values[i]
 */
export function eigenSymmetric(matrix) {
  const a = Array.from(matrix);
  const v = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  for (let sweep = 0; sweep < 60; sweep++) {
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
      if (!a[p * 3 + q]) continue;
      const half = (a[q * 3 + q] - a[p * 3 + p]) / (2 * a[p * 3 + q]);
      const t = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.hypot(half, 1));
      const c = 1 / Math.hypot(t, 1);
      const s = t * c;
      for (let k = 0; k < 3; k++) rotatePair(a, k * 3 + p, k * 3 + q, c, s); // columns, then rows
      for (let k = 0; k < 3; k++) rotatePair(a, p * 3 + k, q * 3 + k, c, s);
      for (let k = 0; k < 3; k++) rotatePair(v, k * 3 + p, k * 3 + q, c, s);
    }
  }
  const order = [0, 1, 2].sort((one, other) => a[one * 4] - a[other * 4]);
  return { values: order.map((i) => a[i * 4]), vectors: order.map((i) => [v[i], v[3 + i], v[6 + i]]) };
}

function rotatePair(matrix, p, q, c, s) {
  const [x, y] = [matrix[p], matrix[q]];
  matrix[p] = c * x - s * y;
  matrix[q] = s * x + c * y;
}

/**
 * To the nearest whole number, halves to the even one, as Python and NumPy round.
 * @param {number} value not negative
 */
export function rint(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
