/**
 * The bundle as a file, the same bytes that `sansface/protect/bundle.py` writes of the same contents: the
 * server's verifier reads it, writes it again and compares.
 */

import { canonicalJson } from "./canonical_json.js";
import { packed } from "./container.js";
import { checkBundle, schemaOf } from "./contents.js";
import { parametersOf } from "./operators.js";
import { Refusal } from "./refusal.js";

const MAX_BYTES = 64 << 20;

/**
 * @param {import("./contents.js").Bundle} bundle
 * @returns {Promise<Uint8Array>}
 */
export async function bundleBytes(bundle) {
  checkBundle(bundle);
  const members = [];
  const frames = [];
  for (const [index, frame] of bundle.frames.entries()) {
    const name = `frames/${String(index).padStart(3, "0")}`;
    const { width, height } = frame.camera;
    const shape = frame.role === "neutral" ? [height, width, 3] : [height, width];
    members.push([`${name}.image`, rawBytes(frame.image)]);
    if (frame.mask !== null) members.push([`${name}.mask`, frame.mask]);
    frames.push({
      role: frame.role,
      camera: {
        K: rowsOf(frame.camera.K, 3),
        width: BigInt(width),
        height: BigInt(height),
        cam_from_world: rowsOf(frame.camera.camFromWorld, 4),
      },
      image: await declared(frame.image, shape),
      mask: frame.mask === null ? null : await declared(frame.mask, [height, width]),
    });
  }
  const manifest = new TextEncoder().encode(canonicalJson(manifestOf(bundle, frames)));
  const digest = new TextEncoder().encode(`${await sha256(manifest)}\n`);
  const data = packed([...members, ["manifest.json", manifest], ["manifest.sha256", digest]]);
  if (data.length > MAX_BYTES) {
    throw new Refusal(`the bundle would be larger than ${MAX_BYTES >> 20} MiB; lower the resolution.`);
  }
  return data;
}

function manifestOf(bundle, frames) {
  const schema = schemaOf(bundle);
  return {
    ...(schema > 1 ? { noise: bundle.noise, gain: bundle.gain } : {}),
    ...(schema > 2 ? { share: bundle.share } : {}),
    schema: BigInt(schema),
    resolution: BigInt(bundle.resolution),
    bits: BigInt(bundle.bits),
    scale: bundle.scale,
    operator: parametersOf(bundle.operator),
    unit: bundle.unit,
    sphere_source: bundle.sphereSource,
    world_from_norm: { center: bundle.center, radius: bundle.radius },
    frames,
  };
}

async function declared(array, shape) {
  const dtype = array.BYTES_PER_ELEMENT === 1 ? "uint8" : "uint16";
  return { dtype, shape: shape.map(BigInt), sha256: await sha256(rawBytes(array)) };
}

/** Little-endian, whatever the machine is. */
function rawBytes(array) {
  if (array.BYTES_PER_ELEMENT === 1) return array;
  const view = new DataView(new ArrayBuffer(2 * array.length));
  array.forEach((value, at) => view.setUint16(2 * at, value, true));
  return new Uint8Array(view.buffer);
}

function rowsOf(matrix, size) {
  return Array.from({ length: size }, (_, row) => matrix.slice(size * row, size * (row + 1)));
}

/** @param {Uint8Array} data @returns {Promise<string>} SHA-256, in hexadecimal */
export async function sha256(data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
