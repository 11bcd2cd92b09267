/**
 * A photograph and its coverage as they are stored; twin of `sansface/protect/photograph.py`.
 *
 * @typedef {object} Coverage
 * @property {Uint8Array | Uint16Array} data (height, width), 0 = background, `most` = subject
 * @property {number} most 255 or 65535
 */

import { decodePicture } from "./decode.js";
import { Refusal, shown } from "./refusal.js";

const ROUNDING = 5 / 255; // coverage this close to 0 or 1 is that: JPEG masks seldom reach the ends exactly
const READ = 256; // rows at a time

/**
 * Decode a photograph and its coverage, from the mask or else from the picture's own alpha.
 * @param {{file: File, mask: File | {width: number, height: number, data: Uint8Array} | null, role: string}} frame
 * @param {import("./camera.js").Camera} camera
 * @returns {Promise<{picture: import("./decode.js").Picture, coverage: Coverage}>}
 */
export async function readPhotograph({ file, mask, role }, camera) {
  const picture = await decodePicture(file, "photograph");
  try {
    checkSize(picture, camera, `photograph ${file.name}`);
    if (mask && picture.premultiplied && alphaCoverage(picture) !== null) {
      throw new Refusal(
        `the photograph ${file.name} has a mask and transparent parts of its own; save it again as PNG.`,
      );
    }
    const coverage = mask ? await maskCoverage(mask, file.name, camera) : alphaCoverage(picture);
    if (coverage === null) {
      throw new Refusal(
        `the ${role} photograph ${file.name} has no mask, so its background cannot be removed; ` +
          "draw or choose a mask.",
      );
    }
    settle(coverage, mask?.name ?? file.name);
    return { picture, coverage };
  } catch (error) {
    picture.close();
    throw error;
  }
}

async function maskCoverage(mask, name, camera) {
  if (!(mask instanceof Blob)) {
    checkSize(mask, camera, `mask of ${name}`);
    if (!ArrayBuffer.isView(mask.data) || mask.data.length !== mask.width * mask.height) {
      throw new Refusal(`the mask of ${name} does not have the size that it says; draw it again.`);
    }
    return { data: Uint8Array.from(mask.data), most: 255 };
  }
  const picture = await decodePicture(mask, "mask");
  try {
    checkSize(picture, camera, `mask ${mask.name}`);
    return greyOf(picture, mask.name);
  } finally {
    picture.close();
  }
}

function greyOf(picture, name) {
  const { width, height, channels, most } = picture;
  const data = new (most > 255 ? Uint16Array : Uint8Array)(width * height);
  const save = "save it as one grey channel, 255 = subject.";
  for (let top = 0; top < height; top += READ) {
    const rows = picture.rows(top, Math.min(READ, height - top));
    for (let from = 0, to = top * width; from < rows.length; from += channels, to++) {
      data[to] = rows[from];
      if (channels > 2 && (rows[from + 1] !== rows[from] || rows[from + 2] !== rows[from])) {
        throw new Refusal(`the mask ${name} is coloured; ${save}`);
      }
      if (picture.alpha && rows[from + channels - 1] !== most) {
        throw new Refusal(`the mask ${name} is partly transparent; ${save}`);
      }
    }
  }
  return { data, most };
}

/** null where there is no alpha, or it is the same all over. */
function alphaCoverage(picture) {
  if (!picture.alpha) return null;
  const { width, height, channels, most } = picture;
  const data = new (most > 255 ? Uint16Array : Uint8Array)(width * height);
  for (let top = 0; top < height; top += READ) {
    const rows = picture.rows(top, Math.min(READ, height - top));
    for (let from = channels - 1, to = top * width; from < rows.length; from += channels) data[to++] = rows[from];
  }
  return data.some((code) => code !== data[0]) ? { data, most } : null;
}

/** Round what is nearly background or subject, and refuse a mask that says nothing. */
function settle({ data, most }, name) {
  const [low, high] = [ROUNDING * most, (1 - ROUNDING) * most];
  let least = most;
  let largest = 0;
  for (let at = 0; at < data.length; at++) {
    const code = data[at] <= low ? 0 : data[at] >= high ? most : data[at];
    data[at] = code;
    if (code < least) least = code;
    if (code > largest) largest = code;
  }
  if (largest < most / 2) {
    throw new Refusal(`the mask of ${name} is empty; draw the subject in white (255) on black.`);
  }
  if (least === most) {
    throw new Refusal(`the mask of ${name} is white all over; draw the background in black to remove it.`);
  }
}

function checkSize({ width, height }, camera, what) {
  if (width === camera.width && height === camera.height) return;
  const side = width === camera.height && height === camera.width;
  const hint = side
    ? "it lies on its side, perhaps by its EXIF orientation; rotate its pixels and drop the tag"
    : "resize neither by hand; give the intrinsics of this very file";
  const [found, wanted] = [`${shown(width)} x ${shown(height)}`, `${camera.width} x ${camera.height}`];
  throw new Refusal(`the ${what} is ${found}, but its intrinsics are for ${wanted}; ${hint}.`);
}
