/**
 * Draw the mask of one picture: brush, eraser, lasso, polygon, and an ellipse that needs no pointer.
 */

import { button, dialog, element, labelled } from "./dom.js";
import { drawMasked, Mask } from "./mask.js";

const TOOLS = {
  brush: ["Brush", "Paint over the head."],
  eraser: ["Eraser", "Paint over what is not the head."],
  lasso: ["Lasso", "Draw round the head in one go."],
  polygon: ["Polygon", "Set corners round the head; Enter or a second click on the last one closes it."],
  ellipse: ["Ellipse", "Set it by the sliders or drag it open, then add it or take it away."],
};

/**
 * @param {{bitmap: ImageBitmap, name: string, mask: Mask | null}} picture
 * @returns {Promise<Mask | null>} null where nothing was changed
 */
export function editMask({ bitmap, name, mask }) {
  return dialog(`The head in ${name}`, (close) => {
    const editor = new Editor(bitmap, mask, close);
    queueMicrotask(() => editor.draw());
    return [editor.element];
  }, "editor");
}

class Editor {
  constructor(bitmap, mask, close) {
    this.bitmap = bitmap;
    this.mask = new Mask(bitmap.width, bitmap.height, mask?.data.slice());
    this.tool = "brush";
    this.corners = [];
    this.from = null;
    this.ellipse = {
      x: bitmap.width / 2, y: bitmap.height / 2, a: bitmap.width / 4, b: bitmap.height / 3, angle: 0,
    };
    this.canvas = element("canvas", {
      tabindex: 0, role: "img", "aria-label": "The picture; what is blue is background. Without a pointer, use the ellipse.",
    });
    [this.canvas.width, this.canvas.height] = [bitmap.width, bitmap.height];
    this.hint = element("p", { class: "quiet", role: "status" });
    this.sizeOf = slider("Size of the brush", 2, 120, 28, () => {});
    this.sliders = this.#ellipseSliders();
    this.use = button("Use this mask", () => close(this.mask), "first");
    this.element = element("div", { class: "mask-editor" },
      element("div", { class: "tools" }, this.#toolChoice(), this.hint, this.sizeOf.element, this.sliders,
        element("div", { class: "actions" },
          button("Undo", () => this.mask.undo() && this.draw()),
          button("Everything out", () => this.#change(() => this.mask.clear())))),
      element("div", { class: "sheet" }, this.canvas),
      element("div", { class: "actions" }, button("Leave it as it was", () => close(null)), this.use));
    this.#listen();
    this.#choose("brush");
  }

  draw() {
    const context = this.canvas.getContext("2d");
    drawMasked(context, this.bitmap, this.mask);
    this.#outline(context);
    this.use.disabled = !this.mask.usable;
  }

  #outline(context) {
    const corners = this.corners;
    const path = new Path2D();
    if (this.tool === "ellipse") {
      const { x, y, a, b, angle } = this.ellipse;
      path.ellipse(x, y, a, b, angle, 0, 2 * Math.PI);
    } else if (corners.length) {
      path.moveTo(...corners[0]);
      corners.slice(1).forEach((corner) => path.lineTo(...corner));
    }
    for (const [width, colour] of [[4, "#000"], [2, "#ffd23f"]]) {
      [context.lineWidth, context.strokeStyle] = [width, colour];
      context.stroke(path);
      if (this.tool === "polygon") corners.forEach(([x, y]) => context.strokeRect(x - 3, y - 3, 6, 6));
    }
  }

  #change(does) {
    this.mask.keep();
    does();
    this.draw();
  }

  #choose(tool) {
    this.tool = tool;
    this.corners = [];
    this.hint.textContent = TOOLS[tool][1];
    this.sizeOf.element.hidden = !["brush", "eraser"].includes(tool);
    this.sliders.hidden = tool !== "ellipse";
    this.draw();
  }

