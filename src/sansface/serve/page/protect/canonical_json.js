/**
 * JSON with one way to write it, byte for byte as Python writes the manifest: keys sorted, no spaces, ASCII.
 * Numbers are floats and always have a decimal point or an exponent; whole numbers are BigInts.
 */

/**
 * A float as Python's `repr` writes it: the shortest digits that give it back.
 * @param {number} value finite
 * @returns {string} such as `1.0`, `-0.0`, `1e-07` or `1e+16`
 */
export function formatFloat(value) {
  if (!Number.isFinite(value)) throw new RangeError("JSON has no number that is not finite");
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const sign = value < 0 ? "-" : "";
  const [mantissa, power] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

/**
 * @param {unknown} value of objects, arrays, strings, booleans, null, numbers (floats) and BigInts
 * @returns {string}
 */
export function canonicalJson(value) {
  if (typeof value === "number") return formatFloat(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") {
    const escaped = (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return JSON.stringify(value).replace(/[\x7f-\uffff]/g, escaped);
  }
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${canonicalJson(key)}:${canonicalJson(value[key])}`).join(",")}}`;
}
