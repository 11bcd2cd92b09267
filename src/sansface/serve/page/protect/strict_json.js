/** JSON read strictly, as the Python does: finite numbers only, each key once. */

import { Refusal } from "./refusal.js";

/**
 * @param {string} text
 * @param {string} name of the file, for the sentence
 * @returns {any}
 */
export function parseStrictly(text, name) {
  const refuse = (fault) => new Refusal(`${name} is not usable JSON: ${fault}; correct the file.`);
  let value;
  try {
    value = JSON.parse(text, (_, part) => {
      if (typeof part === "number" && !Number.isFinite(part)) throw refuse("it holds a number that is not finite");
      return part;
    });
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw refuse(/NaN|Infinity/.test(text) ? "it holds NaN or Infinity, or is damaged" : "it is damaged");
  }
  if (namesAKeyTwice(text)) throw refuse("it names a key twice");
  return value;
}

/** Of text that is JSON: a string before a colon is a key of the innermost object. */
function namesAKeyTwice(text) {
  const open = [];
  for (const [, string, colon, bracket] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|([{}[\]])/g)) {
    if (bracket === "{" || bracket === "[") open.push(new Set());
    else if (bracket) open.pop();
    else if (colon) {
      const keys = open.at(-1);
      const key = JSON.parse(string);
      if (keys.has(key)) return true;
      keys.add(key);
    }
  }
  return false;
}
