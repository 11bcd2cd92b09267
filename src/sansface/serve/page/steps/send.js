/** Say exactly what will be sent, and send exactly that. In the standalone file: save it. */

import { button, element, save } from "../dom.js";

const BUNDLE = "head.sfb";
const WAY_BACK = "head.frame.json";

export const send = {
  name: "send",
  title: "What will be sent",
  short: "Send",
  show(app) {
    const { made } = app.work;
    const bar = element("progress", { max: made.bytes.length, value: 0, "aria-label": "Bytes sent", hidden: true });
    const go = button("Send exactly this", app.attempt(async () => {
      go.disabled = true;
      try {
        await sendIt(app, made, bar);
      } finally {
        go.disabled = false;
        bar.hidden = true;
      }
    }), "first");
    return [...contents(app), bar, app.turns("protect", go)];
  },
};

/** The standalone file's last step. */
export const keep = {
  name: "send",
  title: "Save the bundle",
  short: "Save",
  show(app) {
    return [...contents(app),
      element("p", {}, "Give the bundle to a service or a lab that runs sansface, and to nobody the way back."),
      app.turns("protect", button("Another head", () => {
        app.begin();
        app.go("pictures");
      }))];
  },
};

function contents(app) {
  const { made } = app.work;
  const saved = element("p", { role: "status", class: "quiet" });
  const keepFile = (name, data, words, type) => {
    save(name, data, type);
    saved.textContent = words;
  };
  return [
    element("ul", { class: "exactly" }, ...made.summary.map((sentence) => element("li", {}, sentence)),
      element("li", {}, "Its SHA-256: ", element("code", {}, made.digest), ".")),
    element("h3", {}, "Keep for yourself"),
    element("p", {}, "The way back says where, how large and in which unit the head was in your world. It is never sent. With it the head comes back in your own frame, and measurements in millimetres. Save it now: this page keeps it only until the tab is closed."),
    element("div", { class: "actions" },
      button("Save the bundle", () => keepFile(BUNDLE, made.bytes, "The bundle is saved.")),
      button("Save the way back", () => keepFile(WAY_BACK, `${JSON.stringify(made.frame, null, 1)}\n`, "The way back is saved. It is not for the server.", "application/json"))),
    saved,
  ];
}

async function sendIt(app, made, bar) {
  const { api, leaving } = app;
  if (!api.signedIn && !(await api.signIn())) throw new Error("Nothing was sent; sign in to send it.");
  bar.hidden = false;
  const bundle = await api.upload(made.bytes, made.digest, (done) => {
    bar.value = done;
    app.say(`${Math.round((100 * done) / made.bytes.length)} % sent.`);
  }, leaving);
  app.waysBack.set(made.digest, made.frame);
  const job = await api.post("jobs", { bundle }, { signal: leaving });
  app.job = job.id;
  app.begin(); // the pictures have done their work
  await app.go("progress");
}
