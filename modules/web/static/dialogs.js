// Modal windows on the browser's own <dialog>: focus stays inside, Escape closes.
import { h, button } from "./dom.js";

const { t } = window.Easel;

/** Open a window with a title; resolves when it is closed. `fill(body, close)` builds its content. */
export function open(title, fill, { wide = false } = {}) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: "easel_dialog_title" }, title);
    const body = h("div", { class: "easel-dialog-body" });
    const dialog = h("dialog", {
      class: `easel-dialog${wide ? " wide" : ""}`,
      "aria-labelledby": "easel_dialog_title",
    });
    const close = (result) => {
      dialog.returnValue = "";
      dialog.result = result;
      dialog.close();
    };
    dialog.append(
      h(
        "header",
        {},
        heading,
        button("close", t("dialog.close"), () => close(), { quiet: true }),
      ),
      body,
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.result);
    });
    dialog.addEventListener("mousedown", (event) => {
      if (event.target === dialog) close();
    });
    document.body.append(dialog);
    fill(body, close);
    dialog.showModal();
  });
}

/** Ask yes or no. */
export async function confirm(question, yes) {
  const answer = await open(t("dialog.confirm"), (body, close) => {
    body.append(
      h("p", {}, question),
      h(
        "div",
        { class: "easel-dialog-actions" },
        button("", t("dialog.cancel"), () => close(false)),
        button("", yes, () => close(true), { kind: "primary" }),
      ),
    );
  });
  return answer === true;
}
