/**
 * nerfstudio's `transforms.json`, with our key `role` on each frame, and its dialects; twin of
 * `sansface/formats/transforms_json.py` and, of what lies beside it, `meta.py`: the same rules and refusals.
 *
 * Poses there are c2w in OpenGL's axes (+x right, +y up, +z backward): c2w_GL = c2w_CV · diag(1, −1, −1, 1).
 *
 * @typedef {object} CaptureFrame
 * @property {string} name of the photograph's file, without folders
 * @property {string} path of it, as the capture says; Blender's captures leave the suffix out
 * @property {string | null} maskPath
 * @property {"neutral" | "sensitive"} role what is not said is sensitive
 * @property {boolean} said was a role given?
 * @property {import("./camera.js").Camera} camera
 *
 * @typedef {object} Capture
 * @property {CaptureFrame[]} frames sorted by path
 * @property {{center: number[], radius: number, source: "masks" | "cameras" | "given"} | null} sphere
 * @property {string} unit of the world
 */

import { UNITS, centerOf, checkedCamera } from "./camera.js";
import { norm, product, solved } from "./linear.js";
import { Refusal, shown } from "./refusal.js";
import { parseStrictly } from "./strict_json.js";

const NAME = "transforms.json";
const META = "meta.json";
const INTRINSICS = ["fl_x", "fl_y", "cx", "cy", "w", "h"];
const DISTORTION = ["k1", "k2", "p1", "p2", "k3", "k4"];
const PER_FRAME = [...INTRINSICS, ...DISTORTION, "distortion_params", "intrinsic_matrix", "camera_angle_x"];
const MODELS = {
  OPENCV: ["k1", "k2", "p1", "p2", "k3"],
  PINHOLE: [],
  SIMPLE_PINHOLE: [],
  SIMPLE_RADIAL: ["k1"],
  RADIAL: ["k1", "k2"],
};
// Known keys that change nothing here: nerfstudio's own, then neuralangelo's and instant-ngp's.
const IGNORED_ON_TOP = [
  "fisheye_crop_radius", "orientation_override", "applied_transform", "applied_scale", "ply_file_path",
  "train_filenames", "val_filenames", "test_filenames", "auto_scale_poses_override",
  "camera_angle_y", "aabb_scale", "aabb_range", "scale", "offset", "aabb", "white_transparent",
  "black_transparent", "enable_depth_loading", "integer_depth_scale", "n_extra_learnable_dims", "up",
];
const MUST_BE_OFF = ["is_fisheye", "from_mitsuba", "rolling_shutter", "sk_x", "sk_y"];
const ON_TOP = [
  ...PER_FRAME, ...IGNORED_ON_TOP, ...MUST_BE_OFF, "camera_model", "frames", "from_na", "sphere_center",
  "sphere_radius",
];
const ON_FRAME = [
  ...PER_FRAME, "file_path", "transform_matrix", "mask_path", "role", "depth_file_path", "depth_path",
  "colmap_im_id", "sharpness", "rotation", "camera_angle_y",
];
const FLIP = [1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1];
const SAME = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
const UNIT_WORDS = {
  millimetre: "mm", millimeter: "mm", centimetre: "cm", centimeter: "cm",
  metre: "m", meter: "m", inch: "in", inche: "in",
};

/**
 * Read a capture's poses, intrinsics, names of masks, and roles.
 * @param {string} text of `transforms.json`
 * @param {string | null} metaText of the `meta.json` beside it, if there is one: sphere and unit
 * @returns {Capture}
 */
export function readCapture(text, metaText = null) {
  const document = parseStrictly(text, NAME);
  if (!isObject(document) || !Array.isArray(document.frames) || !document.frames.length) {
    throw new Refusal(`${NAME} has no list of frames; write it as nerfstudio does.`);
  }
  checkKeys(document, ON_TOP, NAME);
  for (const key of MUST_BE_OFF) {
    if (isSet(document[key])) {
      throw new Refusal(`${NAME} sets ${key}, which is not supported; undistort the capture first.`);
    }
  }
  const { camera_model: model = "OPENCV" } = document;
  if (typeof model !== "string" || !Object.hasOwn(MODELS, model)) {
    const known = Object.keys(MODELS).join(", ");
    throw new Refusal(
      `${NAME} has the camera model ${shown(model)}, not one of ${known}; undistort the capture first.`,
    );
  }
  for (const [index, entry] of document.frames.entries()) {
    if (!isObject(entry) || typeof entry.file_path !== "string" || !entry.file_path) {
      throw new Refusal(`${NAME}: frame ${index} has no file_path; name its photograph.`);
    }
  }
  const entries = [...document.frames].sort((one, other) => byCodePoints(one.file_path, other.file_path));
  checkEachOnce(entries);
  checkNotMixed(document, entries);
  const frames = entries.map((entry) => readFrame(document, entry, model));
  const meta = metaText === null ? {} : readMeta(metaText);
  return { frames, sphere: meta.sphere ?? sphereOnTop(document, frames), unit: meta.unit ?? "unknown" };
}

