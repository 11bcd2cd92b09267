/**
 * The page as one file on the user's own disk: it makes the bundle and saves it, and has no network.
 *
 * `sansface/serve/standalone.py` joins it with all that it needs, and writes worker_source.js.
 */

import { App, missing } from "./app.js";
import { element } from "./dom.js";
import { capture } from "./steps/capture.js";
import { masks } from "./steps/masks.js";
import { pictures } from "./steps/pictures.js";
import { protect } from "./steps/protect.js";
import { roles } from "./steps/roles.js";
import { keep } from "./steps/send.js";
import { WORKER } from "./worker_source.js";

const lacking = missing(false); // its one worker is a script
if (lacking) document.getElementById("step").replaceChildren(element("p", { class: "warn" }, lacking));
else {
  const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  const app = new App({ steps: [pictures, capture, roles, masks, protect, keep], makeWorker: () => new Worker(address) });
  app.go("pictures");
}
document.getElementById("trust").replaceChildren(
  element("strong", {}, "This file has no network. "),
  "Its own policy forbids every connection. Its SHA-256 is published in the project's docs/page.md: compare it before you trust the file.");
