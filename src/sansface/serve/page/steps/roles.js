/** Roles: which pictures show something of the face. No role means sensitive. */

import { ask, button, count, element, labelled, picture } from "../dom.js";

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
    grid.append(...cards.map((one) => one.element));
    return [
      element("p", {}, "Sensitive: the face is in it, even in part. Its colours never leave your device. Neutral: the back of the head. It leaves in colour, small and without its background. In doubt, sensitive."),
      ...(app.openModels ? [suggesting(app, cards, refresh)] : []),
      told, grid, app.turns("capture", next),
    ];
  },
};

/**
 * What models on this device make of the pictures. Sensitive takes effect at once; neutral leaves in colour, so
 * it takes effect when the user has agreed.
 */
function suggesting(app, cards, refresh) {
  const { work, leaving } = app;
  const said = element("p", { role: "status" });
  const front = element("select", {}, element("option", {}, "the models find it"),
    ...work.frames.map(({ name }) => element("option", {}, name)));
  let wanted = [];
  const agree = button("", app.attempt(async () => {
    const names = wanted.map(({ frame }) => frame.name).join(", ");
    if (!(await certain(names))) return;
    for (const one of wanted) one.become("neutral");
    agree.hidden = true;
    refresh();
  }));
  agree.hidden = true;
  const press = button("Suggest roles", app.attempt(async () => {
    press.disabled = true;
    agree.hidden = true;
    try {
      const models = await app.models();
      for (const frame of work.frames) {
        said.textContent = `The models look at ${frame.name} …`;
        frame.found ??= await models.faces(frame.file).catch(() => null);
        if (leaving.aborted) return;
      }
      const found = work.frames.map((frame) => frame.found);
      const given = front.selectedIndex > 0 ? front.selectedIndex - 1 : null;
      const roles = models.suggest(work.frames, found, given, work.capture.sphere);
      wanted = cards.filter((one, at) => one.suggest(roles[at]));
      agree.textContent = `Make ${count(wanted.length, "picture")} neutral`;
      agree.hidden = wanted.length === 0;
      said.textContent = `Of ${count(roles.length, "picture")} the models take ${roles.filter(({ role }) => role === "neutral").length} for neutral. They can be wrong: look at each.`;
      refresh();
    } catch (error) {
      said.textContent = "";
      throw error;
    } finally {
      press.disabled = false;
    }
  }));
  return element("div", {}, labelled("A picture from straight in front", front),
    element("div", { class: "actions" }, press, agree), said);
}

function card(app, frame, index, refresh) {
  const shown = element("div", { class: "shown" });
  app.work.look(frame.file).then(({ bitmap }) => shown.append(picture(bitmap, `The picture ${frame.name}`)),
    (error) => app.trouble(error));
  const made = element("fieldset", { class: `card ${frame.role}` }, element("legend", {}, frame.name), shown);
  const choose = async (role, input) => {
    if (role === "neutral" && !(await certain(frame.name))) {
      made.querySelector("input[value=sensitive]").checked = true;
      return;
    }
    become(role);
    refresh();
    input.focus();
  };
  const become = (role) => {
    frame.role = role;
    frame.said = false;
    made.className = `card ${role}`;
    made.querySelector(`input[value=${role}]`).checked = true;
    app.work.changedFrame(frame);
  };
  const note = element("small", { class: "quiet" }, frame.said ? "as the capture file says" : "");
  /** @returns {boolean} does neutral await the user's word? */
  const suggest = ({ role, reasons }) => {
    note.textContent = `suggested: ${role} (${reasons.join("; ")})`;
    if (role === "sensitive") become(role);
    return role !== frame.role;
  };
  const option = (role, words) => element("label", {},
    element("input", {
      type: "radio", name: `role-${index}`, value: role, checked: frame.role === role,
      onchange: (event) => choose(role, event.target),
    }), element("span", {}, words));
  made.append(element("div", { class: "options" }, option("sensitive", "sensitive"), option("neutral", "neutral")), note);
  return { element: made, frame, become, suggest };
}

function certain(names) {
  return ask(`Does nothing of the face show in ${names}?`, [
    "A neutral picture leaves your device in colour.",
    "Look at it: no nose, no eye, no brow and no lip may show, not even in profile.",
  ], "Nothing of the face shows: neutral", "Keep it sensitive", "danger");
}
