/**
 * The page as a state machine: which step may follow which, one of them on the screen at a time.
 *
 * A step is {name, title, show(app): nodes}; `app.leaving` is a signal that aborts when it is left.
 */

import { Protector, missingFeatures } from "./protect/protector.js";
import { button, element } from "./dom.js";
import { Work } from "./work.js";

/** From each step, where one may go. Steps that another head begins from are reached from everywhere. */
const WAYS = {
  pictures: ["capture"],
  capture: ["pictures", "roles"],
  roles: ["capture", "masks"],
  masks: ["roles", "protect"],
  protect: ["masks", "send"],
  send: ["protect", "progress"],
  progress: ["result"],
  result: ["progress"],
  heads: ["progress", "result"],
};
const FROM_ANYWHERE = ["pictures", "heads"];

export class App {
  /**
   * @param {object[]} steps in their order; those of `aside` are not counted
   * @param {() => Worker} makeWorker
   * @param {Api | null} api null in the standalone file
   * @param {(() => Promise<Models>) | null} openModels null in the standalone file, which has none
   */
  constructor({ steps, aside = [], makeWorker, api = null, openModels = null }) {
    this.steps = steps;
    this.all = new Map([...steps, ...aside].map((step) => [step.name, step]));
    Object.assign(this, { makeWorker, api, openModels, opened: null, now: null, job: null, leave: null });
    this.waysBack = new Map(); // from a bundle's digest to its frame; in this tab alone, until it is closed or one signs out
    this.root = document.getElementById("step");
    this.said = document.getElementById("said");
    this.begin();
    addEventListener("beforeunload", (event) => {
      if (this.work.begun) event.preventDefault(); // a reload forgets the pictures
    });
  }

  /** Forget what was chosen, for another head. */
  begin() {
    this.work?.close();
    this.work = new Work(new Protector(this.makeWorker));
  }

  /**
   * The models that suggest masks and roles, loaded when they are first asked for.
   * @throws {Error} they are not there.
   */
  async models() {
    if (!this.opened?.open) this.opened = await this.openModels();
    return this.opened;
  }

  get leaving() {
    return this.leave.signal;
  }

  /**
   * Show a step.
   * @throws {Error} no way leads there from the present one.
   */
  async go(name) {
    const known = this.all.has(name) && (this.now === null || name === this.now || FROM_ANYWHERE.includes(name) || WAYS[this.now].includes(name));
    if (!known) throw new Error(`There is no way from ${this.now} to ${name}.`);
    this.leave?.abort();
    this.leave = new AbortController();
    const { signal } = this.leave;
    const first = this.now === null;
    this.now = name;
    const step = this.all.get(name);
    this.heading = element("h2", { tabindex: -1 });
    this.entitle(step.title);
    this.troubles = element("div", { class: "troubles", role: "alert" });
    this.root.replaceChildren(this.heading, this.troubles);
    this.#list();
    this.say("");
    this.#remember();
    try {
      const nodes = await step.show(this);
      if (signal.aborted) return;
      this.root.append(...nodes);
    } catch (error) {
      if (signal.aborted) return;
      this.trouble(error);
    }
    if (!first) {
      this.heading.focus();
      scrollTo({ top: 0 });
    }
  }

  /** Give the step another headline than its own. */
  entitle(title) {
    this.heading.textContent = title;
    document.title = `${title} – sansface`;
  }

  /** Say something that changes by itself, such as progress, to those who hear the page. */
  say(sentence) {
    if (this.said.textContent !== sentence) this.said.textContent = sentence;
  }

  /**
   * Say what went wrong, and the way on.
   * @param {Error | string | null} problem null: nothing any more
   * @param {...HTMLElement} ways buttons
   */
  trouble(problem, ...ways) {
    if (this.leave.signal.aborted) return;
    const said = problem?.message ?? problem;
    if (problem?.status === 401) ways = [button("Sign in", () => this.go(this.now), "first")];
    const text = said && said[0].toUpperCase() + said.slice(1);
    this.troubles.replaceChildren(...(text ? [element("p", {}, text), ...(ways.length ? [element("div", { class: "actions" }, ...ways)] : [])] : []));
  }

  /** Nothing is asked and no failure is said: the step may be shown again by itself, and nothing is lost. */
  get settled() {
    return !document.querySelector("dialog[open]") && !this.troubles.hasChildNodes();
  }

  /** Run something that may fail, from a button say; what fails is said, unless the step was left meanwhile. */
  attempt(does, ...ways) {
    const { signal } = this.leave;
    return this.#tried(does, (error) => signal.aborted || this.trouble(error, ...ways));
  }

  /** As `attempt`, for what may not fail unheard: it is said on whatever step is shown by then. */
  insist(does) {
    return this.#tried(does, (error) => this.trouble(error));
  }

  #tried(does, failed) {
    return async (...given) => {
      this.trouble(null);
      try {
        return await does(...given);
      } catch (error) {
        if (error?.name !== "AbortError") failed(error);
        return undefined;
      }
    };
  }

  /** The buttons at a step's end. */
  turns(back, next = null) {
    return element("div", { class: "turns" },
      back ? button("Back", () => this.go(back)) : element("span"),
      next);
  }

  /** Show the heads' page, or the head that the address names. */
  #remember() {
    const place = { heads: "#heads", progress: `#job/${this.job}`, result: `#job/${this.job}` }[this.now] ?? "";
    if (location.hash !== place) history.replaceState(null, "", place || location.pathname);
  }

  #list() {
    const list = document.getElementById("steps");
    const here = this.steps.findIndex((step) => step.name === this.now);
    list.hidden = here < 0;
    list.replaceChildren(...this.steps.map(({ short }, index) => element("li",
      { class: index < here ? "past" : "", "aria-current": index === here ? "step" : null },
      element("span", {}, short))));
  }
}

/**
 * One sentence where the browser lacks what the page cannot do without, else null.
 * @param {boolean} modules does the page need workers that are modules?
 */
export function missing(modules = true) {
  const lacking = missingFeatures();
  if (modules && !moduleWorkers()) lacking.push("This browser lacks module workers.");
  if (!globalThis.HTMLDialogElement) lacking.push("This browser lacks dialogs.");
  return lacking.length ? `${lacking[0]} Use a browser of 2023 or later.` : null;
}

/** Whether workers may be modules: a browser that knows of it asks for the type, before it refuses the address. */
function moduleWorkers() {
  let asked = false;
  try {
    new Worker("https://[", { get type() { asked = true; return "module"; } }).terminate();
  } catch { /* it is no address */ }
  return asked;
}
