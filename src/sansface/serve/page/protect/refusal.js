/** A failure said in one sentence for the person's own screen. It may name the file there; it goes nowhere else. */
export class Refusal extends Error {}

/**
 * A value out of a file or a setting, short and on one line, for a sentence.
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  const text = typeof value === "string" ? `'${value}'` : String(JSON.stringify(value) ?? value);
  return text.replace(/[^\x20-\uffff]/g, " ").slice(0, 42);
}