function readFrame(document, entry, model) {
  const where = `${NAME}, frame ${entry.file_path}`;
  checkKeys(entry, ON_FRAME, where);
  const said = Object.hasOwn(entry, "role");
  const role = said ? entry.role : "sensitive";
  if (role !== "neutral" && role !== "sensitive") {
    throw new Refusal(`${where}: the role ${shown(role)} is neither neutral nor sensitive; correct it.`);
  }
  const maskPath = entry.mask_path ?? null;
  if (maskPath !== null && (typeof maskPath !== "string" || !maskPath)) {
    throw new Refusal(`${where}: mask_path is not the name of a file; correct or remove it.`);
  }
  const fields = Object.fromEntries(PER_FRAME.map((key) => [key, entry[key] ?? document[key] ?? null]));
  try {
    const flip = isSet(document.from_na) ? SAME : FLIP;
    const camera = cameraOf(toldIn(fields), entry.transform_matrix ?? null, model, flip);
    const name = plainPath(entry.file_path).split("/").at(-1);
    return { name, path: entry.file_path, maskPath, role, said, camera };
  } catch (error) {
    throw error instanceof Refusal ? new Refusal(`${where}: ${error.message}`) : error;
  }
}

/** The fields with fl_x, fl_y, cx and cy, if they were said in a dialect. */
function toldIn(fields) {
  const { intrinsic_matrix: matrix, camera_angle_x: angle } = fields;
  if (matrix !== null) {
    if (["fl_x", "fl_y", "cx", "cy"].some((key) => fields[key] !== null)) {
      throw new Refusal("intrinsic_matrix and fl_x, cx, ... are both given; remove one of them.");
    }
    const K = matrixOf(matrix, 3) ?? matrixOf(matrix, 4);
    if (K === null) throw new Refusal("intrinsic_matrix is not 3 × 3 or 4 × 4 finite numbers; correct it.");
    const size = Math.sqrt(K.length);
    if (Math.abs(K[1]) > 1e-5 * Math.abs(K[0])) {
      throw new Refusal("intrinsic_matrix has skewed pixels; undistort the capture first.");
    }
    return { ...fields, fl_x: K[0], fl_y: K[size + 1], cx: K[2], cy: K[size + 2] };
  }
  if (angle === null || fields.fl_x !== null) return fields;
  const view = sensible(angle, "camera_angle_x");
  if (!(view > 0 && view < Math.PI)) throw new Refusal("camera_angle_x is not between 0 and pi; correct it.");
  const [width, height] = [sensible(fields.w, "w"), sensible(fields.h, "h")];
  const focal = width / 2 / Math.tan(view / 2);
  const { fl_y, cx, cy } = fields;
  return { ...fields, fl_x: focal, fl_y: fl_y ?? focal, cx: cx ?? width / 2, cy: cy ?? height / 2 };
}

function cameraOf(fields, matrix, model, flip) {
  const fl_y = fields.fl_y ?? (model.startsWith("SIMPLE_") ? fields.fl_x : null);
  const [fx, fy, cx, cy, width, height] = INTRINSICS.map((key) => sensible({ ...fields, fl_y }[key], key));
  if (!Number.isInteger(width) || !Number.isInteger(height)) {
    throw new Refusal("w and h are not whole numbers of pixels; correct them.");
  }
  const { k4, ...distortion } = distortionOf(fields);
  if (k4) throw new Refusal("k4 is not supported; undistort the capture first.");
  for (const [key, value] of Object.entries(distortion)) {
    if (value && !MODELS[model].includes(key)) {
      throw new Refusal(`the camera model ${model} has no ${key}; set it to 0 or use OPENCV.`);
    }
  }
  if (matrix === null) throw new Refusal("transform_matrix is missing; give the camera's pose.");
  const c2w = matrixOf(matrix, 4);
  if (c2w === null) throw new Refusal("transform_matrix is not 4 rows of 4 finite numbers; correct it.");
  const posed = product(c2w, flip, 4);
  const camFromWorld = solved(posed, SAME, 4, "the pose");
  if (posed[12] === 0 && posed[13] === 0 && posed[14] === 0 && posed[15] === 1) {
    camFromWorld.splice(12, 4, 0, 0, 0, 1); // the inverse has this row, too, but for rounding
  }
  const { k1, k2, p1, p2, k3 } = distortion;
  const K = [fx, 0, cx, 0, fy, cy, 0, 0, 1];
  return checkedCamera({ K, width, height, camFromWorld, distortion: [k1, k2, p1, p2, k3] });
}

