/** A photograph for the user's own screen, small: its stored pixels, EXIF orientation not applied. */

import { decodePicture } from "./decode.js";
import { rint } from "./linear.js";
import { reduced } from "./reduce.js";

const LONGEST = 512; // pixels

/**
 * The size of the stored picture, and a small one.
 * @param {File} file
 * @returns {Promise<{width: number, height: number, bitmap: ImageBitmap}>}
 */
export async function lookAt(file) {
  const picture = await decodePicture(file, "photograph");
  try {
    const { width, height } = picture;
    const K = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    const camera = { K, width, height, camFromWorld: [], distortion: [0, 0, 0, 0, 0] };
    const all = { data: new Uint8Array(width * height).fill(1), most: 1 };
    const small = reduced(picture, all, camera, Math.min(LONGEST, Math.max(width, height)));
    const image = new ImageData(small.camera.width, small.camera.height);
    for (let at = 0; at < small.coverage.length; at++) {
      for (let k = 0; k < 3; k++) image.data[4 * at + k] = rint(255 * small.colour[3 * at + k]);
      image.data[4 * at + 3] = 255;
    }
    return { width, height, bitmap: await createImageBitmap(image) };
  } finally {
    picture.close();
  }
}
