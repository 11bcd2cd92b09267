/** Measurements on the head in the viewer: distances and circumferences between picked points. */

import { button, element, labelled } from "../dom.js";
import { along, circumference } from "../measure.js";
import { distance } from "../vector.js";

const UP = [0, 1, 0];
const MILLIMETRES = { mm: 1, cm: 10, m: 1000, in: 25.4 };
const KINDS = {
  look: ["Look", 0, "Drag to turn, pinch or wheel for nearer; arrow keys, + and −, Home."],
  distance: ["Distance", 2, "Pick two points: click, or bring a point to the middle and press Enter."],
  circumference: ["Circumference", 3, "Pick one point for the level way round, two for a tilted one, three for the plane through them."],
};

/**
 * Millimetres in the mesh's unit of length, where anything says it.
 * @param {{radius: number, unit: string} | null} wayBack of the bundle, where the user has it
 * @returns {number | null}
 */
export function millimetres(wayBack) {
  const unit = wayBack && MILLIMETRES[wayBack.unit];
  return unit ? wayBack.radius * unit : null;
}

/**
 * How lengths of the mesh are said.
 * @param {{radius: number, unit: string} | null} wayBack of the bundle, where the user has it
 * @param {number | null} known millimetres in the mesh's unit, by a length that the user gave
 * @returns {(length: number) => string}
 */
export function inWords(wayBack, known) {
  if (known) return (length) => `${(length * known).toFixed(1)} mm by the length that you gave`;
  const unit = millimetres(wayBack);
  if (unit) return (length) => `${(length * unit).toFixed(1)} mm`;
  if (wayBack) return (length) => `${(length * wayBack.radius).toPrecision(4)} units of your capture, which says no unit`;
  return (length) => `${length.toFixed(4)} R, where R is the radius of the sphere round the head`;
}

/**
 * The controls under a viewer.
 * @param {Viewer} viewer
 * @param {Mesh} mesh
 * @param {(millimetres: number) => void} scaled the user said how long a distance is: so many in the mesh's unit
 * @returns {{element: HTMLElement, say: (words: (length: number) => string) => void}} `say` changes the unit
 */
export function measuring(viewer, mesh, scaled) {
  let kind = "look";
  let picked = [];
  let say = inWords(null, null);
  const known = element("input", { type: "number", min: "0.1", step: "any", inputmode: "decimal" });
  const scale = element("form", {
    class: "scale", hidden: true,
    onsubmit: (event) => {
      event.preventDefault();
      if (known.value > 0) scaled(known.value / distance(picked[0].point, picked[1].point));
    },
  }, labelled("This straight line is, in mm", known, "Something whose length you know, such as that between the pupils, makes all lengths millimetres."),
  element("button", { class: "plain" }, "Take it as the scale"));
  const hint = element("p", { class: "quiet" }, KINDS.look[2]);
  const result = element("p", { class: "strong", role: "status" });
  const choice = element("fieldset", { class: "choice" }, element("legend", {}, "Measure"),
    ...Object.entries(KINDS).map(([name, [words]]) => element("label", {},
      element("input", { type: "radio", name: "measure", checked: name === kind, onchange: () => choose(name) }),
      element("span", {}, words))));
  const update = () => {
    const { text, curves } = kind === "distance" ? distances(mesh, picked, say) : around(mesh, picked, say);
    result.textContent = text;
    scale.hidden = kind !== "distance" || picked.length < 2 || picked[0].point.every((x, i) => x === picked[1].point[i]);
    viewer.mark(picked.map((one) => one.point), curves);
  };
  const choose = (name) => {
    kind = name;
    picked = [];
    hint.textContent = KINDS[kind][2];
    viewer.canvas.parentElement.classList.toggle("aiming", kind !== "look");
    update();
  };
  viewer.onPick = (hit) => {
    const most = KINDS[kind][1];
    if (!most) return;
    picked = picked.length >= most ? [hit] : [...picked, hit];
    update();
  };
  return {
    element: element("div", { class: "measuring" }, choice, hint, result, scale,
      button("Take the points away", () => choose(kind))),
    say: (words) => {
      say = words;
      update();
    },
  };
}

function distances(mesh, [a, b], say) {
  if (!a) return { text: "", curves: [] };
  if (!b) return { text: "One point; pick the second.", curves: [] };
  const over = along(mesh, a, b);
  const straight = `Straight: ${say(distance(a.point, b.point))}. `;
  if (!over) return { text: `${straight}Along the surface: there is no way between them in one plane.`, curves: [] };
  return { text: `${straight}Along the surface: ${say(over.length)}.`, curves: [over.curve] };
}

function around(mesh, picked, say) {
  if (!picked.length) return { text: "", curves: [] };
  try {
    const { length, curve } = circumference(mesh, picked.map((one) => one.point), UP);
    return { text: `Way round: ${say(length)}.`, curves: [curve] };
  } catch (error) {
    return { text: error.message, curves: [] };
  }
}
