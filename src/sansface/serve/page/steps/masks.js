/** Masks: what of each picture is the head. Nobody's mask is taken for right before the user has seen it. */

import { breath, button, count, element, fileChooser } from "../dom.js";
import { Mask, drawMasked } from "../mask.js";
import { editMask } from "../mask_editor.js";
import { fileOf } from "../work.js";

export const masks = {
  name: "masks",
  title: "What of each picture is the head?",
  short: "Masks",
  async show(app) {
    const { work, leaving } = app;
    const told = element("p", { role: "status", class: "strong" });
    const next = button("Go on and protect", () => app.go("protect"), "first");
    const cards = [];
    let pass = 0; // counted up with every look at all masks: an older one ends where it is
    const all = button("I looked: these masks are right", () => {
      for (const one of cards) {
        one.frame.confirmed ||= one.seen();
        one.tell();
      }
      refresh();
    });
    const refresh = () => {
      const confirmed = work.frames.filter((frame) => frame.confirmed).length;
      const suggested = cards.filter((one) => one.seen() && !one.frame.confirmed).length;
      const drawn = work.frames.length - confirmed - suggested;
      told.textContent = confirmed === work.frames.length
        ? "Every mask is confirmed."
        : `${count(confirmed, "mask")} confirmed, ${suggested} to be looked at, ${drawn} to be drawn. Without its mask no picture leaves.`;
      next.disabled = confirmed < work.frames.length;
      all.hidden = suggested === 0;
    };
    cards.push(...work.frames.map((frame) => card(app, frame, refresh)));
    const add = app.attempt(async (files) => {
      for (const frame of work.frames) {
        const stem = frame.name.replace(/.*\//, "").replace(/\.[^.]*$/, "");
        const file = (frame.maskPath && fileOf(files, frame.maskPath))
          ?? files.find(({ name }) => [stem, `${stem}_mask`, `${stem}.mask`].includes(name.replace(/\.[^.]*$/, "")));
        if (!file || frame.confirmed) continue;
        Object.assign(frame, { maskFile: file, mask: null, maskSeen: false, drawn: false });
        work.changedFrame(frame);
      }
      await suggest();
    });
    const suggest = async () => {
      const own = ++pass;
      let failed = null;
      for (const one of cards) {
        await breath();
        if (leaving.aborted || pass !== own) return;
        await work.suggestMask(one.frame).catch((error) => { failed ??= error; });
        if (leaving.aborted || pass !== own) return;
        await one.draw().catch((error) => { failed ??= error; });
      }
      refresh();
      if (failed) throw failed;
    };
    const byModel = button("Draw missing masks by the model", app.attempt(async () => {
      byModel.disabled = true;
      try {
        const models = await app.models();
        for (const one of cards.filter(({ frame }) => lacks(frame))) {
          told.textContent = `The model looks at ${one.frame.name} …`;
          const { width, height, data } = await models.mask(one.frame.file);
          if (leaving.aborted) return;
          const mask = new Mask(width, height, data);
          if (!lacks(one.frame) || !mask.usable) continue; // drawn meanwhile, or nobody is seen
          Object.assign(one.frame, { mask, drawn: true });
          work.changedFrame(one.frame);
          await one.draw();
        }
      } finally {
        byModel.disabled = false;
        refresh();
      }
    }));
    byModel.hidden = app.openModels === null;
    queueMicrotask(app.attempt(suggest));
    refresh();
    return [
      element("p", {}, "Blue is background: it is removed before anything is computed. The head must be inside the white line, all of it, with hair and neck."),
      element("div", { class: "choosers" }, fileChooser("Choose files of masks", add, { accept: "image/*", multiple: true }), byModel),
      told, element("div", { class: "cards" }, ...cards.map((one) => one.element)),
      app.turns("roles", element("div", { class: "actions" }, all, next)),
    ];
  },
};

const lacks = (frame) => !frame.confirmed && !frame.mask?.usable;

function card(app, frame, changed) {
  const shown = element("div", { class: "shown" });
  const state = element("small", {});
  const edit = button("Draw", app.attempt(async () => {
    const { bitmap } = await app.work.look(frame.file);
    const mask = await editMask({ bitmap, name: frame.name, mask: frame.mask });
    if (!mask) return;
    Object.assign(frame, { mask, drawn: true, confirmed: true });
    app.work.changedFrame(frame);
    await draw();
    changed();
  }));
  const confirm = button("Right", () => {
    frame.confirmed = true;
    tell();
    changed();
    edit.focus();
  });
  confirm.setAttribute("aria-label", `The mask of ${frame.name} is right`);
  let drawn = null;
  const seen = () => drawn !== null && drawn === frame.mask && drawn.usable;
  const draw = async () => {
    const { bitmap } = await app.work.look(frame.file);
    const canvas = element("canvas", { role: "img", "aria-label": `${frame.name}, background blue` });
    const mask = frame.mask ?? { width: bitmap.width, height: bitmap.height, data: new Uint8Array(bitmap.width * bitmap.height) };
    [canvas.width, canvas.height] = [mask.width, mask.height];
    drawMasked(canvas.getContext("2d"), bitmap, mask);
    shown.replaceChildren(canvas);
    drawn = frame.mask;
    tell();
  };
  const tell = () => {
    const usable = seen();
    state.textContent = frame.confirmed ? "confirmed" : usable ? "look at it" : "no mask yet";
    state.className = frame.confirmed ? "good" : "warn";
    confirm.hidden = frame.confirmed || !usable;
    edit.textContent = usable ? "Change" : "Draw";
    edit.setAttribute("aria-label", `${edit.textContent} the mask of ${frame.name}`);
  };
  tell();
  const made = element("div", { class: "card", role: "group", "aria-label": frame.name },
    element("p", { class: "name" }, frame.name), shown, element("p", {}, state), element("div", { class: "actions" }, confirm, edit));
  return { element: made, frame, draw, tell, seen };
}
