/** What a bundle holds, in sentences; after `sansface/protect/describe.py`. */

const SOURCES = { masks: "the masks' visual hull", cameras: "the cameras' common view", given: "what was given" };

/**
 * Exactly what will be sent, one sentence a line.
 * @param {import("./contents.js").Bundle} bundle
 * @param {number} size in bytes
 * @returns {string[]}
 */
export function summaryOf(bundle, size) {
  const sensitive = bundle.frames.filter((frame) => frame.role === "sensitive");
  const neutral = bundle.frames.length - sensitive.length;
  const { resolution, share } = bundle;
  const shared = {
    modulus: `gradient magnitudes only (${sigmaWords(bundle)}), withheld at the outline`,
    outline: `the outline only, at ${resolution} pixels`,
    camera: "nothing but their cameras; the face will be a mean one",
  };
  const colours = `colours at ${resolution} pixels, without background`;
  return [
    `Of ${counted(sensitive.length, "sensitive photograph")}: ${shared[share]}.`,
    neutral ? `Of ${counted(neutral, "neutral photograph")}: ${colours}.` : "No photograph in colour.",
    `Masks: ${maskWords(bundle, sensitive)}.`,
    "Of every photograph: its camera, in a frame that says nothing of your world.",
    `The bounding sphere, from ${SOURCES[bundle.sphereSource]}; its place, size and direction are not told.`,
    "Not in it: colours of the sensitive photographs, backgrounds, file names, EXIF, thumbnails.",
    `In all ${size.toLocaleString("en")} bytes.`,
    "Protected is not anonymous: what is shared remains personal, likely biometric data.",
  ];
}

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function sigmaWords({ operator, resolution, bits, noise, gain }) {
  const name = operator.blur ? `${operator.name} after a blur of ${operator.blur}` : operator.name;
  const strengths = `${noise ? `, noise ${noise}` : ""}${gain ? ", random gains" : ""}`;
  return `${name}, ${resolution} pixels, ${counted(bits, "bit")}${strengths}`;
}

function maskWords({ frames, resolution, share }, sensitive) {
  if (frames.every((frame) => frame.mask === null)) {
    const traced = share === "modulus" && sensitive.length > 0;
    return traced ? "not sent, though values trace the outline to within a pixel or two" : "not sent";
  }
  const whose = share === "camera" ? " of the neutral photographs" : "";
  return `sent${whose}, at ${resolution} pixels; they show the outline`;
}
