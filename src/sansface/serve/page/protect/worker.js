/**
 * What runs in each worker of a `Protector`: one request at a time, photographs decoded and forgotten here.
 * Out of it come previews, masks and what `Small` keeps: never the colours of a sensitive photograph, but for
 * the small picture that `look` gives the user's own screen.
 */

import { lookAt } from "./look.js";
import { bundleOf, smallOf } from "./pipeline.js";
import { Refusal } from "./refusal.js";
import { checkedSettings } from "./settings.js";
import { previewOf } from "./sheet.js";

const TASKS = {
  async look({ file }) {
    const result = await lookAt(file);
    return { result, moved: [result.bitmap] };
  },
  async reduce({ frame, settings }) {
    const small = await smallOf(frame, settings);
    const preview = previewOf(small, checkedSettings(settings));
    const arrays = [small.mask, small.codes, small.sigma, small.shared, preview.data];
    const moved = arrays.filter((array) => array !== null).map((array) => array.buffer);
    return { result: { small, preview }, moved };
  },
  async bundle({ smalls, settings }) {
    const result = await bundleOf(smalls, settings);
    return { result, moved: [result.bytes.buffer] };
  },
};

globalThis.addEventListener("message", async ({ data }) => {
  try {
    const { result, moved } = await TASKS[data.task](data);
    globalThis.postMessage({ result }, { transfer: moved });
  } catch (error) {
    const what = data.frame?.file?.name ?? data.file?.name ?? "the bundle";
    const words = `${what} could not be worked on (${error?.message ?? error}); close other pages and try again.`;
    globalThis.postMessage({ error: error instanceof Refusal ? error.message : words });
  }
});
