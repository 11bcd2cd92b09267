/** The head: looked at, measured, downloaded, deleted. */

import { ask, button, count, element, fileChooser, save } from "../dom.js";
import { readPly, writePly } from "../mesh.js";
import { packed } from "../protect/container.js";
import { toWorld } from "../protect/way_back.js";
import { Viewer } from "../viewer.js";
import { inWords, measuring, millimetres } from "./measuring.js";

const MESH = "mesh.ply";
const REPORT = "report.html";

export const result = {
  name: "result",
  title: "The head",
  short: "Head",
  async show(app) {
    const { api, leaving } = app;
    const there = await found(app, async () => {
      const job = await api.get(`jobs/${app.job}`, { signal: leaving });
      const { digest } = await api.get(`bundles/${job.bundle}`, { signal: leaving });
      return { job, digest, bytes: await api.file(job.id, MESH) };
    });
    if (!there) return [app.turns(null, button("Your heads", () => app.go("heads"), "first"))];
    const { job, digest, bytes } = there;
    const frame = () => app.waysBack.get(digest) ?? null;
    const mesh = readPly(bytes.buffer);
    leaving.throwIfAborted(); // of a step that was left nobody would close the viewer
    watch(app, leaving);
    let known = null; // millimetres in the mesh's unit, by a length that the user gave
    const view = stage(mesh, leaving, (told) => {
      known = told;
      changed();
    });
    const scale = () => known ?? millimetres(frame());
    const changed = () => {
      view.say(inWords(frame(), known));
      own.disabled = !frame();
      scaled.disabled = !scale();
    };
    const back = wayBack(app, digest, changed);
    const own = button("The mesh in your own frame", () => save("mesh-own.ply", writePly(inWorld(mesh, frame()))));
    const scaled = button("The mesh in millimetres", () => save("mesh-mm.ply", writePly(inMillimetres(mesh, scale()))), "plain");
    changed();
    return [
      element("div", { class: "head" }, ...view.nodes),
      element("h3", {}, "Your own frame and unit"), back,
      element("h3", {}, "Download"),
      element("div", { class: "actions" },
        button("The mesh", () => save(MESH, bytes)), own, scaled,
        job.files.some(({ name }) => name === REPORT) ? button("The report", app.attempt(() => report(app, job))) : null,
        button("Everything", app.attempt(() => everything(app, job, mesh, frame())))),
      element("h3", {}, "Delete"),
      element("p", {}, `It is deleted by itself on ${new Date(1000 * job.expires).toLocaleDateString("en-GB", { dateStyle: "long" })}.`),
      element("div", { class: "actions" }, button("Delete this head", app.insist(() => remove(app, job)), "danger")),
      app.turns(null, button("Your heads", () => app.go("heads"))),
    ];
  },
};

/** Delete a bundle and all that was made of it, if the user says so. @returns {Promise<boolean>} */
export async function remove(app, job) {
  const sure = await ask("Delete this head?", [
    "The bundle that you sent and everything made of it are deleted from the server now, from its backups within the days that it states. This cannot be undone.",
  ], "Delete it", "Keep it", "danger");
  if (!sure) return false;
  try {
    await app.api.delete(`bundles/${job.bundle}`);
  } catch (error) {
    if (error.status !== 404) throw error; // it is gone already
  }
  await app.go("heads");
  return true;
}

/** What was asked for; null, and said so, where it was deleted. */
async function found(app, get) {
  try {
    return await get();
  } catch (error) {
    if (error.status !== 404) throw error;
    gone(app);
    return null;
  }
}

function gone(app) {
  app.trouble("This head was deleted, perhaps in another tab. What is on the screen is all that is left of it.", button("Your heads", () => app.go("heads")));
}

/** When the tab is looked at again, the head may have been deleted meanwhile. */
function watch(app, leaving) {
  const look = app.attempt(() => found(app, () => app.api.get(`jobs/${app.job}`, { signal: leaving })));
  const seen = () => document.visibilityState === "visible" && app.settled && look();
  document.addEventListener("visibilitychange", seen, { signal: leaving });
  addEventListener("focus", seen, { signal: leaving });
}

