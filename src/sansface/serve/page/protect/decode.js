/**
 * Any picture file to the stored pixels, to which the intrinsics belong; twin of `sansface/photographs/decode.py`.
 *
 * Browsers turn pictures by their EXIF orientation and convert colours by their profile, and which option of
 * which version switches that off differs. So all that could say so is taken out of the bytes before they are
 * decoded. PNG is decoded here, exactly; JPEG and WebP by the browser.
 *
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {number} most the largest code: 255 or 65535
 * @property {boolean} alpha is the last channel alpha, not premultiplied?
 * @property {boolean} premultiplied were colours multiplied by alpha, rounded and divided again? A canvas does
 * @property {number} channels 1 to 4
 * @property {(top: number, count: number) => Uint8Array | Uint8ClampedArray | Uint16Array} rows
 *   (count, width, channels) codes
 * @property {() => void} close drops the pixels
 */

import { decodePng } from "./png.js";
import { Refusal } from "./refusal.js";

const HEIC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];
const ROWS_AT_ONCE = 128; // rows that are read back at a time, so that no canvas is as large as a photograph
const AGAIN = "save it again as PNG or JPEG";

/**
 * Decode a picture.
 * @param {Blob & {name?: string}} file
 * @param {string} kind what to call it in a sentence, such as "photograph"
 * @returns {Promise<Picture>}
 */
export async function decodePicture(file, kind) {
  const name = file.name ?? "without a name";
  const refuse = (fault) => new Refusal(`the ${kind} ${name} ${fault}.`);
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw refuse("cannot be read any more; choose it again");
  }
  const format = formatOf(bytes);
  if (format === "video") throw refuse("is a video; save single frames of it as PNG or JPEG");
  if (format === "HEIC" || format === "TIFF") {
    throw refuse(`is ${format}, which is not read in a browser; ${AGAIN}`);
  }
  if (isCutShort(bytes, format)) throw refuse("is cut short; copy it again from where it came");
  const picture =
    format === "PNG" ? pictureOfSamples(await decodePng(bytes)) : await decodeByBrowser(bytes, format);
  if (picture === null) throw refuse(`cannot be decoded; ${AGAIN}`);
  return picture;
}

/** @param {Uint8Array} bytes @returns {"PNG" | "JPEG" | "WebP" | "HEIC" | "TIFF" | "video" | null} */
function formatOf(bytes) {
  const text = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
  const starts = (...head) => head.every((byte, at) => bytes[at] === byte);
  if (text(0, 4) === "\x89PNG") return "PNG";
  if (starts(0xff, 0xd8)) return "JPEG";
  if (text(0, 4) === "RIFF") return text(8, 12) === "WEBP" ? "WebP" : text(8, 12) === "AVI " ? "video" : null;
  if (text(0, 4) === "II*\0" || text(0, 4) === "MM\0*") return "TIFF";
  if (text(4, 8) === "ftyp") {
    if (HEIC_BRANDS.includes(text(8, 12))) return "HEIC";
    return ["avif", "avis"].includes(text(8, 12)) ? null : "video";
  }
  const film = ["moov", "mdat", "wide"].includes(text(4, 8)) || starts(0x1a, 0x45, 0xdf, 0xa3);
  return film || starts(0, 0, 1, 0xba) || starts(0, 0, 1, 0xb3) ? "video" : null;
}

/** True for a PNG or JPEG without its end: some decoders fill the rest with grey and say nothing. */
function isCutShort(bytes, format) {
  if (format === "PNG") return lacks(bytes, 8, 0x49, 0x45, 0x4e, 0x44);
  return format === "JPEG" && lacks(bytes, jpegSegments(bytes).scan, 0xff, 0xd9);
}

/** True if these bytes do not occur from `begin` on. */
function lacks(bytes, begin, ...wanted) {
  for (let at = bytes.indexOf(wanted[0], begin); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (wanted.every((byte, k) => bytes[at + k] === byte)) return false;
  }
  return true;
}

function pictureOfSamples(samples) {
  if (samples === null) return null;
  let { data } = samples;
  const { width, height, channels } = samples;
  const rows = (top, count) => data.subarray(top * width * channels, (top + count) * width * channels);
  const most = data instanceof Uint16Array ? 65535 : 255;
  const close = () => (data = data.subarray(0, 0));
  const alpha = channels === 2 || channels === 4;
  return { width, height, most, channels, alpha, premultiplied: false, rows, close };
}

