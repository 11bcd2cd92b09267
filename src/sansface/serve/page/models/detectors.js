/**
 * Where a face shows in a picture, if a network can see one: turned and mirrored; twin of
 * `sansface/faces/detectors.py` but for YuNet, whose file this runtime cannot read.
 *
 * MediaPipe's short-range detector looks (BlazeFace, Bazarevsky et al. 2019), and of its candidates the landmark
 * network says whether they are faces (Kartynnik et al. 2019). Where Python asks it about the four best
 * candidates, it is asked here about that of every look; and the detector, which looks alone, is believed sooner.
 *
 * @typedef {object} Finding a face, or what a network takes for one
 * @property {"short range" | "landmarks"} kind which network
 * @property {number} score its confidence, 0 to 1
 * @property {number[]} box left, top, width, height in the stored picture's pixels, before it is turned
 * @property {Float32Array | null} landmarks (468, 2) pixels of the stored picture, of kind `landmarks` alone
 * @property {number} turned degrees, counter-clockwise, by which the picture was turned to find the face
 * @property {boolean} mirrored was the picture mirrored, too?
 */

import { applied, composed, inverted, mapped, turning } from "./affine.js";
import { resized, shapeOf } from "./pixels.js";

const TURNS = [0, 90, 180, 270, 30, 60, 120, 150, 210, 240, 300, 330]; // degrees; right angles come first
const UPRIGHT = 4; // so many of the looks are at right angles
const SEARCHED = 128; // pixels of the detector's input
const SHORT_RANGE = 0.6; // of its score; Python, where YuNet looks as well, 0.7. Backs of bald heads stay below
const SURE = 0.85; // score from which on it is a whole face, perhaps the right way up
const CANDIDATE = 0.1; // score from which on the landmark network is asked
const PRESENCE = 0.5; // of the landmark network's own word
const MARGINS = [1.5, 2]; // sides of its square, in sides of the face
const SIDE = 192; // pixels of its input
const RIM = [33, 263]; // of its mesh, the subject's right and left outer corner of the eye

/** The longer side that these networks look at, in pixels: a larger photograph is reduced to it before. */
export const WORKED = 1024;

/**
 * Look for a face until a look finds one. The four right angles are always looked at.
 * @param {import("./pixels.js").Pixels} pixels
 * @param {{shortRange: Network, landmarks: Network}} networks
 * @returns {Promise<Finding[]>} best first, in the pixels given; empty: none of all looks found anything
 *
 * @typedef {(input: Float32Array) => Promise<Float32Array[]>} Network
 */
export async function findFaces(pixels, networks) {
  const [width, height] = shapeOf(pixels, Math.min(SEARCHED, Math.max(pixels.width, pixels.height)));
  const small = resized(pixels, width, height);
  const seen = [];
  const looks = [false, true].flatMap((mirrored) => TURNS.map((turned) => ({ turned, mirrored })));
  for (const [count, look] of looks.entries()) {
    seen.push(await bestOfLook(pixels, small, look, networks.shortRange));
    const found = seen.filter(({ score }) => score >= SHORT_RANGE).sort(byScore);
    if (found.length && count + 1 >= UPRIGHT) {
      const whole = found[0].score >= SURE ? await meshOf(pixels, found[0], networks.landmarks) : [];
      return [...found.map((face) => finding(face)), ...whole].sort(byScore);
    }
  }
  const candidates = seen.filter(({ score }) => score >= CANDIDATE);
  const found = [];
  for (const face of candidates) found.push(...(await meshOf(pixels, face, networks.landmarks)));
  return found.sort(byScore);
}

const byScore = (one, other) => other.score - one.score;
const sigmoid = (value) => 1 / (1 + Math.exp(-value));

function finding({ score, box, turned, mirrored }, landmarks = null) {
  return { kind: landmarks ? "landmarks" : "short range", score, box, landmarks, turned, mirrored };
}

