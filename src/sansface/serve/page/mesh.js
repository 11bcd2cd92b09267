/**
 * Triangle meshes and their binary PLY files.
 *
 * Mesh: {positions: Float64Array (3n), normals: Float32Array (3n), faces: Uint32Array (3m)}; faces turn
 * anticlockwise seen from outside.
 */

const READ = {
  char: ["getInt8", 1], uchar: ["getUint8", 1], short: ["getInt16", 2], ushort: ["getUint16", 2],
  int: ["getInt32", 4], uint: ["getUint32", 4], float: ["getFloat32", 4], double: ["getFloat64", 8],
  int8: ["getInt8", 1], uint8: ["getUint8", 1], int16: ["getInt16", 2], uint16: ["getUint16", 2],
  int32: ["getInt32", 4], uint32: ["getUint32", 4], float32: ["getFloat32", 4], float64: ["getFloat64", 8],
};
const MAX_ELEMENTS = 20_000_000;

/**
 * Read a binary little-endian PLY of triangles.
 * @param {ArrayBuffer} buffer
 * @returns {Mesh} normals are those of the file, else they follow from the faces.
 * @throws {Error} one sentence: another format, cut short, or a face that is no triangle of its vertices.
 */
export function readPly(buffer) {
  const bytes = new Uint8Array(buffer);
  const { elements, end } = header(bytes);
  const view = new DataView(buffer);
  const mesh = { positions: null, normals: null, faces: null };
  let at = end;
  try {
    for (const element of elements) {
      const list = element.properties.length === 1 && element.properties[0].list;
      if (list) at = readFaces(view, at, element, mesh);
      else at = readVertices(view, at, element, mesh);
    }
  } catch (error) {
    if (error instanceof RangeError) throw new Error("The mesh file is cut short; download it again.");
    throw error;
  }
  if (!mesh.positions || !mesh.faces?.length) throw new Error("The mesh file holds no triangles.");
  const count = mesh.positions.length / 3;
  if (mesh.faces.some((index) => index >= count)) {
    throw new Error("The mesh file has a face that names a missing vertex; download it again.");
  }
  mesh.normals ??= normalsOf(mesh.positions, mesh.faces);
  return mesh;
}

/**
 * Write a binary little-endian PLY: positions as doubles, because a world may be far from its origin.
 * @param {Mesh} mesh
 * @returns {Uint8Array}
 */
export function writePly(mesh) {
  const vertices = mesh.positions.length / 3;
  const faces = mesh.faces.length / 3;
  const names = ["double x", "double y", "double z", "float nx", "float ny", "float nz"];
  const head = new TextEncoder().encode(
    `ply\nformat binary_little_endian 1.0\nelement vertex ${vertices}\n` +
      names.map((name) => `property ${name}\n`).join("") +
      `element face ${faces}\nproperty list uchar int vertex_indices\nend_header\n`,
  );
  const bytes = new Uint8Array(head.length + vertices * 36 + faces * 13);
  const view = new DataView(bytes.buffer);
  bytes.set(head);
  let at = head.length;
  for (let i = 0; i < vertices; i++, at += 36) {
    for (let k = 0; k < 3; k++) {
      view.setFloat64(at + 8 * k, mesh.positions[3 * i + k], true);
      view.setFloat32(at + 24 + 4 * k, mesh.normals[3 * i + k], true);
    }
  }
  for (let i = 0; i < faces; i++, at += 13) {
    view.setUint8(at, 3);
    for (let k = 0; k < 3; k++) view.setInt32(at + 1 + 4 * k, mesh.faces[3 * i + k], true);
  }
  return bytes;
}

/**
 * Unit normals of vertices: normals of the faces around, weighted by area.
 * @returns {Float32Array} (3n)
 */
export function normalsOf(positions, faces) {
  const sum = new Float64Array(positions.length);
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const [ux, uy, uz] = [0, 1, 2].map((k) => positions[b + k] - positions[a + k]);
    const [vx, vy, vz] = [0, 1, 2].map((k) => positions[c + k] - positions[a + k]);
    const normal = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const corner of [a, b, c]) for (let k = 0; k < 3; k++) sum[corner + k] += normal[k];
  }
  const unit = new Float32Array(positions.length);
  for (let i = 0; i < sum.length; i += 3) {
    const length = Math.hypot(sum[i], sum[i + 1], sum[i + 2]);
    for (let k = 0; k < 3; k++) unit[i + k] = length > 0 ? sum[i + k] / length : 0;
  }
  return unit;
}

function header(bytes) {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 4096));
  const mark = "end_header\n";
  const stop = text.indexOf(mark);
  const lines = text.slice(0, Math.max(stop, 0)).split("\n");
  if (stop < 0 || lines[0] !== "ply" || lines[1] !== "format binary_little_endian 1.0") {
    throw new Error("The mesh is not a binary PLY file; download it again.");
  }
  const elements = [];
  for (const line of lines.slice(2)) {
    const words = line.split(" ");
    if (words[0] === "element") {
      const count = Number(words[2]);
      if (!(count >= 0 && count <= MAX_ELEMENTS)) throw new Error("The mesh file is too large to show.");
      elements.push({ name: words[1], count, properties: [] });
    } else if (words[0] === "property") {
      const list = words[1] === "list";
      const types = list ? words.slice(2, 4) : words.slice(1, 2);
      if (!types.every((type) => Object.hasOwn(READ, type)) || !elements.length) {
        throw new Error("The mesh file has a property of an unknown type.");
      }
      elements.at(-1).properties.push({ name: words.at(-1), list, types: types.map((type) => READ[type]) });
    }
  }
  return { elements, end: stop + mark.length };
}

function readVertices(view, start, { name, count, properties }, mesh) {
  if (properties.some((property) => property.list)) throw new Error("The mesh file has an unknown element.");
  const stride = properties.reduce((sum, { types: [[, size]] }) => sum + size, 0);
  const columns = (names) => names.map((wanted) => {
    let offset = 0;
    for (const { name: here, types: [[get, size]] } of properties) {
      if (here === wanted) return { get, offset };
      offset += size;
    }
    return null;
  });
  const fill = (array, found) => {
    for (let i = 0, row = start; i < count; i++, row += stride) {
      for (let k = 0; k < 3; k++) {
        const value = view[found[k].get](row + found[k].offset, true);
        if (!Number.isFinite(value)) throw new Error("The mesh file has a number that is not finite.");
        array[3 * i + k] = value;
      }
    }
    return array;
  };
  if (name === "vertex") {
    const [place, turn] = [columns(["x", "y", "z"]), columns(["nx", "ny", "nz"])];
    if (place.includes(null)) throw new Error("The mesh file has no positions.");
    if (start + stride * count > view.byteLength) throw new RangeError();
    mesh.positions = fill(new Float64Array(3 * count), place);
    mesh.normals = turn.includes(null) ? null : fill(new Float32Array(3 * count), turn);
  }
  return start + stride * count;
}

function readFaces(view, start, { name, count, properties }, mesh) {
  const [[length, lengthSize], [index, indexSize]] = properties[0].types;
  if (start + (lengthSize + 3 * indexSize) * count > view.byteLength) throw new RangeError();
  const faces = new Uint32Array(3 * count);
  let at = start;
  for (let i = 0; i < count; i++) {
    if (view[length](at, true) !== 3) throw new Error("The mesh file has a face that is no triangle.");
    at += lengthSize;
    for (let k = 0; k < 3; k++, at += indexSize) faces[3 * i + k] = view[index](at, true);
  }
  if (name === "face") mesh.faces = faces;
  return at;
}
