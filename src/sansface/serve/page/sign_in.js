/** Ask for name and password, in a dialog over whatever is on the screen: nothing of it is lost. */

import { button, dialog, element, labelled } from "./dom.js";

/**
 * @param {Api} api
 * @returns {Promise<boolean>} false where the user would rather not
 */
export async function signIn(api) {
  const answer = await dialog("Sign in", (close) => {
    const name = element("input", { name: "name", autocomplete: "username", required: true, maxlength: 64, autofocus: true });
    const password = element("input", { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 1024 });
    const wrong = element("p", { class: "warn", role: "alert" });
    const enter = element("button", { class: "first" }, "Sign in");
    const form = element("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        enter.disabled = true;
        wrong.textContent = "";
        try {
          await api.enter(name.value, password.value);
          close(true);
        } catch (error) {
          wrong.textContent = error.message || "The server cannot be reached; try again.";
          password.value = "";
          password.focus();
        } finally {
          enter.disabled = false;
        }
      },
    }, element("p", {}, "Who runs this service gave you an account."), labelled("Name", name), labelled("Password", password), wrong,
    element("div", { class: "actions" }, button("Cancel", () => close(false)), enter));
    return [form];
  });
  return answer === true;
}
