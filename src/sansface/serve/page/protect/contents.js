/**
 * What a bundle holds, and the rules that it obeys; twin of `sansface/protect/contents.py`.
 *
 * @typedef {object} BundleFrame
 * @property {import("./camera.js").Camera} camera in the bundle's frame, of the picture's size, undistorted
 * @property {"neutral" | "sensitive"} role
 * @property {Uint8Array | Uint16Array} image neutral: (h, w, 3) premultiplied sRGB; sensitive: (h, w) σ,
 *   0 = withheld
 * @property {Uint8Array | null} mask (h, w) coverage, 255 = wholly subject
 *
 * @typedef {object} Bundle
 * @property {BundleFrame[]} frames
 * @property {number} resolution pixels of every picture's longer side
 * @property {import("./operators.js").Operator} operator
 * @property {number} bits of σ
 * @property {number} scale the largest σ that a code can say, a multiple of 1/256
 * @property {number[]} center (3,): x_world = center + radius · x_norm
 * @property {number} radius
 * @property {string} unit
 * @property {"masks" | "cameras" | "given"} sphereSource
 * @property {number} noise standard deviation of what was added to σ
 * @property {boolean} gain was each sensitive picture multiplied by a factor of its own?
 * @property {"modulus" | "outline" | "camera"} share what there is of sensitive photographs
 */

import { UNITS } from "./camera.js";
import { reachOf } from "./operators.js";
import { Refusal } from "./refusal.js";

export const SHARES = ["modulus", "outline", "camera"];
const FIRST_OPERATORS = ["sobel", "scharr", "prewitt", "central"];
export const MAX_FRAMES = 500;
export const MAX_SCALE = 2;
export const SCALE_STEPS = 256;
export const MAX_BITS = 16;
export const MAX_NOISE = 1;
const MAX_DISTANCE = 1000;
const MAX_FOCAL = 1e6;
export const MAX_WORLD = 1e9;

/**
 * What codes of so many bits are stored as.
 * @param {number} bits
 * @returns {Uint8ArrayConstructor | Uint16ArrayConstructor}
 */
export function wordOf(bits) {
  return bits <= 8 ? Uint8Array : Uint16Array;
}

/** The largest number that codes of so many bits are stored as. */
export function mostOf(bits) {
  return bits <= 8 ? 255 : 65535;
}

/** How many values a sensitive picture tells apart, coded 1, 2, ...; code 0, withheld, comes on top. */
export function levelsOf(bits) {
  return Math.min(2 ** bits, mostOf(bits));
}

/**
 * Pixels whose neighbourhood, borders repeated, is wholly subject: σ there never sees the outline.
 * @param {Uint8Array} whole (height, width), 1 where a pixel is subject all over
 * @param {number} width
 * @param {number} height
 * @param {number} reach of σ, pixels
 * @returns {Uint8Array} (height, width) of 0 and 1
 */
export function insideOutline(whole, width, height, reach) {
  const along = (values, length, step, count, stride) => {
    const result = new Uint8Array(values.length);
    for (let line = 0; line < count; line++) {
      for (let at = 0; at < length; at++) {
        let all = 1;
        for (let k = Math.max(0, at - reach); k <= Math.min(length - 1, at + reach); k++) {
          all &= values[line * stride + k * step];
        }
        result[line * stride + at * step] = all;
      }
    }
    return result;
  };
  return along(along(whole, width, 1, height, width), height, width, width, 1);
}

/** The first version of the manifest that can say all of it. */
export function schemaOf(bundle) {
  if (bundle.share !== "modulus") return 3;
  const plain = FIRST_OPERATORS.includes(bundle.operator.name) && bundle.operator.blur === 0;
  return plain && (bundle.bits === 8 || bundle.bits === 16) && bundle.noise === 0 && !bundle.gain ? 1 : 2;
}

/**
 * Refuse a frame that breaks a rule.
 * @param {BundleFrame} frame
 * @param {Bundle} bundle that it is for
 */
export function checkFrame(frame, bundle) {
  const { camera, role, image, mask } = frame;
  const pixels = camera.width * camera.height;
  if (!(image instanceof wordOf(bundle.bits)) || (mask !== null && !(mask instanceof Uint8Array))) {
    throw new Refusal("a picture or mask is of another number of bits than declared; protect again.");
  }
  if (image.length !== pixels * (role === "neutral" ? 3 : 1) || (mask !== null && mask.length !== pixels)) {
    throw new Refusal(`a ${role} picture or its mask is unlike its camera; protect again.`);
  }
  if (Math.max(camera.width, camera.height) !== bundle.resolution) {
    const size = `${camera.width} x ${camera.height}`;
    throw new Refusal(`a picture of ${size} is unlike the resolution ${bundle.resolution}; protect again.`);
  }
  checkPlace(camera);
  if (role === "neutral") checkNeutral(image, mask, bundle);
  else checkSensitive(image, mask, camera, bundle);
}

