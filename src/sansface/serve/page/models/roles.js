/**
 * Which photographs may be neutral, for the user to decide; twin of `sansface/faces/roles.py`. Whatever is not
 * shown to be so is sensitive: neutral is suggested only where no network finds anything of a face and the camera
 * looks from behind.
 */

import { Refusal } from "../protect/refusal.js";
import { centerOf } from "../protect/camera.js";
import { norm, rint } from "../protect/linear.js";
import { sphereFromCameras } from "../protect/sphere.js";
import { angleFrom, degreesBetween, findHead } from "./direction.js";

const BEHIND = 130; // degrees from the face's direction beyond which a camera looks from behind
const CONTRADICTION = 45; // degrees between the front as said and as the faces show it, beyond which one is wrong
const KINDS = { "short range": "face by the short-range detector", landmarks: "landmarks of a face" };

/**
 * Suggest a role for each photograph.
 * @param {{name: string, camera: import("../protect/camera.js").Camera}[]} frames
 * @param {(import("./detectors.js").Finding[] | null)[]} findings what `Models.faces` found in each; null where it
 *   could not look
 * @param {number | null} front which of the frames was taken from straight in front, by the user's word
 * @param {{center: number[]} | null} sphere the capture's own, if it has one
 * @returns {{role: "neutral" | "sensitive", reasons: string[], angle: number | null}[]} angle in degrees from the
 *   face's direction, the less of them where it is both said and shown, null where none is known
 * @throws {Refusal} the front that is said contradicts the faces, or is no direction
 */
export function suggest(frames, findings, front = null, sphere = null) {
  const looked = frames.map((_, at) => findings[at] ?? null);
  const heads = headsOf(frames.map(({ camera }) => camera), looked.map((found) => found ?? []), front, sphere);
  return frames.map(({ camera }, at) => {
    const angle = heads.length ? Math.min(...heads.map((head) => angleFrom(head, camera))) : null;
    const against = reasonsAgainst(looked[at], angle);
    if (against.length) return { role: "sensitive", reasons: against, angle };
    const reasons = ["no detector finds a face", `${rint(angle)}° from the front, so from behind`];
    return { role: "neutral", reasons, angle };
  });
}

function reasonsAgainst(found, angle) {
  if (found === null) return ["no detector could look"];
  const reasons = found.length ? [told(found[0])] : [];
  if (angle === null) {
    reasons.push("where the face looks cannot be found: say which picture is from the front");
  } else if (!(angle > BEHIND)) {
    reasons.push(`${rint(angle)}° from the front, not beyond ${BEHIND}°`);
  }
  return reasons;
}

function told({ kind, score, turned, mirrored }) {
  const how = [score.toFixed(2), ...(turned ? [`turned ${turned}°`] : []), ...(mirrored ? ["mirrored"] : [])];
  return `${KINDS[kind]} (${how.join(", ")})`;
}

/** The head as the user says that it looks, and as the photographs show; what is not known is left out. */
function headsOf(cameras, findings, front, sphere) {
  const shown = findHead(cameras, findings);
  if (front === null) return shown ? [shown] : [];
  const center = shown?.center ?? sphere?.center ?? sphereFromCameras(cameras).center;
  const given = centerOf(cameras[front]).map((value, axis) => value - center[axis]);
  const length = norm(given);
  if (!(length > 0 && length < Infinity)) {
    throw new Refusal("the picture from the front has its camera inside the head; choose another.");
  }
  const apart = shown ? degreesBetween(given, shown.forward) : 0;
  if (apart > CONTRADICTION) {
    throw new Refusal(
      `the picture from the front is ${rint(apart)}° from where the photographs show the face; choose another, or none.`,
    );
  }
  const head = { center, forward: given.map((value) => value / length) };
  return shown ? [head, shown] : [head];
}
