/**
 * The client's whole work: photographs and cameras in, a bundle out; twin of `sansface/protect/pipeline.py`.
 *
 * @typedef {object} Small one photograph, as little of it as a bundle needs: a sensitive one's colours are gone
 * @property {string} name of the file, for sentences on the user's own screen
 * @property {"neutral" | "sensitive"} role
 * @property {import("./camera.js").Camera} camera of the reduced size, in the world
 * @property {Uint8Array} mask (h, w) coverage
 * @property {Uint8Array | Uint16Array | null} codes (h, w, 3) of a neutral one
 * @property {Float32Array | null} sigma (h, w) of a sensitive one, with gain and noise, 0 where withheld
 * @property {Uint8Array | null} shared (h, w) of a sensitive one
 */

import { bundleBytes, sha256 } from "./bundle.js";
import { centerOf, checkedCamera, normalized } from "./camera.js";
import { SCALE_STEPS } from "./contents.js";
import { summaryOf } from "./describe.js";
import { withoutFrame } from "./frame.js";
import { dot, norm } from "./linear.js";
import { readPhotograph } from "./photograph.js";
import { disturbed, maskCodes, modulusOf, neutralCodes, reduced, sensitiveCodes } from "./reduce.js";
import { Refusal, shown } from "./refusal.js";
import { checkedSettings, operatorOf } from "./settings.js";
import { sphereFromCameras, sphereFromMasks } from "./sphere.js";

const MIN_NEUTRAL = 2;
const MIN_SENSITIVE = 3;

/**
 * Decode a photograph, remove its background, undistort and average it down; a sensitive one becomes σ.
 * @param {object} frame
 * @param {File} frame.file
 * @param {File | {width: number, height: number, data: Uint8Array} | null} frame.mask
 * @param {import("./camera.js").Camera} frame.camera
 * @param {"neutral" | "sensitive" | null} frame.role null is sensitive
 * @param {Partial<import("./settings.js").Settings>} given
 * @returns {Promise<Small>}
 */
export async function smallOf(frame, given) {
  const settings = checkedSettings(given);
  const { name } = frame.file;
  const role = frame.role ?? "sensitive";
  if (role !== "neutral" && role !== "sensitive") {
    throw new Refusal(`the role ${shown(role)} of ${name} is neither neutral nor sensitive; correct it.`);
  }
  const camera = about(`the camera of ${name}:`, () => checkedCamera(frame.camera));
  const { picture, coverage } = await readPhotograph({ ...frame, role }, camera);
  let small;
  try {
    small = about(`the photograph ${name} cannot be reduced:`, () =>
      reduced(picture, coverage, camera, settings.resolution),
    );
  } finally {
    picture.close();
  }
  const mask = maskCodes(small);
  const kept = { name, role, camera: small.camera, mask, codes: null, sigma: null, shared: null };
  if (role === "neutral") return { ...kept, codes: neutralCodes(small, settings.bits) };
  if (settings.share !== "modulus") {
    return { ...kept, sigma: new Float32Array(mask.length), shared: new Uint8Array(mask.length) };
  }
  const { sigma, shared } = modulusOf(small, operatorOf(settings));
  if (!shared.includes(1)) {
    throw new Refusal(
      `the photograph ${name} is all outline at ${settings.resolution} pixels, so nothing of it can be shared; ` +
        "correct its mask, raise the resolution, blur less or leave it out.",
    );
  }
  return { ...kept, sigma: disturbed(sigma, shared, settings.noise, settings.gain), shared };
}

/**
 * The bundle of reduced photographs, in a frame that says nothing of the world, and the way back.
 * @param {Small[]} smalls at least three sensitive ones, and two neutral ones or none
 * @param {Partial<import("./settings.js").Settings>} given as they were reduced
 * @returns {Promise<{bytes: Uint8Array, digest: string, frame: import("./frame.js").UserFrame, about: object,
 *   summary: string[]}>}
 */
export async function bundleOf(smalls, given) {
  const settings = checkedSettings(given);
  checkRoles(smalls);
  const sphere = sphereOf(smalls, settings);
  checkOutside(smalls, sphere);
  const most = Math.max(0, ...smalls.map(({ sigma }) => (sigma ? sigma.reduce((a, b) => Math.max(a, b)) : 0)));
  const scale = settings.share === "modulus" ? Math.max(1, Math.ceil(most * SCALE_STEPS)) / SCALE_STEPS : 1;
  const inWorld = {
    frames: smalls.map((small) => finished(small, sphere, scale, settings)),
    resolution: settings.resolution,
    operator: operatorOf(settings),
    bits: settings.bits,
    scale,
    center: sphere.center,
    radius: sphere.radius,
    unit: settings.unit,
    sphereSource: sphere.source,
    noise: settings.noise,
    gain: settings.gain < 1,
    share: settings.share,
  };
  const { bundle, rotation } = withoutFrame(inWorld);
  const bytes = await bundleBytes(bundle);
  const digest = await sha256(bytes);
  const neutral = smalls.filter((small) => small.role === "neutral").length;
  return {
    bytes,
    digest,
    frame: {
      schema: 1,
      bundle: digest,
      center: sphere.center,
      radius: sphere.radius,
      rotation: [0, 3, 6].map((at) => rotation.slice(at, at + 3)),
      unit: settings.unit,
    },
    about: {
      frames: smalls.length,
      sensitive: smalls.length - neutral,
      neutral,
      resolution: settings.resolution,
      bytes: bytes.length,
    },
    summary: summaryOf(bundle, bytes.length),
  };
}

