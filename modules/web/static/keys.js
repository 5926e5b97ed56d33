// Keyboard: Ctrl+Enter generate, Alt+Enter skip, Esc interrupt, ? for help.
import { interrupt, skip } from "./actions.js";
import { open } from "./dialogs.js";
import { activeTab, h } from "./dom.js";
import { live } from "./live.js";

const { t } = window.Easel;
const HELP = [
  ["Ctrl+Enter", "keys.generate"],
  ["Esc", "keys.interrupt"],
  ["Alt+Enter", "keys.skip"],
  ["Ctrl+↑ / Ctrl+↓", "keys.weight"],
  ["Alt+← / Alt+→", "keys.move"],
  ["← / →", "keys.pictures"],
  ["?", "keys.help"],
];
const CANVAS_HELP = [
  ["B / E / L / M / G", "keys.canvas_tools"],
  ["[ / ] / Q / W", "keys.canvas_size"],
  ["Alt+wheel", "keys.canvas_zoom"],
  ["F", "keys.canvas_move"],
  ["R / S", "keys.canvas_views"],
  ["Ctrl+Z / Ctrl+Y", "keys.canvas_undo"],
  ["I / Del / H", "keys.canvas_mask"],
];

/** Whether something on top wants the Escape key for itself. */
function occupied(target) {
  if (document.querySelector("dialog[open], easel-canvas.wide")) return true;
  if (document.querySelector(".easel-menu")) return true;
  return target.closest?.('[role="combobox"]')?.getAttribute("aria-expanded") === "true";
}

document.addEventListener(
  "keydown",
  (event) => {
    const control = event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && control && !document.querySelector("dialog[open]")) {
      const button = document.getElementById(`${activeTab()}_generate`);
      if (!button) return;
      event.preventDefault();
      // Numbers typed but not left yet reach Gradio when their box loses the focus.
      if (event.target.matches?.('input[type="number"]')) event.target.blur();
      button.click();
    } else if (event.key === "Enter" && event.altKey) {
      event.preventDefault();
      skip();
    } else if (event.key === "Escape" && live.queue.length && !occupied(event.target)) {
      interrupt();
    } else if (event.key === "?" && !event.target.closest?.("input, textarea, [contenteditable]")) {
      help();
    }
  },
  true,
);

/** The window that lists the keys. */
export function help() {
  return open(t("keys.title"), (body) => {
    body.append(list(HELP), h("h3", {}, t("keys.canvas")), list(CANVAS_HELP));
  });
}

function list(lines) {
  const rows = lines.map(([keys, text]) =>
    h("div", {}, h("dt", {}, ...keys.split(" ").map(key)), h("dd", {}, t(text))),
  );
  return h("dl", { class: "easel-keys" }, ...rows);
}

function key(name) {
  return name === "/" ? " / " : h("kbd", {}, name);
}
