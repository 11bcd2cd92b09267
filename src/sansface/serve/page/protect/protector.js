/**
 * The protection, as the page uses it: photographs go into Web Workers, and what may leave comes out.
 *
 *     const protector = new Protector(() => new Worker("protect/worker.js", { type: "module" }));
 *     const one = await protector.reduce({ file, mask, camera, role }, settings);
 *     const { bytes, digest, frame, about, summary } = await protector.bundle([one.id, ...], settings);
 *
 * Every refusal is an `Error` of one sentence for the person's own screen. `look` and `reduce` may be called
 * for many photographs at once: they wait for a free worker, one photograph a worker.
 *
 * The settings given to `bundle` must be those of `reduce` but for masks, sphere and unit. Gain and noise are
 * drawn by `reduce`, once, so that several bundles of it do not average them away. A preview stretches σ to its
 * own largest value; the bundle's scale is known only when all photographs are.
 */

import { Refusal } from "./refusal.js";
import { OF_A_PHOTOGRAPH, checkedSettings } from "./settings.js";

const MOST_WORKERS = 4;

/**
 * What this browser lacks, a sentence each; none if the page works.
 * @returns {string[]}
 */
export function missingFeatures() {
  const needed = [
    [globalThis.crypto?.subtle, "checksums (Web Crypto); open the page by https, or from this machine"],
    [globalThis.Worker, "Web Workers"],
    [globalThis.createImageBitmap, "decoding pictures off the screen (createImageBitmap)"],
    [globalThis.OffscreenCanvas, "reading pictures off the screen (OffscreenCanvas)"],
    [globalThis.DecompressionStream, "decompression (DecompressionStream)"],
    [Object.hasOwn && Array.prototype.at && globalThis.structuredClone, "JavaScript of 2022"],
  ];
  return needed.filter(([there]) => !there).map(([, what]) => `This browser lacks ${what}.`);
}

export class Protector {
  #makeWorker;
  #idle = [];
  #workers = new Set();
  #running = new Map();
  #waiting = [];
  #kept = new Map();
  #next = 1;
  #closed = false;

  /** @param {() => Worker} makeWorker makes a worker that runs `worker.js` */
  constructor(makeWorker) {
    this.#makeWorker = makeWorker;
  }

  /**
   * A photograph for the user's own screen.
   * @param {File} file
   * @returns {Promise<{width: number, height: number, bitmap: ImageBitmap}>} size of the stored pixels, EXIF
   *   orientation not applied, and a picture of at most 512 pixels
   */
  look(file) {
    return this.#ask({ task: "look", file });
  }

  /**
   * Reduce a photograph to what may leave.
   * @param {object} frame
   * @param {File} frame.file
   * @param {File | {width: number, height: number, data: Uint8Array} | null} frame.mask coverage, 255 = subject;
   *   null takes the photograph's own alpha, and is refused where it has none
   * @param {import("./camera.js").Camera} frame.camera of the stored pixels
   * @param {"neutral" | "sensitive" | null} frame.role null is sensitive
   * @param {Partial<import("./settings.js").Settings>} settings
   * @returns {Promise<{id: number, role: "neutral" | "sensitive", width: number, height: number, mask: Uint8Array,
   *   preview: {width: number, height: number, data: Uint8ClampedArray}}>} role as which it was reduced; mask is
   *   (height, width) coverage
   */
  async reduce({ file, mask, camera, role }, settings = {}) {
    const frame = { file, mask: mask ?? null, camera, role: role ?? "sensitive" };
    const { small, preview } = await this.#ask({ task: "reduce", frame, settings: { ...settings } });
    const id = this.#next++;
    this.#kept.set(id, { small, settings: settingsOfPhotograph(settings) });
    const { width, height } = small.camera;
    return { id, role: small.role, width, height, mask: small.mask.slice(), preview };
  }

  /**
   * The bundle of reduced photographs, in the order of their ids here.
   * @param {number[]} ids from `reduce`
   * @param {Partial<import("./settings.js").Settings>} settings
   * @returns {Promise<{bytes: Uint8Array, digest: string, frame: import("./frame.js").UserFrame, summary: string[],
   *   about: {frames: number, sensitive: number, neutral: number, resolution: number, bytes: number}}>}
   */
  async bundle(ids, settings = {}) {
    const wanted = settingsOfPhotograph(settings);
    if (new Set(ids).size !== ids.length) throw new Refusal("a photograph is in the bundle twice; leave one out.");
    const smalls = ids.map((id) => {
      const kept = this.#kept.get(id);
      if (!kept) throw new Refusal("a photograph is no longer there; protect it again.");
      if (kept.settings !== wanted) {
        throw new Refusal(`${kept.small.name} was protected with other settings; protect it again.`);
      }
      return kept.small;
    });
    return this.#ask({ task: "bundle", smalls, settings: { ...settings } });
  }

  /** Forget a reduced photograph. */
  forget(id) {
    this.#kept.delete(id);
  }

  /** Stop every worker and forget everything. */
  close() {
    this.#closed = true;
    this.#kept.clear();
    for (const worker of this.#workers) worker.terminate();
    const gone = new Refusal("the page was closed before it was done.");
    for (const { reject } of [...this.#running.values(), ...this.#waiting]) reject(gone);
    this.#workers.clear();
    this.#running.clear();
    this.#waiting = [];
    this.#idle = [];
  }

  #ask(request) {
    if (this.#closed) return Promise.reject(new Refusal("the page was closed; open it again."));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      this.#serve();
    });
  }

  #serve() {
    while (this.#waiting.length && (this.#idle.length || this.#workers.size < workersAtMost())) {
      const worker = this.#idle.pop() ?? this.#started();
      const job = this.#waiting.shift();
      this.#running.set(worker, job);
      try {
        worker.postMessage(job.request);
      } catch {
        this.#done(worker).reject(new Refusal("this is no file that can be worked on; choose it again."));
      }
    }
  }

  #started() {
    const worker = this.#makeWorker();
    this.#workers.add(worker);
    worker.addEventListener("message", ({ data }) => {
      const job = this.#done(worker);
      if (data.error === undefined) job?.resolve(data.result);
      else job?.reject(new Refusal(data.error));
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      const job = this.#running.get(worker);
      this.#running.delete(worker);
      this.#workers.delete(worker);
      worker.terminate();
      const words = "the browser stopped a worker, perhaps for want of memory; close other pages and try again.";
      job?.reject(new Refusal(words));
      this.#serve();
    });
    return worker;
  }

  #done(worker) {
    const job = this.#running.get(worker);
    this.#running.delete(worker);
    this.#idle.push(worker);
    queueMicrotask(() => this.#serve());
    return job;
  }
}

function settingsOfPhotograph(settings) {
  const checked = checkedSettings(settings);
  return JSON.stringify(OF_A_PHOTOGRAPH.map((key) => checked[key]));
}

/** One photograph a worker: a phone has little memory, and pages are told how much. */
function workersAtMost() {
  const { hardwareConcurrency = 2, deviceMemory = 8 } = navigator;
  return Math.max(1, Math.min(MOST_WORKERS, hardwareConcurrency, deviceMemory / 2));
}
