/** All heads of an account: looked at again, deleted one by one or all at once. */

import { ask, button, count, element } from "../dom.js";
import { remove } from "./result.js";

const STATES = { queued: "waits", running: "is being made", done: "is made", dead: "failed", cancelled: "was stopped" };

export const heads = {
  name: "heads",
  title: "Your heads",
  short: "Heads",
  async show(app) {
    const { api } = app;
    const options = { signal: app.leaving };
    const [account, bundles, jobs] = await Promise.all(["account", "bundles", "jobs"].map((path) => api.get(path, options)));
    const loose = bundles.filter((bundle) => !jobs.some((job) => job.bundle === bundle.id));
    const rows = [
      ...jobs.map((job) => row(app, job, bundles.find((bundle) => bundle.id === job.bundle))),
      ...loose.map((bundle) => row(app, null, bundle)),
    ];
    addEventListener("focus", () => app.settled && app.go("heads"), options);
    return [
      rows.length ? element("ul", { class: "heads" }, ...rows) : element("p", {}, "There is none yet."),
      element("p", { class: "quiet" }, `${account.name}: ${size(account.bytes)} of ${size(account.max_bytes)} used, ${account.jobs_today} of ${account.max_jobs} heads today. Everything is deleted by itself after ${count(account.retention_days, "day")}.`),
      element("div", { class: "actions" },
        button("Another head", () => app.go("pictures"), "first"),
        button("Delete everything", app.insist(() => removeAll(app, account)), "danger"),
        button("Sign out", app.attempt(() => signOut(app)))),
    ];
  },
};

function row(app, job, bundle) {
  const made = new Date(1000 * (job ?? bundle).created);
  const name = made.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  const about = bundle ? `${count(bundle.about.frames, "picture")}, ${bundle.about.resolution} pixels, ${bundle.about.operator}` : "";
  const open = app.attempt(() => {
    app.job = job.id;
    return app.go(job.state === "done" ? "result" : "progress");
  });
  const begin = app.attempt(async () => {
    app.job = (await app.api.post("jobs", { bundle: bundle.id })).id;
    await app.go("progress");
  });
  const words = { "aria-label": `Delete the head of ${name}` };
  return element("li", {},
    element("div", {}, element("strong", {}, name), " ", element("span", { class: `state ${job?.state ?? ""}` }, job ? STATES[job.state] : "not begun"),
      element("small", { class: "quiet" }, about)),
    element("div", { class: "actions" },
      job ? button(job.state === "done" ? "Look at it" : "Show", open, "plain", { "aria-label": `Look at the head of ${name}` }) : button("Make the head", begin),
      button("Delete", app.insist(() => remove(app, job ?? { bundle: bundle.id })), "danger", words)));
}

async function removeAll(app, { backup_days: days }) {
  const sure = await ask("Delete everything?", [
    "All that you sent and all that was made of it is deleted from the server now, running work too.",
    `Backups that still hold it, encrypted, are gone after ${count(days, "day")}. This cannot be undone.`,
  ], "Delete everything", "Keep it", "danger");
  if (!sure) return;
  await app.api.delete("account/data");
  await app.go("heads");
  app.say("Everything was deleted.");
}

async function signOut(app) {
  await app.api.leave();
  app.job = null;
  app.waysBack.clear();
  app.begin();
  await app.go("pictures");
  app.say("You are signed out.");
}

function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
