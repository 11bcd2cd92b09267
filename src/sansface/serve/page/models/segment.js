/**
 * What of a picture is a person, by MediaPipe's selfie segmentation; twin of `sansface/faces/segment.py`, but for
 * the outline: Python refines it by GrabCut, which nothing offers a page. Here a guided filter (He, Sun and Tang
 * 2010) makes the probability follow the edges of the picture's grey.
 */

import { resampled, resized, shapeOf } from "./pixels.js";

const INPUT = 256; // pixels of the network's input
export const SHOWN = 512; // longer side of the mask, pixels: the size at which the page shows a picture
const RADIUS = 4; // of the filter's window, pixels
const SMOOTH = 1e-3; // variance of grey, from 0 to 1, below which the filter only smooths

/**
 * @param {import("./pixels.js").Pixels} pixels
 * @param {(input: Float32Array) => Promise<Float32Array[]>} network `person`
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} 255 = person, 0 = not; all of one value
 *   where the network sees nobody, or nothing else. The longer side has at most `SHOWN` pixels
 */
export async function personMask(pixels, network) {
  const input = Float32Array.from(resized(pixels, INPUT, INPUT).data, (code) => code / 255);
  const [found] = await network(input);
  const [width, height] = shapeOf(pixels, Math.min(SHOWN, Math.max(pixels.width, pixels.height)));
  const square = { width: INPUT, height: INPUT, channels: 1, values: found };
  const { values: probability } = resampled(square, width, height);
  const { data } = resized(pixels, width, height);
  const grey = Float32Array.from(probability, (_, at) => {
    return (0.299 * data[3 * at] + 0.587 * data[3 * at + 1] + 0.114 * data[3 * at + 2]) / 255;
  });
  const refined = guided(grey, probability, width, height);
  return { width, height, data: Uint8Array.from(refined, (value) => (value > 0.5 ? 255 : 0)) };
}

/** The filter: in each window p ≈ a · grey + b by least squares, a held small; then the mean of all windows. */
function guided(grey, p, width, height) {
  const mean = (values) => windowMean(values, width, height);
  const times = (one, other) => one.map((value, at) => value * other[at]);
  const [meanGrey, meanP, both, square] = [grey, p, times(grey, p), times(grey, grey)].map(mean);
  const a = both.map((value, at) => {
    return (value - meanGrey[at] * meanP[at]) / (square[at] - meanGrey[at] ** 2 + SMOOTH);
  });
  const b = meanP.map((value, at) => value - a[at] * meanGrey[at]);
  const [meanA, meanB] = [mean(a), mean(b)];
  return grey.map((value, at) => meanA[at] * value + meanB[at]);
}

/** The mean of each pixel's window, as far as it lies in the picture. */
function windowMean(values, width, height) {
  const rows = alongAxis(values, width, 1, height, width);
  return alongAxis(rows, height, width, width, 1);
}

function alongAxis(values, count, step, lines, apart) {
  const result = new Float32Array(values.length);
  for (let line = 0; line < lines; line++) {
    const start = line * apart;
    let sum = 0;
    for (let at = 0; at < Math.min(RADIUS, count); at++) sum += values[start + at * step];
    for (let at = 0; at < count; at++) {
      if (at + RADIUS < count) sum += values[start + (at + RADIUS) * step];
      if (at - RADIUS - 1 >= 0) sum -= values[start + (at - RADIUS - 1) * step];
      const within = Math.min(count - 1, at + RADIUS) - Math.max(0, at - RADIUS) + 1;
      result[start + at * step] = sum / within;
    }
  }
  return result;
}