  #toolChoice() {
    const options = Object.entries(TOOLS).map(([tool, [name]]) => element("label", {},
      element("input", { type: "radio", name: "tool", checked: tool === "brush", onchange: () => this.#choose(tool) }),
      element("span", {}, name)));
    return element("fieldset", { class: "choice" }, element("legend", {}, "Tool"), ...options);
  }

  #ellipseSliders() {
    const { width, height } = this.bitmap;
    const ellipse = this.ellipse;
    const moved = (key, factor = 1) => (value) => {
      ellipse[key] = value * factor;
      this.draw();
    };
    const made = {
      x: slider("From the left", 0, width, ellipse.x, moved("x")),
      y: slider("From above", 0, height, ellipse.y, moved("y")),
      a: slider("Width", 4, width, 2 * ellipse.a, moved("a", 0.5)),
      b: slider("Height", 4, height, 2 * ellipse.b, moved("b", 0.5)),
      angle: slider("Turned, degrees", -90, 90, 0, moved("angle", Math.PI / 180)),
    };
    this.follow = () => {
      for (const [key, factor] of [["x", 1], ["y", 1], ["a", 2], ["b", 2]]) made[key].input.value = ellipse[key] * factor;
    };
    return element("div", { class: "sliders" }, ...Object.values(made).map((one) => one.element),
      element("div", { class: "actions" },
        button("Add the ellipse", () => this.#change(() => this.mask.ellipse(ellipse))),
        button("Take it away", () => this.#change(() => this.mask.ellipse(ellipse, false)))));
  }

  #listen() {
    const { canvas } = this;
    const place = (event) => {
      const box = canvas.getBoundingClientRect(); // the picture is in its middle, as large as fits
      const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
      const [left, top] = [box.left + (box.width - scale * canvas.width) / 2, box.top + (box.height - scale * canvas.height) / 2];
      return [(event.clientX - left) / scale, (event.clientY - top) / scale];
    };
    const radius = () => (Number(this.sizeOf.input.value) / 2) * (canvas.width / 512);
    const stroke = (to) => this.mask.stroke(this.from, to, Math.max(1, radius()), this.tool === "brush");
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.focus();
      const here = place(event);
      if (this.tool === "polygon") return this.#corner(here);
      canvas.setPointerCapture(event.pointerId);
      this.from = here;
      if (this.tool === "lasso") this.corners = [here];
      if (this.tool === "brush" || this.tool === "eraser") this.#change(() => stroke(here));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.from) return;
      const here = place(event);
      if (this.tool === "lasso") this.corners.push(here);
      else if (this.tool === "ellipse") this.#open(here);
      else {
        stroke(here);
        this.from = here;
      }
      this.draw();
    });
    const lifted = () => {
      if (this.from && this.tool === "lasso") this.#close();
      this.from = null;
    };
    canvas.addEventListener("pointerup", lifted);
    canvas.addEventListener("pointercancel", lifted);
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.tool === "polygon") this.#close();
      if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        if (this.mask.undo()) this.draw();
      }
    });
  }

  #corner(here) {
    const last = this.corners.at(-1);
    if (last && Math.hypot(last[0] - here[0], last[1] - here[1]) < 6) return this.#close();
    this.corners.push(here);
    this.draw();
  }

  #close() {
    const corners = this.corners;
    this.corners = [];
    this.#change(() => this.mask.polygon(corners));
  }

  #open([x, y]) {
    const [left, top] = this.from;
    Object.assign(this.ellipse, {
      x: (left + x) / 2, y: (top + y) / 2, a: Math.max(2, Math.abs(x - left) / 2), b: Math.max(2, Math.abs(y - top) / 2),
    });
    this.follow();
  }
}

function slider(text, min, max, value, onvalue) {
  const input = element("input", { type: "range", min, max, step: 1, oninput: () => onvalue(Number(input.value)) });
  input.value = value;
  return { input, element: labelled(text, input) };
}
