/**
 * A photograph as the networks look at it: stored pixels, EXIF orientation not applied, colours not premultiplied.
 *
 * @typedef {object} Pixels
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} data (height, width, 3) sRGB
 */

import { decodePicture } from "../protect/decode.js";
import { rint } from "../protect/linear.js";
import { reduced } from "../protect/reduce.js";

/**
 * Decode a photograph, reduced by the mean over areas where it is larger than `longest`.
 * @param {File} file
 * @param {number} longest pixels of the longer side
 * @returns {Promise<{pixels: Pixels, width: number, height: number}>} width and height are the stored picture's
 */
export async function pixelsOf(file, longest) {
  const picture = await decodePicture(file, "photograph");
  try {
    const { width, height } = picture;
    const camera = { K: [1, 0, 0, 0, 1, 0, 0, 0, 1], width, height, camFromWorld: [], distortion: [0, 0, 0, 0, 0] };
    const all = { data: new Uint8Array(width * height).fill(1), most: 1 };
    const small = reduced(picture, all, camera, Math.min(longest, Math.max(width, height)));
    const pixels = {
      width: small.camera.width,
      height: small.camera.height,
      data: Uint8Array.from(small.colour, (value) => rint(255 * value)),
    };
    return { pixels, width, height };
  } finally {
    picture.close();
  }
}

/** The size that keeps the picture's shape, its longer side of so many pixels. */
export function shapeOf({ width, height }, longest) {
  const scale = longest / Math.max(width, height);
  return [Math.max(1, rint(width * scale)), Math.max(1, rint(height * scale))];
}

/**
 * A picture at another size: the mean over the area of each new pixel; linear where it grows.
 * @param {Pixels} pixels
 * @returns {Pixels}
 */
export function resized(pixels, width, height) {
  const { values } = resampled({ ...pixels, values: pixels.data, channels: 3 }, width, height);
  return { width, height, data: Uint8Array.from(values, rint) };
}

/**
 * Numbers at another size, as `resized`.
 * @param {{width: number, height: number, channels: number, values: ArrayLike<number>}} image (h, w, channels)
 * @returns {{width: number, height: number, channels: number, values: Float32Array}}
 */
export function resampled({ width, height, channels, values }, toWidth, toHeight) {
  const grows = toWidth > width || toHeight > height; // OpenCV, too, takes one way for both axes
  const columns = weights(width, toWidth, grows);
  const rows = weights(height, toHeight, grows);
  const narrow = new Float64Array(height * toWidth * channels);
  for (let y = 0, to = 0; y < height; y++) {
    for (const { from, parts } of columns) {
      for (let k = 0; k < channels; k++, to++) {
        const at = (y * width + from) * channels + k;
        for (let i = 0; i < parts.length; i++) narrow[to] += parts[i] * values[at + i * channels];
      }
    }
  }
  const result = new Float32Array(toWidth * toHeight * channels);
  const stride = toWidth * channels;
  rows.forEach(({ from, parts }, y) => {
    for (let x = 0; x < stride; x++) {
      let sum = 0;
      for (let i = 0; i < parts.length; i++) sum += parts[i] * narrow[(from + i) * stride + x];
      result[y * stride + x] = sum;
    }
  });
  return { width: toWidth, height: toHeight, channels, values: result };
}

/** For each new pixel along an axis, the old ones that it is made of: the first of them, and their weights. */
function weights(size, count, linear) {
  return Array.from({ length: count }, (_, k) => {
    if (linear) {
      const place = Math.min(size - 1, Math.max(0, ((k + 0.5) * size) / count - 0.5));
      const from = Math.min(Math.floor(place), Math.max(0, size - 2));
      return { from, parts: size > 1 ? [1 - (place - from), place - from] : [1] };
    }
    const [begin, end] = [(k * size) / count, ((k + 1) * size) / count];
    const from = Math.floor(begin);
    const last = Math.min(size, Math.ceil(end - 1e-9));
    const parts = [];
    for (let at = from; at < last; at++) {
      parts.push(((Math.min(end, at + 1) - Math.max(begin, at)) * count) / size);
    }
    return { from, parts };
  });
}
