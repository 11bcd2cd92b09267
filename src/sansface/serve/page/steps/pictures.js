/** Choose pictures, or take them. Nothing is sent. */

import { button, count, element, fileChooser } from "../dom.js";

const PICTURE = /\.(jpe?g|png|webp|avif|bmp|gif|tiff?|heic|heif)$/i;
const SHOWN = 60;

/** Whether a file is a picture, by its type or its name. */
export function isPicture(file) {
  return file.type.startsWith("image/") || PICTURE.test(file.name);
}

export const pictures = {
  name: "pictures",
  title: "Choose the pictures of a head",
  short: "Pictures",
  show(app) {
    const { work } = app;
    const told = element("p", { role: "status" });
    const list = element("ul", { class: "names" });
    const next = button("Go on to the cameras", () => app.go("capture"), "first");
    const again = button("Forget them", () => {
      app.begin();
      app.go("pictures");
    });
    const refresh = () => {
      const chosen = work.files.filter(isPicture);
      told.textContent = chosen.length ? `${count(chosen.length, "picture")} chosen.` : "No picture is chosen yet.";
      list.replaceChildren(...chosen.slice(0, SHOWN).map((file) => element("li", {}, file.webkitRelativePath || file.name)),
        ...(chosen.length > SHOWN ? [element("li", {}, `and ${chosen.length - SHOWN} more`)] : []));
      next.disabled = chosen.length === 0;
      again.hidden = !work.begun;
    };
    const add = (files) => {
      const same = (a, b) => a.name === b.name && a.size === b.size && a.lastModified === b.lastModified && a.webkitRelativePath === b.webkitRelativePath;
      work.files.push(...files.filter((file) => !work.files.some((other) => same(file, other))));
      work.changed();
      work.frames = [];
      work.capture = null;
      refresh();
    };
    refresh();
    return [
      element("p", {}, "Take 30 or more, all around the head in small steps, the head at rest. They are read here, on your own device; nothing leaves it before you have seen what would, and press the button that says so."),
      element("div", { class: "choosers" },
        fileChooser("Choose the folder of a capture", add, { webkitdirectory: true, multiple: true }, "first"),
        fileChooser("Choose pictures", add, { multiple: true, accept: "image/*,.heic,.json" }),
        fileChooser("Take a picture", add, { accept: "image/*", capture: "environment" })),
      element("p", { class: "quiet" }, "A capture is what ", element("code", {}, "sansface capture"), " makes of photographs on your computer: pictures, masks and transforms.json, the file that says from where each was taken."),
      told, list,
      app.turns(null, element("div", { class: "actions" }, again, next)),
    ];
  },
};
