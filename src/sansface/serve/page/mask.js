/**
 * A mask that is being drawn: which pixels are subject.
 *
 * It is of the size at which a picture is shown (512 pixels at most), which is eight times finer than what
 * leaves; `enlarged` brings it to the photograph's own size. Places are in pixels, centres at +0.5.
 */

const UNDO = 30;
const WITHHELD = [40, 74, 140, 190]; // blue, as in the pictures of what leaves

export class Mask {
  /** @param {number} width @param {number} height @param {Uint8Array} [data] coverage, 255 = subject */
  constructor(width, height, data = new Uint8Array(width * height)) {
    Object.assign(this, { width, height, data, past: [] });
  }

  /** Whether there is subject and background: a mask of one of them alone is none. */
  get usable() {
    return this.data.some((value) => value > 127) && this.data.some((value) => value < 128);
  }

  /** Remember how it is now, for `undo`. */
  keep() {
    this.past.push(this.data.slice());
    if (this.past.length > UNDO) this.past.shift();
  }

  /** @returns {boolean} whether there was anything to take back */
  undo() {
    const before = this.past.pop();
    if (before) this.data = before;
    return Boolean(before);
  }

  clear() {
    this.data.fill(0);
  }

  /** A stroke of a round brush from one place to another. */
  stroke([ax, ay], [bx, by], radius, subject = true) {
    const [dx, dy] = [bx - ax, by - ay];
    const square = dx * dx + dy * dy;
    this.#fill([Math.min(ax, bx) - radius, Math.min(ay, by) - radius, Math.max(ax, bx) + radius, Math.max(ay, by) + radius],
      (x, y) => {
        const t = square > 0 ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square)) : 0;
        return (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2 <= radius * radius;
      }, subject);
  }

  /** @param {{x: number, y: number, a: number, b: number, angle: number}} ellipse centre, half axes, radians */
  ellipse({ x: cx, y: cy, a, b, angle }, subject = true) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const reach = Math.max(a, b);
    this.#fill([cx - reach, cy - reach, cx + reach, cy + reach], (x, y) => {
      const [u, v] = [(x - cx) * cos + (y - cy) * sin, (y - cy) * cos - (x - cx) * sin];
      return (u / a) ** 2 + (v / b) ** 2 <= 1;
    }, subject);
  }

  /** @param {number[][]} corners of a polygon, closed by itself; where it crosses itself, even and odd */
  polygon(corners, subject = true) {
    if (corners.length < 3) return;
    const xs = corners.map(([x]) => x);
    const ys = corners.map(([, y]) => y);
    this.#fill([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], (x, y) => {
      let inside = false;
      for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
        const [[ax, ay], [bx, by]] = [corners[i], corners[j]];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
      }
      return inside;
    }, subject);
  }

  /**
   * The same at another size.
   * @returns {{width: number, height: number, data: Uint8Array}}
   */
  enlarged(width, height) {
    const data = new Uint8Array(width * height);
    const column = Uint32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * this.width) / width));
    let last = -1;
    for (let y = 0; y < height; y++) {
      const row = Math.floor(((y + 0.5) * this.height) / height);
      if (row === last) data.copyWithin(y * width, (y - 1) * width, y * width);
      else for (let x = 0; x < width; x++) data[y * width + x] = this.data[row * this.width + column[x]];
      last = row;
    }
    return { width, height, data };
  }

  #fill([left, top, right, bottom], inside, subject) {
    const value = subject ? 255 : 0;
    const [x0, y0] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
    const [x1, y1] = [Math.min(this.width, Math.ceil(right)), Math.min(this.height, Math.ceil(bottom))];
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) if (inside(x + 0.5, y + 0.5)) this.data[y * this.width + x] = value;
    }
  }
}

/** Draw a picture with its background blue, and a line round the subject. */
export function drawMasked(context, bitmap, { width, height, data }) {
  context.drawImage(bitmap, 0, 0, width, height);
  const veil = new ImageData(width, height);
  for (let i = 0; i < data.length; i++) {
    const edge = data[i] > 127 && [i - 1, i + 1, i - width, i + width].some((near) => data[near] < 128);
    if (edge) veil.data.set([255, 255, 255, 255], 4 * i);
    else if (data[i] < 128) veil.data.set(WITHHELD, 4 * i);
  }
  const over = new OffscreenCanvas(width, height);
  over.getContext("2d").putImageData(veil, 0, 0);
  context.drawImage(over, 0, 0);
}

/**
 * The mask that a picture carries in its own alpha, small, for the user to look at.
 * @param {File} file
 * @param {ImageBitmap} bitmap the picture at the size in which it is shown
 * @returns {Promise<Mask | null>} null where it is opaque or empty all over
 */
export async function maskOfAlpha(file, { width, height }) {
  if (!["image/png", "image/webp"].includes(file.type)) return null;
  const small = await createImageBitmap(file, { resizeWidth: width, resizeHeight: height, imageOrientation: "none" });
  const mask = new Mask(width, height, channel(small, 3));
  small.close();
  return mask.usable ? mask : null;
}

/** The mask of a mask's picture, in grey: 255 = subject. */
export function maskOfPicture(bitmap) {
  return new Mask(bitmap.width, bitmap.height, channel(bitmap, 0));
}

function channel(bitmap, number) {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return Uint8Array.from({ length: bitmap.width * bitmap.height }, (_, i) => data[4 * i + number]);
}
