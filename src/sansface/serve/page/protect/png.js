/**
 * PNG to its stored samples, exactly: 16 bits stay, alpha is not premultiplied, and no gamma or profile is
 * applied, none of which a canvas can do. W3C Portable Network Graphics (third edition), sections 5, 7, 9, 11.
 *
 * @typedef {object} Samples
 * @property {number} width
 * @property {number} height
 * @property {number} channels 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
 * @property {Uint8Array | Uint16Array} data (height, width, channels)
 */

import { crc32 } from "./container.js";

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // by colour type
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const PALETTE = 3;
const ADAM7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const MAX_PIXELS = 1 << 28;

/**
 * @param {Uint8Array} bytes of the file
 * @returns {Promise<Samples | null>} null if it is broken
 */
export async function decodePng(bytes) {
  const chunks = chunksOf(bytes);
  const header = chunks?.find((chunk) => chunk.type === "IHDR");
  if (!header || header.data.length !== 13) return null;
  const view = new DataView(header.data.buffer, header.data.byteOffset, 13);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = header.data.subarray(8);
  if (!width || !height || width * height > MAX_PIXELS || compression || filter || interlace > 1) return null;
  if (!DEPTHS[colour]?.includes(depth)) return null;
  const found = (type) => chunks.find((chunk) => chunk.type === type)?.data ?? null;
  const [palette, transparent] = [found("PLTE"), found("tRNS")];
  if (colour === PALETTE && !palette) return null;
  const bits = CHANNELS[colour] * depth;
  const passes = (interlace ? ADAM7 : [[0, 0, 1, 1]])
    .map(([left, top, across, down]) => ({
      left, top, across, down,
      columns: Math.ceil((width - left) / across),
      rows: Math.ceil((height - top) / down),
    }))
    .filter((pass) => pass.columns > 0 && pass.rows > 0);
  const lengthOf = (pass) => pass.rows * (1 + Math.ceil((pass.columns * bits) / 8));
  const packedBytes = chunks.filter((chunk) => chunk.type === "IDAT").map((chunk) => chunk.data);
  const raw = await inflated(packedBytes, passes.reduce((sum, pass) => sum + lengthOf(pass), 0));
  if (raw === null) return null;
  const channels = CHANNELS[colour];
  const data = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  const samples = { width, height, channels, data };
  const factor = colour === PALETTE ? 1 : 255 / (2 ** Math.min(depth, 8) - 1);
  let at = 0;
  for (const pass of passes) {
    const part = raw.subarray(at, at + lengthOf(pass));
    if (!unfilter(part, pass.rows, Math.max(1, bits >> 3))) return null;
    spread(part, pass, depth, factor, samples);
    at += lengthOf(pass);
  }
  if (colour === PALETTE) return coloured(samples, palette, transparent);
  return colour === 2 && transparent ? keyed(samples, transparent) : samples;
}

/** The chunks up to the end, or null where one is cut short or, of the critical ones, damaged. */
function chunksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) return null;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const critical = type[0] >= "A" && type[0] <= "Z";
    if (critical && crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) return null;
    chunks.push({ type, data: bytes.subarray(at + 8, end) });
    if (type === "IEND") return chunks;
    at = end + 4;
  }
  return null;
}

/** Exactly so many bytes, or null. No more than that is ever there, whatever the stream claims. */
async function inflated(pieces, length) {
  const result = new Uint8Array(length);
  let at = 0;
  try {
    const reader = new Blob(pieces).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return at === length ? result : null;
      if (at + value.length > length) {
        await reader.cancel();
        return null;
      }
      result.set(value, at);
      at += value.length;
    }
  } catch {
    return null;
  }
}

/** Undo the rows' filters in place; each row begins with the byte that names its own. False for an unknown one. */
function unfilter(raw, rows, step) {
  const stride = raw.length / rows;
  for (let row = 0; row < rows; row++) {
    const begin = row * stride + 1;
    const end = begin + stride - 1;
    const up = row ? -stride : 0; // of the first row, whatever is above is 0
    const kind = raw[begin - 1];
    if (kind > 4) return false;
    if (kind === 1) for (let at = begin + step; at < end; at++) raw[at] += raw[at - step];
    if (kind === 2 && up) for (let at = begin; at < end; at++) raw[at] += raw[at + up];
    if (kind === 3) {
      for (let at = begin; at < end; at++) {
        raw[at] += ((at - step >= begin ? raw[at - step] : 0) + (up ? raw[at + up] : 0)) >> 1;
      }
    }
    if (kind === 4) {
      for (let at = begin; at < end; at++) {
        const left = at - step >= begin ? raw[at - step] : 0;
        const above = up ? raw[at + up] : 0;
        const corner = up && at - step >= begin ? raw[at - step + up] : 0;
        raw[at] += paeth(left, above, corner);
      }
    }
  }
  return true;
}

function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

/** The samples of one pass to their places; those of fewer than 8 bits times `factor`. */
function spread(raw, { left, top, across, down, columns, rows }, depth, factor, { width, channels, data }) {
  const stride = raw.length / rows;
  const samples = columns * channels;
  const few = (1 << depth) - 1;
  for (let row = 0; row < rows; row++) {
    const from = row * stride + 1;
    const to = ((top + row * down) * width + left) * channels;
    if (depth === 8 && across === 1) {
      data.set(raw.subarray(from, from + samples), to);
      continue;
    }
    for (let k = 0; k < samples; k++) {
      const place = to + (across === 1 ? k : Math.floor(k / channels) * across * channels + (k % channels));
      if (depth === 16) data[place] = (raw[from + 2 * k] << 8) | raw[from + 2 * k + 1];
      else if (depth === 8) data[place] = raw[from + k];
      else {
        const bit = k * depth;
        data[place] = factor * ((raw[from + (bit >> 3)] >> (8 - depth - (bit & 7))) & few);
      }
    }
  }
}

function coloured({ width, height, data }, palette, transparent) {
  const channels = transparent ? 4 : 3;
  const result = new Uint8Array(width * height * channels);
  for (let at = 0; at < data.length; at++) {
    for (let k = 0; k < 3; k++) result[channels * at + k] = palette[3 * data[at] + k] ?? 0;
    if (transparent) result[4 * at + 3] = transparent[data[at]] ?? 255;
  }
  return { width, height, channels, data: result };
}

/** RGB with one colour declared transparent. */
function keyed({ width, height, data }, transparent) {
  const wide = data instanceof Uint16Array;
  const key = [0, 2, 4].map((at) => (wide ? (transparent[at] << 8) | transparent[at + 1] : transparent[at + 1]));
  const result = new (wide ? Uint16Array : Uint8Array)((data.length / 3) * 4);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    for (let k = 0; k < 3; k++) result[to + k] = data[from + k];
    const same = data[from] === key[0] && data[from + 1] === key[1] && data[from + 2] === key[2];
    result[to + 3] = same ? 0 : wide ? 65535 : 255;
  }
  return { width, height, channels: 4, data: result };
}
