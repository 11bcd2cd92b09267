/** Random numbers from the operating system, through the browser: there is no seed to be found out. */

const AT_ONCE = 16384; // getRandomValues gives at most 65536 bytes

/** @param {number} count @returns {Float64Array} numbers in [0, 1), of 53 bits */
function evenDraws(count) {
  const result = new Float64Array(count);
  const words = new Uint32Array(AT_ONCE);
  for (let at = 0; at < count; at++) {
    const place = (2 * at) % AT_ONCE;
    if (place === 0) crypto.getRandomValues(words);
    result[at] = ((words[place] >>> 5) * 2 ** 26 + (words[place + 1] >>> 6)) / 2 ** 53;
  }
  return result;
}

/** @returns {number} in [0, 1) */
export function evenDraw() {
  return evenDraws(1)[0];
}

/**
 * Of mean 0 and standard deviation 1, by Box and Muller's transform.
 * @param {number} count
 * @returns {Float64Array}
 */
export function gaussianDraws(count) {
  const even = evenDraws(2 * count);
  return Float64Array.from({ length: count }, (_, at) => {
    return Math.sqrt(-2 * Math.log(1 - even[2 * at])) * Math.cos(2 * Math.PI * even[2 * at + 1]);
  });
}