/** What `act` gives; its refusal, which does not know the file, after words that do. */
function about(words, act) {
  try {
    return act();
  } catch (error) {
    throw error instanceof Refusal ? new Refusal(`${words} ${error.message.replace(/\.$/, "")}.`) : error;
  }
}

function checkRoles(smalls) {
  const neutral = smalls.filter((small) => small.role === "neutral").length;
  const sensitive = smalls.length - neutral;
  if (neutral > 0 && neutral < MIN_NEUTRAL) {
    throw new Refusal(
      `one neutral frame is too few; give at least ${MIN_NEUTRAL}, of a head its rear, else views ` +
        "that show nothing to be hidden, or none: then a head template takes their place.",
    );
  }
  if (sensitive === 0) {
    throw new Refusal(
      "all frames are neutral, so there is nothing to protect; call every photograph sensitive in which any of " +
        "the face shows.",
    );
  }
  if (sensitive < MIN_SENSITIVE) {
    throw new Refusal(
      `${sensitive} sensitive frames are too few; give ${MIN_SENSITIVE} or more of the face, or of ` +
        "what else is to be hidden.",
    );
  }
}

/**
 * What the user says, else what the capture says, else the masks' visual hull, else the cameras. Of a sensitive
 * photograph whose outline stays, not even the sphere may tell: then neither the hull nor what the capture found by
 * all masks.
 */
function sphereOf(smalls, { center, radius, sphere, share }) {
  const tells = sphere !== null && share === "camera" && sphere.source !== "given";
  let given = sphere === null || tells ? null : { ...sphere, center: Array.from(sphere.center) };
  if (given === null && (center === null || radius === null)) {
    const told = smalls.filter((small) => share !== "camera" || small.role === "neutral");
    const cameras = told.map(({ camera }) => camera);
    const hull = told.length ? sphereFromMasks(cameras, told.map(({ mask }) => mask)) : null;
    given = hull ?? sphereFromCameras(smalls.map(({ camera }) => camera));
  }
  if (center === null && radius === null) return given;
  return { center: Array.from(center ?? given.center), radius: radius ?? given.radius, source: "given" };
}

function checkOutside(smalls, sphere) {
  const { center, radius } = sphere;
  const wide = Number(radius.toPrecision(4));
  const distances = smalls.map(({ camera }) => norm(centerOf(camera).map((value, axis) => value - center[axis])));
  smalls.forEach(({ name }, index) => {
    if (!(distances[index] > radius)) {
      const far = Number(distances[index].toPrecision(4));
      throw new Refusal(
        `the camera of ${name} is inside the bounding sphere (${far} from its center, radius ${wide}); ` +
          "correct the pose, or give a smaller radius.",
      );
    }
  });
  const seeing = smalls.filter(({ camera }) => sees(camera, sphere)).length;
  if (seeing < smalls.length / 2) {
    throw new Refusal(
      `only ${seeing} of ${smalls.length} cameras see anything of the bounding sphere; correct its center and ` +
        "radius, or the poses.",
    );
  }
  smalls.forEach(({ name, camera }, index) => {
    if (2 * Math.max(camera.K[0], camera.K[4]) * radius < distances[index]) {
      const far = Number(distances[index].toPrecision(4));
      throw new Refusal(
        `the camera of ${name} is so far away (${far}, the bounding sphere's radius is ${wide}) that the ` +
          "subject is less than a pixel wide; correct the pose.",
      );
    }
  });
}

/** May some of the sphere be in the picture? It is taken as the square around it. */
function sees({ K, width, height, camFromWorld: pose }, { center, radius }) {
  const [x, y, depth] = [0, 4, 8].map((row) => dot(pose.slice(row, row + 3), center) + pose[row + 3]);
  if (depth <= 0) return depth > -radius;
  const place = [(K[0] * x + K[1] * y) / depth + K[2], (K[4] * y) / depth + K[5]];
  const reach = [K[0], K[4]].map((focal) => (focal * radius) / depth);
  return [width, height].every((size, axis) => {
    const beyond = Math.max(-place[axis], place[axis] - size);
    return beyond <= reach[axis];
  });
}

function finished(small, sphere, scale, settings) {
  const sensitive = small.role === "sensitive";
  const hidden = !settings.shareMasks || (sensitive && settings.share === "camera");
  return {
    camera: normalized(small.camera, sphere.center, sphere.radius),
    role: small.role,
    image: sensitive ? sensitiveCodes(small.sigma, small.shared, scale, settings.bits) : small.codes,
    mask: hidden ? null : small.mask,
  };
}
