// Short notes at the edge of the page, read out by screen readers.
import { h, icon, button } from "./dom.js";

const { t } = window.Easel;
const SECONDS = { info: 5, success: 4, warning: 8, error: 12 };
const ICONS = { info: "info", success: "check", warning: "warning", error: "error" };

export const info = (text, action) => show("info", text, action);
export const success = (text, action) => show("success", text, action);
export const warning = (text, action) => show("warning", text, action);
export const error = (text, action) => show("error", text, action);

/** Run `work`; a failure becomes a note. Resolves to the result, or undefined. */
export async function guard(work) {
  try {
    return await work();
  } catch (problem) {
    error(problem.message);
    return undefined;
  }
}

function shelf() {
  let found = document.getElementById("easel_toasts");
  if (!found) {
    found = h("div", { id: "easel_toasts", role: "region", "aria-label": t("toast.region") });
    document.body.append(found);
  }
  return found;
}

/** Show a note; `action` is `{text, run}` for one button in it. */
function show(kind, text, action) {
  const same = [...shelf().children].find((other) => other.dataset.text === text);
  same?.remove();
  const note = h(
    "div",
    { class: `easel-toast ${kind}`, role: kind === "error" ? "alert" : "status", dataset: { text } },
    icon(ICONS[kind]),
    h("p", {}, text),
  );
  const close = () => note.remove();
  if (action) {
    const run = () => {
      close();
      action.run();
    };
    note.append(button("", action.text, run, { kind: "link" }));
  }
  note.append(button("close", t("toast.close"), close, { quiet: true }));
  let timer = setTimeout(close, SECONDS[kind] * 1000 * (action ? 2 : 1));
  note.addEventListener("mouseenter", () => clearTimeout(timer));
  note.addEventListener("mouseleave", () => (timer = setTimeout(close, 3000)));
  shelf().append(note);
  while (shelf().children.length > 5) shelf().firstElementChild.remove();
  return close;
}
