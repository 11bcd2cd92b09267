/** Roles: which pictures show something of the face. No role means sensitive. */

import { ask, button, count, element, picture } from "../dom.js";

export const roles = {
  name: "roles",
  title: "Which pictures show the face?",
  short: "Roles",
  async show(app) {
    const { work } = app;
    const told = element("p", { role: "status", class: "strong" });
    const next = button("Go on to the masks", () => app.go("masks"), "first");
    const refresh = () => {
      const neutral = work.frames.filter((frame) => frame.role === "neutral").length;
      const sensitive = work.frames.length - neutral;
      const hints = [];
      if (neutral === 1) hints.push("One neutral picture is too few: two or more, or none.");
      if (sensitive < 3) hints.push("At least three sensitive pictures are needed.");
      if (neutral === 0) hints.push("Without neutral pictures a neutral head takes their place.");
      told.textContent = `${count(sensitive, "picture")} sensitive, ${neutral} neutral. ${hints.join(" ")}`;
      next.disabled = neutral === 1 || sensitive < 3;
    };
    refresh();
    const grid = element("div", { class: "cards" });
    const cards = work.frames.map((frame, index) => card(app, frame, index, refresh));
    grid.append(...cards);
    return [
      element("p", {}, "Sensitive: the face is in it, even in part. Its colours never leave your device. Neutral: the back of the head. It leaves in colour, small and without its background. In doubt, sensitive."),
      told, grid, app.turns("capture", next),
    ];
  },
};

function card(app, frame, index, refresh) {
  const shown = element("div", { class: "shown" });
  app.work.look(frame.file).then(({ bitmap }) => shown.append(picture(bitmap, `The picture ${frame.name}`)),
    (error) => app.trouble(error));
  const made = element("fieldset", { class: `card ${frame.role}` }, element("legend", {}, frame.name), shown);
  const choose = async (role, input) => {
    if (role === "neutral" && !(await certain(app, frame))) {
      made.querySelector("input[value=sensitive]").checked = true;
      return;
    }
    frame.role = role;
    frame.said = false;
    made.className = `card ${role}`;
    app.work.changedFrame(frame);
    refresh();
    input.focus();
  };
  const option = (role, words) => element("label", {},
    element("input", {
      type: "radio", name: `role-${index}`, value: role, checked: frame.role === role,
      onchange: (event) => choose(role, event.target),
    }), element("span", {}, words));
  made.append(element("div", { class: "options" }, option("sensitive", "sensitive"), option("neutral", "neutral")),
    element("small", { class: "quiet" }, frame.said ? "as the capture file says" : ""));
  return made;
}

function certain(app, frame) {
  return ask(`Does nothing of the face show in ${frame.name}?`, [
    "A neutral picture leaves your device in colour.",
    "Look at it: no nose, no eye, no brow and no lip may show, not even in profile.",
  ], "Nothing of the face shows: neutral", "Keep it sensitive", "danger");
}