/** The best of the detector's 896 anchors, good or not, with the subject's right and left eye. */
async function bestOfLook(pixels, small, { turned, mirrored }, network) {
  const view = turnedView(small, turned, mirrored);
  const scale = SEARCHED / Math.max(view.width, view.height);
  const margin = [(SEARCHED - scale * view.width) / 2, (SEARCHED - scale * view.height) / 2];
  const square = mapped(view.pixels, [scale, 0, margin[0], 0, scale, margin[1]], SEARCHED, SEARCHED);
  const outputs = await network(Float32Array.from(square.data, (code) => code / 127.5 - 1));
  const [logits, regressions] = outputs.sort((one, other) => one.length - other.length);
  const best = logits.reduce((most, value, at) => (value > logits[most] ? at : most), 0);
  const row = regressions.subarray(16 * best, 16 * best + 16);
  const [x, y] = ANCHORS[best];
  const toPicture = composed([pixels.width / small.width, 0, 0, 0, pixels.height / small.height, 0], inverted(view.map));
  const place = (across, down) => {
    return applied(toPicture, [(x * SEARCHED + across - margin[0]) / scale, (y * SEARCHED + down - margin[1]) / scale]);
  };
  const centre = place(row[0], row[1]);
  const size = [row[2], row[3]].map((side) => (side / scale) * (pixels.width / small.width));
  const eyes = [place(row[4], row[5]), place(row[6], row[7])];
  return {
    score: sigmoid(logits[best]),
    box: [centre[0] - size[0] / 2, centre[1] - size[1] / 2, ...size],
    eyes: mirrored ? eyes.reverse() : eyes,
    turned,
    mirrored,
  };
}

/** A picture turned about its centre on a grey ground that holds it all, mirrored or not; and the map to there. */
function turnedView(small, turned, mirrored) {
  const turn = turning([small.width / 2, small.height / 2], turned, 1);
  const [cosine, sine] = [Math.abs(turn[0]), Math.abs(turn[1])];
  const width = Math.ceil(small.width * cosine + small.height * sine);
  const height = Math.ceil(small.width * sine + small.height * cosine);
  let map = composed([1, 0, (width - small.width) / 2, 0, 1, (height - small.height) / 2], turn);
  if (mirrored) map = composed([-1, 0, width, 0, 1, 0], map);
  return { width, height, map, pixels: mapped(small, map, width, height) };
}

/** Centres of the detector's anchors: two in each cell of 16 x 16, six of 8 x 8. */
const ANCHORS = [[16, 2], [8, 6]].flatMap(([cells, each]) =>
  Array.from({ length: cells * cells * each }, (_, at) => {
    const cell = Math.floor(at / each);
    return [((cell % cells) + 0.5) / cells, (Math.floor(cell / cells) + 0.5) / cells];
  }),
);

/** One finding with the mesh of a face, if the landmark network takes it for one; else none. */
async function meshOf(pixels, face, network) {
  const [left, top, width, height] = face.box;
  const side = Math.max(width, height);
  if (!(side > 0)) return [];
  const centre = [left + width / 2, top + height / 2];
  const first = [];
  for (const margin of MARGINS) first.push(await meshIn(pixels, centre, face.eyes, margin * side, network));
  const [{ score, points }] = first.sort(byScore);
  if (score < PRESENCE) return [];
  const { low, high } = extent(points);
  const middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
  const eyes = RIM.map((at) => [points[2 * at], points[2 * at + 1]]);
  const again = await meshIn(pixels, middle, eyes, MARGINS[0] * Math.max(high[0] - low[0], high[1] - low[1]), network);
  return [finding({ ...face, score }, again.score >= score / 2 ? again.points : points)];
}

/** The network's word whether there is a face, 0 to 1, and (468, 2) places, from a square that is turned level. */
async function meshIn(pixels, centre, eyes, side, network) {
  const angle = (Math.atan2(eyes[1][1] - eyes[0][1], eyes[1][0] - eyes[0][0]) * 180) / Math.PI;
  const toMiddle = [1, 0, SIDE / 2 - centre[0], 0, 1, SIDE / 2 - centre[1]];
  const map = composed(toMiddle, turning(centre, angle, SIDE / side));
  const square = mapped(pixels, map, SIDE, SIDE, "repeated");
  const outputs = await network(Float32Array.from(square.data, (code) => code / 255));
  const [logit, mesh] = outputs.sort((one, other) => one.length - other.length);
  const back = inverted(map);
  const points = new Float32Array(2 * 468);
  for (let at = 0; at < 468; at++) points.set(applied(back, [mesh[3 * at], mesh[3 * at + 1]]), 2 * at);
  return { score: sigmoid(logit[0]), points };
}

function extent(points) {
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  points.forEach((value, at) => {
    low[at % 2] = Math.min(low[at % 2], value);
    high[at % 2] = Math.max(high[at % 2], value);
  });
  return { low, high };
}
