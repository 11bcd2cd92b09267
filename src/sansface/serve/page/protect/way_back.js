/** From the bundle's unit sphere to the user's own frame and unit. */

/**
 * x_world = center + radius · rotation x_norm.
 * @param {Float32Array} points (n, 3), such as a mesh's vertices
 * @param {import("./frame.js").UserFrame} frame
 * @returns {Float32Array} (n, 3)
 */
export function toWorld(points, { center, radius, rotation }) {
  const result = new Float32Array(points.length);
  for (let at = 0; at < points.length; at += 3) {
    for (let axis = 0; axis < 3; axis++) {
      const row = rotation[axis];
      const turnedBack = row[0] * points[at] + row[1] * points[at + 1] + row[2] * points[at + 2];
      result[at + axis] = center[axis] + radius * turnedBack;
    }
  }
  return result;
}