async function decodeByBrowser(bytes, format) {
  const plain = format === "JPEG" ? plainJpeg(bytes) : format === "WebP" ? plainWebp(bytes) : null;
  if (plain === null) return null;
  let bitmap;
  try {
    const blob = new Blob(plain.pieces, { type: format === "JPEG" ? "image/jpeg" : "image/webp" });
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    return null;
  }
  const { width, height } = bitmap;
  if (plain.size !== null && (plain.size.width !== width || plain.size.height !== height)) {
    bitmap.close(); // some browsers make large pictures smaller without a word
    return null;
  }
  await checkReadBack();
  const alpha = format === "WebP";
  const close = () => bitmap.close();
  return { width, height, most: 255, channels: 4, alpha, premultiplied: alpha, rows: readerOf(bitmap), close };
}

/** Reads rows of a bitmap back, by a canvas no larger than a strip. */
function readerOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(ROWS_AT_ONCE, bitmap.height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) {
    throw new Refusal("this browser gives pages no canvas to read pictures by; use another browser.");
  }
  context.imageSmoothingEnabled = false;
  context.globalCompositeOperation = "copy";
  const strip = (top, count) => {
    context.drawImage(bitmap, 0, top, bitmap.width, count, 0, 0, bitmap.width, count);
    return context.getImageData(0, 0, bitmap.width, count).data;
  };
  return (top, count) => {
    if (count <= canvas.height) return strip(top, count);
    const pixels = new Uint8ClampedArray(4 * bitmap.width * count);
    for (let row = 0; row < count; row += canvas.height) {
      pixels.set(strip(top + row, Math.min(canvas.height, count - row)), 4 * bitmap.width * row);
    }
    return pixels;
  };
}

let readBack = null;

/** Some browsers change, against fingerprinting, what a page reads back: σ would be of another picture. */
function checkReadBack() {
  readBack ??= (async () => {
    const known = new ImageData(64, 64);
    for (let at = 0; at < known.data.length; at++) {
      known.data[at] = at % 4 === 3 ? 255 : (at * 37 + (at >> 6)) & 255;
    }
    const bitmap = await createImageBitmap(known);
    const found = readerOf(bitmap)(0, 64);
    bitmap.close();
    if (known.data.some((code, at) => Math.abs(code - found[at]) > 2)) {
      throw new Refusal(
        "this browser changes what pages read of pictures, against fingerprinting; " +
          "allow this page to read canvases.",
      );
    }
  })();
  return readBack;
}

/** Where the segments up to the first scan lie, and the size that the frame header says. ITU-T T.81, B. */
function jpegSegments(bytes) {
  const segments = [];
  let size = null;
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // fill
      continue;
    }
    const end = at + 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      size = { height: (bytes[at + 5] << 8) | bytes[at + 6], width: (bytes[at + 7] << 8) | bytes[at + 8] };
    }
    segments.push({ marker, begin: at, end });
    at = end;
  }
  return { segments, size, scan: at };
}

/** The JPEG without EXIF, profiles, thumbnails and comments; APP0 and APP14 say what the channels mean. */
function plainJpeg(bytes) {
  const { segments, size, scan } = jpegSegments(bytes);
  if (size === null || scan >= bytes.length) return null;
  const kept = segments.filter(({ marker }) => marker < 0xe0 || marker === 0xe0 || marker === 0xee);
  const pieces = kept.map(({ begin, end }) => bytes.subarray(begin, end));
  return { size, pieces: [bytes.subarray(0, 2), ...pieces, bytes.subarray(scan)] };
}

/** The WebP without EXIF, XMP and profile; null where it moves. Google's WebP container specification. */
function plainWebp(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const pieces = [];
  let size = null;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end > bytes.length || type === "ANIM") return null;
    const chunk = bytes.slice(at, end + (end & 1));
    if (type === "VP8X") {
      chunk[8] &= 0x10; // of its flags, alpha alone
      const side = (from) => 1 + (chunk[from] | (chunk[from + 1] << 8) | (chunk[from + 2] << 16));
      size = { width: side(12), height: side(15) };
    }
    if (!["ICCP", "EXIF", "XMP "].includes(type)) pieces.push(chunk);
    at = end + (end & 1);
  }
  const head = bytes.slice(0, 12);
  new DataView(head.buffer).setUint32(4, 4 + pieces.reduce((sum, piece) => sum + piece.length, 0), true);
  return { size, pieces: [head, ...pieces] };
}
