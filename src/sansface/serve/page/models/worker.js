/** What runs in the worker of `Models`: one photograph at a time; out of it come masks and findings alone. */

import { Refusal } from "../protect/refusal.js";
import { WORKED, findFaces } from "./detectors.js";
import { Runtime } from "./litert.js";
import { pixelsOf } from "./pixels.js";
import { SHOWN, personMask } from "./segment.js";

const NETWORKS = { person: "person", shortRange: "face-short-range", landmarks: "face-landmarks" };
const networks = {};

const TASKS = {
  async open({ base }) {
    const files = {};
    for (const [name, file] of Object.entries(NETWORKS)) files[name] = await bytesAt(base, file);
    const runtime = await Runtime.open(`${base}litert.js`, await bytesAt(base, "litert.wasm"));
    for (const name of Object.keys(NETWORKS)) networks[name] = await runtime.network(files[name]);
    return { result: null, moved: [] };
  },
  async mask({ file }) {
    const { pixels } = await pixelsOf(file, SHOWN);
    const result = await personMask(pixels, networks.person);
    return { result, moved: [result.data.buffer] };
  },
  async faces({ file }) {
    const { pixels, width, height } = await pixelsOf(file, WORKED);
    const [across, down] = [width / pixels.width, height / pixels.height];
    const result = (await findFaces(pixels, networks)).map(({ box, landmarks, ...rest }) => ({
      ...rest,
      box: box.map((value, at) => value * (at % 2 ? down : across)),
      landmarks: landmarks && landmarks.map((value, at) => value * (at % 2 ? down : across)),
    }));
    return { result, moved: [] };
  },
};

async function bytesAt(base, name) {
  const answer = await fetch(`${base}${name}`, { credentials: "omit" });
  if (!answer.ok) throw new Refusal(`this server does not have ${name}.`);
  return new Uint8Array(await answer.arrayBuffer());
}

globalThis.addEventListener("message", async ({ data }) => {
  try {
    const { result, moved } = await TASKS[data.task](data);
    globalThis.postMessage({ result }, { transfer: moved });
  } catch (error) {
    const what = data.file?.name ?? "the models";
    const words = `${what} could not be worked on (${error?.message ?? error}); close other pages and try again.`;
    globalThis.postMessage({ error: error instanceof Refusal ? error.message : words });
  }
});