/** A file of the head; null, and said so, where the head was deleted. */
function file(app, job, name) {
  return found(app, () => app.api.file(job.id, name));
}

async function report(app, job) {
  const data = await file(app, job, REPORT);
  if (data) save(REPORT, data, "text/html");
}

async function everything(app, job, mesh, frame) {
  const members = [];
  for (const { name } of job.files) {
    app.say(`${name} is being downloaded.`);
    const data = await file(app, job, name);
    if (!data) return app.say("");
    members.push([name, data]);
  }
  if (frame) members.push(["mesh-own.ply", writePly(inWorld(mesh, frame))]);
  save("head.zip", packed(members), "application/zip");
  app.say(`${count(members.length, "file")} downloaded.`);
}

/** The mesh where the capture had the head. */
function inWorld(mesh, frame) {
  const turned = toWorld(mesh.normals, { ...frame, center: [0, 0, 0], radius: 1 });
  return { positions: toWorld(mesh.positions, frame), normals: turned, faces: mesh.faces };
}

/** The mesh about the head's middle, as the server has it, but for its size. */
function inMillimetres(mesh, millimetre) {
  return { ...mesh, positions: mesh.positions.map((x) => x * millimetre) };
}

/** The viewer and its controls; words instead where there is no WebGL. */
function stage(mesh, leaving, scaled) {
  const canvas = element("canvas", {
    tabindex: 0, role: "application", "aria-label": "The head in three dimensions. Arrow keys turn it, plus and minus bring it nearer and farther, Home resets, Enter picks the point in the middle.",
  });
  let viewer;
  try {
    viewer = new Viewer(canvas);
  } catch (error) {
    return { nodes: [element("p", { class: "warn" }, error.message)], say: () => {} };
  }
  leaving.addEventListener("abort", () => viewer.close());
  viewer.show(mesh);
  const measures = measuring(viewer, mesh, scaled);
  const nearer = element("div", { class: "over" },
    button("+", () => viewer.move(0.8), "plain", { "aria-label": "Nearer" }),
    button("−", () => viewer.move(1.25), "plain", { "aria-label": "Farther" }),
    button("Reset", () => viewer.reset()));
  const faces = count(mesh.faces.length / 3, "triangle");
  return {
    nodes: [element("div", { class: "stage" }, canvas, nearer), measures.element, element("p", { class: "quiet" }, `${faces}.`)],
    say: measures.say,
  };
}

/** Say whether the way back is here, and take it from a file. */
function wayBack(app, digest, changed) {
  const told = element("p", { role: "status" });
  const show = () => {
    told.textContent = app.waysBack.has(digest)
      ? "The way back is loaded, in this tab alone: measurements are in your unit, and the mesh can be downloaded in your own frame."
      : "Measurements are in units of the sphere round the head. Load the way back (head.frame.json) for your own frame and unit; it is not sent. Or measure a distance that you know, and say how long it is.";
    changed?.();
  };
  const load = app.attempt(async ([chosen]) => {
    app.waysBack.set(digest, checkedWayBack(await chosen.text(), digest));
    show();
  });
  queueMicrotask(show);
  return element("div", {}, told,
    element("div", { class: "choosers" }, fileChooser("Load the way back", load, { accept: ".json,application/json" })));
}

/** @throws {Error} one sentence: no way back, or another bundle's. */
export function checkedWayBack(text, digest) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    frame = null;
  }
  const numbers = (values, size) => Array.isArray(values) && values.length === size && values.every(Number.isFinite);
  const whole = numbers(frame?.center, 3) && frame.radius > 0 && Number.isFinite(frame.radius)
    && Array.isArray(frame.rotation) && frame.rotation.length === 3 && frame.rotation.every((row) => numbers(row, 3)) && typeof frame.unit === "string";
  if (!whole) throw new Error("That file is not a way back; choose the NAME.frame.json that was saved with the bundle.");
  if (frame.bundle !== digest) throw new Error("That way back belongs to another bundle; choose the one that was saved with this one.");
  return frame;
}