function distortionOf(fields) {
  const params = fields.distortion_params;
  if (params === null) {
    const valueOf = (key) => (fields[key] === null ? 0 : sensible(fields[key], key));
    return Object.fromEntries(DISTORTION.map((key) => [key, valueOf(key)]));
  }
  if (DISTORTION.some((key) => fields[key] !== null)) {
    throw new Refusal("distortion_params and k1, k2, ... are both given; remove one of them.");
  }
  if (!Array.isArray(params) || params.length !== 6) {
    throw new Refusal("distortion_params is not [k1, k2, k3, k4, p1, p2]; correct it.");
  }
  const [k1, k2, k3, k4, p1, p2] = params.map((value) => sensible(value, "distortion_params"));
  return { k1, k2, p1, p2, k3, k4 };
}

function sensible(value, key) {
  if (value === null) throw new Refusal(`${key} is missing; give it for all frames or on each of them.`);
  if (typeof value !== "number" || !(Math.abs(value) <= 1e12)) {
    throw new Refusal(`${key} is ${shown(value)}, not a sensible number; correct it.`);
  }
  return value;
}

/** (size, size) rows of finite numbers in one array, or null. */
function matrixOf(rows, size) {
  if (!Array.isArray(rows) || rows.length !== size) return null;
  const fine = rows.every((row) => Array.isArray(row) && row.length === size && row.every(Number.isFinite));
  return fine ? rows.flat() : null;
}

function checkKeys(value, known, where) {
  const unknown = Object.keys(value).filter((key) => !known.includes(key)).sort(byCodePoints);
  if (unknown.length) {
    throw new Refusal(`${where} has the unknown key ${shown(unknown[0])}; correct or remove it.`);
  }
}

function checkEachOnce(entries) {
  const seen = new Set();
  for (const { file_path: path } of entries) {
    const name = plainPath(path);
    if (seen.has(name)) {
      throw new Refusal(`${NAME} names the photograph ${name} twice; remove one of the two frames.`);
    }
    seen.add(name);
  }
}

function checkNotMixed(document, entries) {
  for (const key of PER_FRAME) {
    const count = entries.filter((entry) => Object.hasOwn(entry, key)).length;
    if ((count && Object.hasOwn(document, key)) || (count > 0 && count < entries.length)) {
      throw new Refusal(`${NAME} gives ${key} for some frames only; give it on top or on every frame.`);
    }
  }
}

/** neuralangelo's sphere, where all cameras stand outside it, as they do around a subject. */
function sphereOnTop({ sphere_center: center = null, sphere_radius: radius = null }, frames) {
  if (center === null || radius === null) return null;
  if (!isPlace(center)) throw new Refusal(`${NAME}: sphere_center is not 3 finite numbers; correct it.`);
  if (!isPositive(radius)) {
    throw new Refusal(`${NAME}: the sphere's radius ${shown(radius)} is not a positive number; give one.`);
  }
  const away = ({ camera }) => norm(centerOf(camera).map((value, axis) => value - center[axis]));
  return frames.every((frame) => away(frame) > radius) ? { center, radius, source: "given" } : null;
}

function readMeta(text) {
  const meta = parseStrictly(text, META);
  if (!isObject(meta)) throw new Refusal(`${META} is not a JSON object; correct or remove it.`);
  const { center = null, radius = null, sphere_source: source = "given" } = meta;
  const found = center !== null && radius !== null;
  if (found && !(isPlace(center) && isPositive(radius) && ["masks", "cameras", "given"].includes(source))) {
    throw new Refusal(
      `${META}: center and radius are not three numbers and a positive one, or sphere_source is none of ` +
        "masks, cameras, given; correct them.",
    );
  }
  const unit = Object.hasOwn(meta, "unit") ? unitOf(meta.unit) : null;
  return { sphere: found ? { center, radius, source } : null, unit };
}

/** One of `UNITS`, for it travels. */
function unitOf(value) {
  const word = String(value).trim().toLowerCase();
  const unit = UNIT_WORDS[word.replace(/s$/, "")] ?? word;
  if (!UNITS.includes(unit)) {
    throw new Refusal(`${META}: the unit is none of ${UNITS.join(", ")}; correct it, or leave it out.`);
  }
  return unit;
}

function plainPath(path) {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return (path.startsWith("/") ? "/" : "") + parts.join("/");
}

function byCodePoints(one, other) {
  const [a, b] = [one, other].map((text) => Array.from(text, (mark) => mark.codePointAt(0)));
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPlace(value) {
  return Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
}

function isPositive(value) {
  return typeof value === "number" && value > 0 && value < Infinity;
}

/** As Python judges: 0, false, null and what is empty are not set. */
function isSet(value) {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}
