/**
 * A zip file with one way to write it; twin of `sansface/protect/container.py`: members stored in the order
 * given, with fixed times and attributes, nothing between them.
 */

const VERSION = 20;
const MADE_BY = (3 << 8) | VERSION; // Unix, so that the mode below has a meaning
const DATE = (1 << 5) | 1; // 1980-01-01, the earliest that a zip can say
const MODE = (0o100644 << 16) >>> 0;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @param {Uint8Array} data @returns {number} its CRC-32, as zip and PNG have it */
export function crc32(data) {
  let crc = 0xffffffff;
  for (let at = 0; at < data.length; at++) crc = TABLE[(crc ^ data[at]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * The zip's bytes.
 * @param {[string, Uint8Array][]} members names are ASCII
 * @returns {Uint8Array}
 */
export function packed(members) {
  const pieces = [];
  const directory = [];
  let offset = 0;
  for (const [name, content] of members) {
    const path = new TextEncoder().encode(name);
    const size = content.length;
    const common = [
      [2, 0], [2, 0], [2, 0], [2, DATE], [4, crc32(content)], [4, size], [4, size], [2, path.length], [2, 0],
    ];
    const header = littleEndian([[4, 0x04034b50], [2, VERSION], ...common]);
    const place = [[2, 0], [2, 0], [2, 0], [4, MODE], [4, offset]];
    directory.push(littleEndian([[4, 0x02014b50], [2, MADE_BY], [2, VERSION], ...common, ...place]), path);
    pieces.push(header, path, content);
    offset += header.length + path.length + size;
  }
  const entries = joinedBytes(directory);
  const count = members.length;
  const end = [
    [4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, entries.length], [4, offset], [2, 0],
  ];
  return joinedBytes([...pieces, entries, littleEndian(end)]);
}

/** @param {Uint8Array[]} pieces */
export function joinedBytes(pieces) {
  const result = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.length;
  }
  return result;
}

/** @param {[number, number][]} fields (bytes, value) */
function littleEndian(fields) {
  const bytes = [];
  for (const [size, value] of fields) for (let k = 0; k < size; k++) bytes.push((value >>> (8 * k)) & 255);
  return Uint8Array.from(bytes);
}
