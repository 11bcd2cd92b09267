/** What the user is about to protect: it lives in this tab's memory and nowhere else. */

import { maskOfAlpha, maskOfPicture } from "./mask.js";

/** What leaves of a sensitive picture: the presets of `sansface protect`, in words. */
export const PRESETS = {
  standard: {
    share: "modulus", name: "Gradients and outline",
    words: "How much brightness changes from pixel to pixel, without sign or direction. The head comes out best; attackers name the right one of 79 people in 89 to 93 % of tries.",
  },
  strict: {
    share: "outline", name: "Outline alone",
    words: "No pixel inside the outline leaves. The head is 1.2 times as far off; outlines still name the right one of 79 in 21 % of tries [16, 25].",
  },
  paranoid: {
    share: "camera", name: "Nothing but the camera",
    words: "Not even the outline leaves. The face will be a mean one; the neutral pictures leave as ever, and there must be some.",
  },
};

export class Work {
  /** @param {Protector} protector */
  constructor(protector) {
    this.protector = protector;
    this.files = []; // all that was chosen: pictures, masks, the capture file
    this.capture = null; // {sphere, unit} of the capture file
    this.frames = [];
    this.choices = { preset: "standard", resolution: 64, operator: "sobel", shareMasks: true };
    this.made = null; // what the protector's bundle() gave
    this.version = 0; // counted up with every change, as each frame's own: what is made meanwhile is stale
    this.looks = new Map();
  }

  get begun() {
    return this.files.length > 0;
  }

  /** A file's picture for the user's own screen. @returns {Promise<{width, height, bitmap}>} */
  look(file) {
    if (!this.looks.has(file)) this.looks.set(file, this.protector.look(file));
    return this.looks.get(file);
  }

  /** Something before the bundle changed, so what was made of it is no longer true. */
  changed() {
    this.#stale(this.frames);
  }

  /** The user says what the cameras' lengths are in: of no picture anything changes. */
  changedUnit(unit) {
    this.capture.unit = unit;
    this.#stale([]);
  }

  /** One picture's role or mask changed. */
  changedFrame(frame) {
    this.#stale([frame]);
  }

  #stale(frames) {
    this.made = null;
    this.version += 1;
    for (const frame of frames) this.#drop(frame);
  }

  #drop(frame) {
    frame.version += 1;
    if (frame.reduced) this.protector.forget(frame.reduced.id);
    frame.reduced = null;
  }

  /** Find a frame's mask, once: a file's, else the picture's own alpha; to be confirmed by the user. */
  async suggestMask(frame) {
    if (!frame.mask) await (frame.maskSeen ||= this.#findMask(frame));
  }

  async #findMask(frame) {
    const { file, maskFile, version } = frame;
    const found = maskFile ? maskOfPicture((await this.look(maskFile)).bitmap) : await maskOfAlpha(file, (await this.look(file)).bitmap);
    if (frame.version === version) frame.mask = found;
    else frame.maskSeen = false; // drawn meanwhile, or another file was given: what was drawn stays
  }

  get settings() {
    const { preset, resolution, operator, shareMasks } = this.choices;
    return {
      resolution, operator, blur: null, bits: 8, noise: 0, gain: 1, share: PRESETS[preset].share, shareMasks,
      center: null, radius: null, sphere: this.capture.sphere, unit: this.capture.unit,
    };
  }

  /** Reduce one picture as the settings say; what comes of it is forgotten if the picture changed meanwhile. */
  async reduce(frame) {
    const { file, camera, role, version } = frame;
    if (!frame.confirmed) throw new Error(`The mask of ${frame.name} is not confirmed; look at it first.`);
    if (frame.reduced) return;
    // A mask that was only looked at goes as the file has it; null is the picture's own alpha.
    const mask = frame.drawn ? frame.mask.enlarged(camera.width, camera.height) : frame.maskFile;
    const reduced = await this.protector.reduce({ file, camera, role, mask }, this.settings);
    if (frame.version === version && !frame.reduced) frame.reduced = reduced;
    else this.protector.forget(reduced.id);
  }

  /** Make the bundle of the reduced pictures, unless something changes meanwhile. */
  async bundle() {
    if (this.made) return;
    const { frames, version } = this;
    const twice = frames.find(({ file }, k) => frames.findIndex((one) => one.file === file) !== k);
    if (twice) throw new Error(`${twice.name} is the picture of two views; leave one of them out.`);
    const other = frames.find(({ reduced, role }) => reduced?.role !== role);
    if (other) throw new Error(`${other.name} is ${other.role} and was not protected as such; protect it again.`);
    const made = await this.protector.bundle(frames.map(({ reduced }) => reduced.id), this.settings);
    if (this.version === version) this.made = made;
  }

  /** Let go of every picture. */
  close() {
    for (const look of this.looks.values()) look.then(({ bitmap }) => bitmap.close(), () => {});
    this.protector.close();
    Object.assign(this, { files: [], frames: [], made: null, looks: new Map() });
  }
}

/**
 * The chosen file that a path of the capture file names: the one whose own path agrees with most of it.
 *
 * From the end on they agree in every part that both have: front/1.png is not back/1.png. A file that was chosen by
 * itself has a name only. The chosen folder's own name counts, but not against a path from the root, of another machine.
 * @param {File[]} files
 * @param {string} path with slashes
 * @returns {File | null} null where there is none, or where it could be one of several
 */
export function fileOf(files, path) {
  const parts = path.split("/").filter((part) => part && part !== ".").reverse();
  const rooted = /^([a-z]:)?\//i.test(path);
  let found = [], most = 0;
  for (const file of files) {
    const placed = (file.webkitRelativePath || file.name).split("/").reverse();
    const shared = agreed(parts, rooted && placed.length > 1 ? placed.slice(0, -1) : placed);
    if (shared && shared >= most) found = shared > most ? [file] : [...found, file];
    most = Math.max(most, shared);
  }
  return found.length === 1 ? found[0] : null;
}

/** How many parts, last first, both paths have; 0 where one differs. Blender's captures leave the suffix out. */
function agreed([name, ...folders], [ownName, ...ownFolders]) {
  if (name !== ownName && name !== ownName.replace(/\.[^./]*$/, "")) return 0;
  const both = Math.min(folders.length, ownFolders.length);
  return folders.slice(0, both).every((part, k) => part === ownFolders[k]) ? 1 + both : 0;
}
