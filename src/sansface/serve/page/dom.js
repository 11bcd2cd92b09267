/** Making elements, saving files, asking back. */

/**
 * @param {string} tag
 * @param {object} attributes names to values; `onclick: f` listens, true sets, false, null and undefined leave out
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A button; `kind`: "first" for what the step is for, "plain", "danger". */
export function button(text, onclick, kind = "plain", attributes = {}) {
  return element("button", { type: "button", class: kind, onclick, ...attributes }, text);
}

/** A label around what it labels, with its text before. */
export function labelled(text, input, hint = null) {
  return element("label", { class: "field" }, element("span", {}, text), input, hint && element("small", {}, hint));
}

/**
 * A file input that looks like a button and is one for the keyboard.
 * @param {string} text
 * @param {(files: File[]) => void} onfiles
 * @param {object} attributes of the input
 */
export function fileChooser(text, onfiles, attributes = {}, kind = "plain") {
  const input = element("input", {
    type: "file",
    ...attributes,
    onchange: () => {
      const files = [...input.files];
      input.value = ""; // so that the same file can be chosen again
      if (files.length) onfiles(files);
    },
  });
  return element("label", { class: `chooser ${kind}` }, input, element("span", {}, text));
}

/**
 * Put a file into the user's downloads.
 * @param {string} name
 * @param {Uint8Array | string} data
 */
export function save(name, data, type = "application/octet-stream") {
  const address = URL.createObjectURL(new Blob([data], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Let the browser answer to the user before more is done. */
export function breath() {
  return globalThis.scheduler?.yield?.() ?? new Promise((go) => setTimeout(go));
}

let dialogs = 0; // sign-in may come over another one, so each has a heading of its own

/**
 * Show a dialog until it is closed; focus goes back to where it was.
 * @param {string} title
 * @param {(close: (answer: any) => void) => (Node|string)[]} fill gives the contents
 * @param {string} kind a class
 * @returns {Promise<any>} the answer; null where it was dismissed
 */
export function dialog(title, fill, kind = "") {
  return new Promise((answered) => {
    let answer = null;
    const id = `dialog-${++dialogs}`;
    const heading = element("h2", { id }, title);
    const close = (value) => {
      answer = value;
      shown.close();
    };
    const shown = element("dialog", { class: kind, "aria-labelledby": id }, heading);
    shown.addEventListener("close", () => {
      shown.remove();
      answered(answer);
    });
    shown.append(...fill(close));
    document.body.append(shown);
    shown.showModal();
  });
}

/** Ask a question that can be answered by yes or no; dismissing it is no. */
export async function ask(title, text, yes, no = "Cancel", kind = "first") {
  const texts = [text].flat().map((one) => element("p", {}, one));
  const answer = await dialog(title, (close) => [
    ...texts,
    element("div", { class: "actions" }, button(no, () => close(false), "plain", { autofocus: true }), button(yes, () => close(true), kind)),
  ]);
  return answer === true;
}

/** A picture on a canvas of its own size, with words for those who do not see it. */
export function picture(source, words, kind = "") {
  const canvas = element("canvas", { class: kind, role: "img", "aria-label": words });
  [canvas.width, canvas.height] = [source.width, source.height];
  const context = canvas.getContext("2d");
  if (source.data) context.putImageData(new ImageData(new Uint8ClampedArray(source.data), source.width, source.height), 0, 0);
  else context.drawImage(source, 0, 0);
  return canvas;
}

/** "3 pictures", "1 picture". */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}