function checkPlace({ K, camFromWorld, distortion }) {
  const { abs, hypot, max } = Math;
  if (distortion.some((value) => value !== 0)) {
    throw new Refusal("a camera has distortion, and pictures leave undistorted; protect again.");
  }
  if (!(max(...K.map(abs)) <= MAX_FOCAL && K[0] >= 1 && K[4] >= 1)) {
    throw new Refusal("a camera's intrinsics are out of all proportion; correct the capture's intrinsics.");
  }
  const t = [camFromWorld[3], camFromWorld[7], camFromWorld[11]];
  if (!(max(...t.map(abs)) <= MAX_DISTANCE)) {
    throw new Refusal("a camera is over 1,000 radii away; correct the capture's poses or the radius.");
  }
  if (!(hypot(...t) > 1)) {
    throw new Refusal("a camera is inside the unit sphere; give a smaller radius and protect again.");
  }
}

function checkNeutral(image, mask, bundle) {
  if (mask === null) return;
  for (let at = 0; at < image.length; at++) {
    const coverage = mask[Math.floor(at / 3)];
    if (image[at] > (bundle.bits <= 8 ? coverage : coverage * 257 + 129)) {
      throw new Refusal("a neutral picture has colour outside its mask; protect again.");
    }
  }
}

function checkSensitive(image, mask, { width, height }, bundle) {
  if (image.some((code) => code > levelsOf(bundle.bits))) {
    throw new Refusal(`a sensitive picture has values that ${bundle.bits} bits cannot say; protect again.`);
  }
  const some = image.some((code) => code > 0);
  if (bundle.share !== "modulus" && some) {
    throw new Refusal(
      `of sensitive photographs the ${bundle.share} is to be shared, and there is σ; protect again.`,
    );
  }
  if (bundle.share === "modulus" && !some) {
    throw new Refusal("a sensitive picture is wholly withheld; correct its mask or raise the resolution.");
  }
  if (bundle.share === "camera" && mask !== null) {
    throw new Refusal("it says to share no outline of a sensitive photograph; protect again.");
  }
  if (mask === null) return;
  const whole = mask.map((code) => (code === 255 ? 1 : 0));
  const inside = insideOutline(whole, width, height, reachOf(bundle.operator));
  if (image.some((code, at) => code > 0 && !inside[at])) {
    throw new Refusal("a sensitive picture has values at its outline, where they leak; protect again.");
  }
}

/**
 * Refuse a bundle that breaks a rule.
 * @param {Bundle} bundle
 */
export function checkBundle(bundle) {
  const { frames, scale, share } = bundle;
  if (frames.length < 1 || frames.length > MAX_FRAMES) {
    throw new Refusal(`it has ${frames.length} frames, not 1 to ${MAX_FRAMES}; choose photographs.`);
  }
  const sensitive = frames.filter((frame) => frame.role === "sensitive");
  const neutral = frames.filter((frame) => frame.role === "neutral");
  if (!sensitive.length) {
    throw new Refusal("it holds no sensitive frame, so nothing in it is protected; label the frames.");
  }
  const steps = scale * SCALE_STEPS;
  const sayable = Number.isInteger(steps) && steps >= 1 && steps <= MAX_SCALE * SCALE_STEPS;
  if (!sayable || (share !== "modulus" && scale !== 1)) {
    throw new Refusal(`the scale ${scale} is not a multiple of 1/256 up to ${MAX_SCALE}; protect again.`);
  }
  const masked = share === "camera" ? neutral : frames;
  if (new Set(masked.map((frame) => frame.mask === null)).size > 1) {
    throw new Refusal("some frames have a mask and some have none; share all masks or none.");
  }
  if (share === "outline" && frames[0].mask === null) {
    throw new Refusal("it says to share outlines, and has no masks; protect again.");
  }
  if (share === "camera" && !neutral.length) {
    throw new Refusal(
      "nothing of its sensitive photographs is shared, and there is no neutral one; share outlines.",
    );
  }
  if (!UNITS.includes(bundle.unit) || !["masks", "cameras", "given"].includes(bundle.sphereSource)) {
    throw new Refusal("its unit, or the source of its sphere, is not on our list; protect again.");
  }
  for (const frame of frames) checkFrame(frame, bundle);
}
