/** A photograph as it will leave, for the user's own eyes; after `sansface/protect/sheet.py`. */

import { mostOf } from "./contents.js";

const BLUE = [60, 90, 140]; // what is withheld

/**
 * σ in grey, stretched to its own largest value, what is withheld in blue; a neutral photograph in colour.
 * Where outlines alone are shared, the outline in white; where cameras alone are, nothing.
 * @param {import("./pipeline.js").Small} small
 * @param {import("./settings.js").Settings} settings
 * @returns {{width: number, height: number, data: Uint8ClampedArray}} RGBA
 */
export function previewOf({ role, camera, mask, codes, sigma, shared }, { share, bits }) {
  const { width, height } = camera;
  const data = new Uint8ClampedArray(4 * width * height);
  const brightest = sigma ? Math.max(1e-6, sigma.reduce((a, b) => Math.max(a, b), 0)) : 1;
  for (let at = 0; at < width * height; at++) {
    let colour = BLUE;
    if (role === "neutral") {
      colour = [0, 1, 2].map((k) => (255 * codes[3 * at + k]) / mostOf(bits));
    } else if (share === "outline") {
      colour = BLUE.map((code) => code + ((255 - code) * mask[at]) / 255);
    } else if (shared[at]) {
      colour = new Array(3).fill((255 * sigma[at]) / brightest);
    }
    data.set([...colour, 255], 4 * at);
  }
  return { width, height, data };
}
