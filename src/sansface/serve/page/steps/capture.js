/** Cameras: the capture file says from where each picture was taken. */

import { button, count, element, fileChooser, labelled } from "../dom.js";
import { readCapture } from "../protect/capture.js";
import { fileOf } from "../work.js";
import { isPicture } from "./pictures.js";

const CAPTURES = ["transforms.json", "transforms_train.json"];
const UNITS = { unknown: "a unit that nobody says", arbitrary: "a unit of its own", mm: "millimetres", cm: "centimetres", m: "metres", in: "inches" };

export const capture = {
  name: "capture",
  title: "Where each picture was taken from",
  short: "Cameras",
  show(app) {
    const { work } = app;
    const found = element("div", { role: "status" });
    const next = button("Go on to the roles", () => app.go("roles"), "first", { disabled: true });
    const refresh = () => {
      next.disabled = !work.frames.length || work.frames.some((frame) => !frame.file);
      found.replaceChildren(...(work.capture ? describe(app, refresh) : []));
    };
    const read = app.attempt(async (files) => {
      await readFiles(work, files);
      refresh();
    });
    const add = (files) => {
      work.files.push(...files.filter(isPicture));
      const json = files.filter((file) => /\.json$/i.test(file.name));
      if (json.length) read(json);
      else {
        match(work);
        refresh();
      }
    };
    const known = work.files.filter((file) => CAPTURES.includes(file.name) || file.name === "meta.json");
    const there = known.some((file) => CAPTURES.includes(file.name));
    if (!work.capture && there) queueMicrotask(() => read(known));
    refresh();
    return [
      element("p", {}, "A head can be made only of pictures whose cameras are known. They stand in transforms.json: ", element("code", {}, "sansface capture"), " writes it from the photographs alone, on your computer, and so do many scanning apps."),
      element("div", { class: "choosers" },
        fileChooser("Choose transforms.json", add, { accept: ".json,application/json", multiple: true }, work.capture || there ? "plain" : "first"),
        fileChooser("Choose missing pictures", add, { accept: "image/*,.heic", multiple: true })),
      found,
      app.turns("pictures", next),
    ];
  },
};

/** Read the capture file and, where it is there, the meta.json beside it. */
async function readFiles(work, files) {
  const file = files.find(({ name }) => CAPTURES.includes(name)) ?? files.find(({ name }) => name !== "meta.json");
  const beside = files.find(({ name }) => name === "meta.json");
  if (!file) throw new Error("meta.json alone has no cameras; choose transforms.json, too.");
  const { frames, sphere, unit } = readCapture(await file.text(), beside ? await beside.text() : null);
  work.changed();
  work.capture = { sphere, unit };
  work.frames = frames.map((frame) => ({ ...frame, file: null, maskFile: null, mask: null, drawn: false, confirmed: false, reduced: null, version: 0 }));
  match(work);
}

/** Give each frame its picture and its mask's file, as far as they were chosen. */
function match(work) {
  const given = new Set(work.frames.map((frame) => frame.file));
  const left = work.files.filter((file) => !given.has(file));
  const lacking = work.frames.filter((frame) => !frame.file);
  const found = lacking.map((frame) => fileOf(left, frame.path));
  lacking.forEach((frame, k) => {
    // What two views claim is neither's: one may be neutral and the picture the other's.
    if (found.indexOf(found[k]) === found.lastIndexOf(found[k])) frame.file = found[k];
  });
  const taken = new Set(work.frames.map((frame) => frame.file));
  for (const frame of work.frames) {
    if (frame.maskFile || frame.mask) continue; // the mask that the user saw stays
    const mask = frame.maskPath && fileOf(work.files, frame.maskPath);
    if (!mask || taken.has(mask)) continue; // a picture is no mask
    Object.assign(frame, { maskFile: mask, maskSeen: false });
    work.changedFrame(frame);
  }
}

function describe(app, refresh) {
  const { work } = app;
  const lacking = work.frames.filter((frame) => !frame.file);
  const masks = work.frames.filter((frame) => frame.maskFile).length;
  const facts = [
    `${count(work.frames.length, "camera")}, ${count(work.frames.length - lacking.length, "picture")} found, ${count(masks, "mask")} found.`,
    work.capture.sphere ? "The sphere round the head is given." : "The sphere round the head will be found from the masks.",
  ];
  const nodes = [...facts.map((fact) => element("p", {}, fact)), unit(work)];
  if (lacking.length) {
    nodes.push(element("p", { class: "warn" }, `${count(lacking.length, "picture")} of the capture file missing: ${lacking.slice(0, 5).map((frame) => frame.name).join(", ")}${lacking.length > 5 ? " …" : ""}. Choose them, or leave these views out.`),
      button("Leave these views out", () => {
        work.frames = work.frames.filter((frame) => frame.file);
        work.changed();
        refresh();
      }));
  }
  return nodes;
}

/** In what the cameras' places are: as the files say, unless the user knows better. */
function unit(work) {
  const names = Object.keys(UNITS);
  return labelled("Lengths of the cameras are in", element("select", {
    onchange: (event) => work.changedUnit(names[event.target.selectedIndex]),
  }, ...names.map((name) => element("option", { selected: name === work.capture.unit }, UNITS[name]))),
  "Where it is known, the head is measured in millimetres. Scanning apps mostly give metres and do not say so.");
}
