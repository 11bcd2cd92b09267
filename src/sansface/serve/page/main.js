/** The page as the service gives it. */

import { Api } from "./api.js";
import { App, missing } from "./app.js";
import { button, element } from "./dom.js";
import { Models } from "./models/models.js";
import { signIn } from "./sign_in.js";
import { capture } from "./steps/capture.js";
import { heads } from "./steps/heads.js";
import { masks } from "./steps/masks.js";
import { pictures } from "./steps/pictures.js";
import { progress } from "./steps/progress.js";
import { protect } from "./steps/protect.js";
import { result } from "./steps/result.js";
import { roles } from "./steps/roles.js";
import { send } from "./steps/send.js";

const lacking = missing();
if (lacking) document.getElementById("step").replaceChildren(element("p", { class: "warn" }, lacking));
else begin();
aboutTheFile();

async function begin() {
  const line = document.getElementById("line");
  const api = new Api(() => signIn(api), (sentence) => { line.textContent = sentence ?? ""; });
  const makeWorker = () => new Worker(new URL("protect/worker.js", import.meta.url), { type: "module" });
  const app = new App({
    steps: [pictures, capture, roles, masks, protect, send, progress, result], aside: [heads], makeWorker, api, openModels,
  });
  document.getElementById("ways").append(
    button("New head", () => app.go("pictures"), "link"), button("Your heads", () => app.go("heads"), "link"));
  const wanted = () => {
    const [, job] = /^#job\/([0-9a-f]{32})$/.exec(location.hash) ?? [];
    app.job = job ?? app.job;
    return job ? "progress" : location.hash === "#heads" ? "heads" : "pictures";
  };
  addEventListener("hashchange", () => {
    app.now = null; // the address was changed by hand or by the browser's back: begin from there
    app.go(wanted());
  });
  await app.go(wanted());
}

async function openModels() {
  const models = await Models.open(() => new Worker(new URL("models/worker.js", import.meta.url), { type: "module" }), "models/");
  if (models === null) throw new Error(Models.why);
  return models;
}

/** Who serves a page can change it: where the file is that cannot be. */
async function aboutTheFile() {
  const place = document.getElementById("trust");
  const said = await fetch("protect.html.sha256", { credentials: "omit" }).then((answer) => (answer.ok ? answer.text() : ""), () => "");
  const digest = /^[0-9a-f]{64}/.exec(said)?.[0];
  place.replaceChildren(
    element("strong", {}, "Whoever serves a page can change it. "),
    "If you would rather not trust this one, make the bundle with ",
    element("a", { href: "protect.html", download: "protect.html" }, "the page as one file"),
    " that works from disk, without a network. Its SHA-256 is published in the project's docs/page.md",
    ...(digest ? ["; this server says it is ", element("code", {}, digest)] : []),
    ". Compare the two on your own device.");
}
