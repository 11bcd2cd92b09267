/**
 * Models that draw masks and find faces, in a Web Worker on the user's own device; the only thing the page imports.
 *
 *     const models = await Models.open(() => new Worker("models/worker.js", { type: "module" }));
 *     if (models === null) say(Models.why);                     // then every picture is sensitive, masks by hand
 *     const mask = await models.mask(file);                     // for the user to confirm or to correct
 *     const found = await models.faces(file);                   // of each picture; null in its place if it throws
 *     const suggested = models.suggest(frames, findings, front); // roles; neutral for the user to confirm
 *
 * The files come from the page's own server, where `sansface assets pull` laid them down. Photographs go to the
 * worker, one at a time, and out of it come masks and findings. A model is sometimes wrong: nothing that it says
 * takes effect before the user has agreed.
 */

import { Refusal } from "../protect/refusal.js";
import { suggest } from "./roles.js";

export class Models {
  /** Why `open` gave null, one sentence. */
  static why = "The models were not opened.";

  #worker;
  #last = Promise.resolve();
  #gone = null;
  #stop = () => {};

  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#end("the browser stopped the models, perhaps for want of memory; close other pages and try again.");
    });
  }

  /**
   * Load runtime and networks, some 11 MB, all or none.
   * @param {() => Worker} makeWorker makes a worker that runs `worker.js`
   * @param {string} base the address of their folder, from the page's own
   * @returns {Promise<Models | null>} null where the files are not there or the browser cannot; `why` says it
   */
  static async open(makeWorker, base = "/models/") {
    let models = null;
    try {
      models = new Models(makeWorker());
      await models.#ask({ task: "open", base: new URL(base, globalThis.location.href).href });
      return models;
    } catch (error) {
      models?.close();
      const fault = error instanceof Refusal ? error.message : "this browser cannot run them.";
      Models.why = `The models that draw masks and find faces are not here: ${fault}`;
      return null;
    }
  }

  /** Is the worker still there? If not, open anew. */
  get open() {
    return this.#gone === null;
  }

  /**
   * What of a picture is a person.
   * @param {File} file
   * @returns {Promise<{width: number, height: number, data: Uint8Array}>} 255 = person, 0 = not, at the size in
   *   which `Protector.look` shows the picture; all of one value where nobody, or nothing else, is seen
   */
  mask(file) {
    return this.#ask({ task: "mask", file });
  }

  /**
   * What of a face is found in a picture, best first.
   * @param {File} file
   * @returns {Promise<import("./detectors.js").Finding[]>} empty: nothing, in none of all looks
   */
  faces(file) {
    return this.#ask({ task: "faces", file });
  }

  /**
   * Roles: see `suggest` in roles.js.
   * @param {{name: string, camera: import("../protect/camera.js").Camera}[]} frames
   * @param {(import("./detectors.js").Finding[] | null)[]} findings of `faces`; null where it failed
   * @param {number | null} front index of a picture from straight in front, by the user's word
   * @param {{center: number[]} | null} sphere the capture's own, if it has one
   */
  suggest(frames, findings, front = null, sphere = null) {
    return suggest(frames, findings, front, sphere);
  }

  /** Stop the worker. */
  close() {
    this.#end("the models were closed.");
  }

  #end(fault) {
    this.#gone ??= new Refusal(fault);
    this.#worker.terminate();
    this.#stop(this.#gone);
  }

  /** One request after the other: there is memory for one photograph. */
  #ask(request) {
    const asked = this.#last.then(() => new Promise((resolve, reject) => {
      if (this.#gone) throw this.#gone;
      this.#stop = reject;
      this.#worker.onmessage = ({ data }) => {
        if (data.error === undefined) resolve(data.result);
        else reject(new Refusal(data.error));
      };
      this.#worker.postMessage(request);
    }));
    this.#last = asked.catch(() => {});
    return asked;
  }
}
