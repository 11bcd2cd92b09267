/**
 * How a capture is protected; twin of `ProtectSettings` in `sansface/protect/pipeline.py`.
 *
 * @typedef {object} Settings
 * @property {number} resolution pixels of the pictures' longer side
 * @property {string} operator a name of `OPERATORS`
 * @property {number | null} blur before σ: standard deviation, reduced pixels; null: see `operatorNamed`
 * @property {number} bits of each σ, 1 to 16; neutral colours have 8, and 16 from 9 on
 * @property {number} noise added to σ: standard deviation, in units of σ
 * @property {number} gain least of the random factors of the sensitive views; 1 = none
 * @property {"modulus" | "outline" | "camera"} share what leaves of a sensitive photograph
 * @property {boolean} shareMasks masks leave, at `resolution`
 * @property {number[] | null} center of the bounding sphere, world units; null = find it
 * @property {number | null} radius of the bounding sphere, world units; null = find it
 * @property {import("./sphere.js").Sphere | null} sphere what the capture says of it
 * @property {string} unit of the capture's world; it stays with the user
 */

import { UNITS } from "./camera.js";
import { MAX_BITS, MAX_NOISE, MAX_WORLD, SHARES } from "./contents.js";
import { operatorNamed } from "./operators.js";
import { Refusal, shown } from "./refusal.js";

const RESOLUTIONS = [16, 512];
const LEAST_GAIN = 0.1;

/** @type {Settings} */
export const DEFAULTS = {
  resolution: 64,
  operator: "sobel",
  blur: null,
  bits: 8,
  noise: 0,
  gain: 1,
  share: "modulus",
  shareMasks: true,
  center: null,
  radius: null,
  sphere: null,
  unit: "unknown",
};

/** What a reduced photograph depends on: with others of these it must be reduced again. */
export const OF_A_PHOTOGRAPH = ["resolution", "operator", "blur", "bits", "noise", "gain", "share"];

/**
 * The settings with the defaults, if each is in its range.
 * @param {Partial<Settings>} given
 * @returns {Settings}
 */
export function checkedSettings(given) {
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(DEFAULTS, key)) throw new Refusal(`there is no setting ${shown(key)}; leave it out.`);
  }
  const settings = { ...DEFAULTS, ...given };
  const { resolution, bits, noise, gain, share, shareMasks, center, radius, sphere, unit } = settings;
  const whole = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
  const within = (value, least, most) => typeof value === "number" && value >= least && value <= most;
  const near = (value) => within(value, -MAX_WORLD, MAX_WORLD);
  const place = (value) => value?.length === 3 && Array.from(value).every(near);
  const wide = (value) => within(value, 0, MAX_WORLD) && value > 0;
  const check = (fine, sentence) => {
    if (!fine) throw new Refusal(sentence);
  };
  check(
    whole(resolution, ...RESOLUTIONS),
    `the resolution ${shown(resolution)} is not ${RESOLUTIONS.join(" to ")}; choose another.`,
  );
  check(whole(bits, 1, MAX_BITS), `${shown(bits)} bits are not 1 to ${MAX_BITS}; choose another number.`);
  check(within(noise, 0, MAX_NOISE), `the noise ${shown(noise)} is not 0 to ${MAX_NOISE}; choose another.`);
  check(within(gain, LEAST_GAIN, 1), `the gain ${shown(gain)} is not ${LEAST_GAIN} to 1; choose another.`);
  check(SHARES.includes(share), `what is shared, ${shown(share)}, is none of ${SHARES.join(", ")}; choose one.`);
  check(typeof shareMasks === "boolean", "sharing masks is neither on nor off; choose one.");
  check(
    share === "modulus" || (noise === 0 && gain === 1),
    `of sensitive photographs the ${share} is shared and no σ, so noise and gain have nothing to act on; ` +
      "leave them out.",
  );
  check(share !== "outline" || shareMasks, "outlines are to be shared, and masks are not; share masks.");
  check(center === null || place(center), "the center is not three finite numbers; give it again.");
  check(radius === null || wide(radius), "the radius is not a positive number; give it again.");
  check(
    sphere === null || (place(sphere.center) && wide(sphere.radius)),
    "the capture's sphere is not a finite center and a positive radius; correct the capture.",
  );
  check(UNITS.includes(unit), `the unit ${shown(unit)} is not one of ${UNITS.join(", ")}; choose one.`);
  operatorOf(settings);
  return settings;
}

/**
 * The operator with its blur; twin of `ProtectSettings.sigma`.
 * @param {Settings} settings
 */
export const operatorOf = ({ operator, blur, resolution }) => operatorNamed(operator, blur, resolution);
