/** Protect: every picture before and after, on the user's own screen. */

import { button, count, element, labelled, picture } from "../dom.js";
import { PRESETS } from "../work.js";

const OPERATORS = ["sobel", "scharr", "prewitt", "central", "roberts", "log", "structure"];
const RESOLUTIONS = [32, 48, 64, 96, 128];
const AT_ONCE = 4;

export const protect = {
  name: "protect",
  title: "Protect them and look at what is left",
  short: "Protect",
  show(app) {
    const { work, leaving } = app; // by the time a picture is done, app.leaving is another step's
    const results = element("div", { class: "pairs" });
    const bar = element("progress", { max: work.frames.length, value: 0, "aria-label": "Pictures protected", hidden: true });
    const start = button("Protect the pictures", app.attempt(() => run()), "first");
    const next = button("Go on to what will be sent", () => app.go("send"), "first", { hidden: !work.made });
    const settings = choices(work, () => {
      work.changed();
      results.replaceChildren();
      next.hidden = true;
      start.hidden = false;
    });
    const run = async () => {
      settings.disabled = start.disabled = true;
      bar.hidden = false;
      bar.value = 0;
      results.replaceChildren();
      try {
        const waiting = [...work.frames];
        const one = async () => {
          for (let frame; (frame = waiting.shift());) {
            await work.reduce(frame);
            if (leaving.aborted) return;
            bar.value += 1;
            app.say(`${bar.value} of ${count(work.frames.length, "picture")} protected.`);
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, one));
        if (leaving.aborted) return;
        await work.bundle();
        if (work.made && !leaving.aborted) show();
      } finally {
        settings.disabled = start.disabled = false;
        bar.hidden = true;
      }
    };
    const show = async () => {
      start.hidden = true;
      next.hidden = false;
      app.say(`All ${count(work.frames.length, "picture")} protected. Look at them, then go on.`);
      for (const frame of work.frames) {
        const shown = await pair(work, frame);
        if (leaving.aborted) return;
        results.append(shown);
      }
    };
    if (work.made) show();
    return [
      element("p", {}, "On the left what the picture shows, on the right all that would leave of it. The left one stays on your screen."),
      settings, bar, results,
      app.turns("masks", element("div", { class: "actions" }, start, next)),
    ];
  },
};

function choices(work, changed) {
  const set = (key, value) => {
    work.choices[key] = value;
    changed();
  };
  const presets = Object.entries(PRESETS).map(([preset, { name, words }]) => element("label", { class: "preset" },
    element("input", { type: "radio", name: "preset", checked: work.choices.preset === preset, onchange: () => set("preset", preset) }),
    element("span", {}, element("strong", {}, name), " ", words)));
  const select = (key, values, words) => element("select", {
    onchange: (event) => set(key, values[event.target.selectedIndex]),
  }, ...values.map((value) => element("option", { selected: work.choices[key] === value }, words(value))));
  const share = element("input", {
    type: "checkbox", checked: work.choices.shareMasks, onchange: (event) => set("shareMasks", event.target.checked),
  });
  return element("fieldset", { class: "settings" },
    element("legend", {}, "What leaves of a sensitive picture"),
    ...presets,
    element("details", {},
      element("summary", {}, "Finer choices"),
      labelled("Longer side", select("resolution", RESOLUTIONS, (value) => `${value} pixels`), "More shows more."),
      labelled("Operator", select("operator", OPERATORS, (value) => value)),
      element("label", { class: "check" }, share, element("span", {}, "Send the masks, too. The head is worse without them."))));
}

async function pair(work, frame) {
  const { preview } = frame.reduced;
  const { bitmap } = await work.look(frame.file);
  return element("figure", {},
    element("div", { class: "before-after" },
      picture(bitmap, `${frame.name} before, on your screen only`),
      picture(preview, `${frame.name} after: all that leaves`, "pixels")),
    element("figcaption", {}, `${frame.name}, ${frame.role}`));
}
