/** A job while it waits and runs. */

import { ask, button, element } from "../dom.js";

/** Headlines where the work does not go on. */
const ENDED = { done: "The head is made", dead: "The head was not made", cancelled: "The head was not made" };

export const progress = {
  name: "progress",
  title: "The head is being made",
  short: "Progress",
  show(app) {
    const bar = element("progress", { max: 1, "aria-label": "Share of the work that is done" });
    const line = element("p", { class: "strong" });
    const more = element("p", { class: "quiet" });
    const stop = button("Stop it", app.attempt(async () => {
      if (await ask("Stop this job?", "What was sent stays until you delete it; you can start it again.", "Stop it", "Go on", "danger")) {
        await app.api.post(`jobs/${app.job}/cancel`);
      }
    }));
    const goesOn = element("p", { hidden: true }, "You may close this page: the work goes on, and the head will be among your heads.");
    const show = (job) => {
      const ended = job === null ? "The head was deleted" : ENDED[job.state];
      if (ended) app.entitle(ended);
      goesOn.hidden = stop.hidden = bar.hidden = Boolean(ended);
      const { done = 0, note = "", seconds_left: left = null } = job?.progress ?? {};
      if (job?.state === "running" && job.progress) bar.value = done;
      else bar.removeAttribute("value");
      line.textContent = job ? words(job, done) : "";
      more.textContent = ended ? "" : [note, left === null ? "" : `${time(left)} left`].filter(Boolean).join(", ");
      app.say([line.textContent, ended || left === null ? "" : `${time(left)} left.`].filter(Boolean).join(" "));
    };
    queueMicrotask(app.attempt(() => follow(app, show)));
    return [
      goesOn, bar, line, more,
      app.turns(null, element("div", { class: "actions" }, stop, button("Your heads", () => app.go("heads")))),
    ];
  },
};

async function follow(app, show) {
  for await (const job of app.api.events(app.job, app.leaving)) {
    show(job);
    if (job === null) {
      return app.trouble("This head was deleted, perhaps in another tab.", button("Your heads", () => app.go("heads")));
    }
    if (job.state === "done") return app.go("result");
    if (job.state === "dead" || job.state === "cancelled") {
      const again = button("Start it again", app.attempt(async () => {
        await app.api.post("jobs", { bundle: job.bundle, preset: job.preset, seed: job.seed });
        await app.go("progress");
      }), "first");
      const why = job.state === "dead" ? job.sentence ?? "The head could not be made." : "It was stopped.";
      return app.trouble(why, again);
    }
  }
}

function words({ state, position, attempts }, done) {
  if (state === "queued" && attempts > 0) return "It was interrupted and will go on soon.";
  if (state === "queued") return position ? `It waits; ${position} before it.` : "It is next in line.";
  if (state === "running") return `${Math.floor(100 * done)} % is done.`;
  return { done: "The head is made.", dead: "It failed.", cancelled: "It was stopped." }[state] ?? state;
}

/** "2 min 5 s" and the like, coarser the longer it is. */
export function time(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return `${(s / 3600).toFixed(1)} h`;
}
