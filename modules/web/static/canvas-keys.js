// Keys of the canvas under the pointer or with the focus; A1111's where it has any.
import { activeTab } from "./dom.js";

const TOOLS = { b: "brush", e: "eraser", l: "lasso", m: "rectangle", g: "fill" };
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TYPING =
  'input:not([type="range"], [type="color"], [type="checkbox"], [type="radio"], [type="file"]),' +
  'textarea, select, [contenteditable="true"]';
let hovered = null;

/** The canvas that keys go to: the one in full view, the one with the focus, the one under the pointer. */
export function current() {
  const wide = document.querySelector("easel-canvas.wide");
  const focused = document.activeElement?.closest?.("easel-canvas");
  const under = hovered?.isConnected && hovered.offsetParent ? hovered : null;
  return wide ?? focused ?? under;
}

/** The canvas takes part in the keyboard. */
export function attend(canvas) {
  canvas.addEventListener("pointerenter", () => (hovered = canvas));
  canvas.addEventListener("pointerleave", () => hovered === canvas && (hovered = null));
}

document.addEventListener(
  "keydown",
  (event) => {
    const canvas = current();
    if (!canvas?.drawing.picture || document.querySelector("dialog[open]")) return;
    if (event.target.matches?.(TYPING) || !canvas.closest(`#tab_${activeTab()}`)) return;
    if (press(canvas, event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  },
  true,
);
document.addEventListener("keyup", (event) => {
  if (event.key === "f" || event.key === "F" || event.key === " ") {
    for (const canvas of document.querySelectorAll("easel-canvas")) canvas.hold(false);
  }
});

/** Whether the key meant something. */
function press(canvas, event) {
  const { drawing, view } = canvas;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return event.altKey ? false : control(drawing, key, event.shiftKey);
  if (event.altKey) return false;
  if (key === "Escape" && canvas.wide) return did(() => canvas.widen(false));
  const onStage = event.target === canvas.stage;
  if (STEP[key] && onStage) return did(() => canvas.step(...STEP[key], event.shiftKey));
  if (key === "Enter" && onStage && drawing.layer) return did(() => canvas.press());
  if (key === "f" || (key === " " && onStage)) return did(() => canvas.hold(true));
  if (key === "r" || key === "0") return did(() => view.fit());
  if (key === "s") return did(() => canvas.widen(!canvas.wide));
  if (key === "+" || key === "=") return did(() => view.zoom(1.25));
  if (key === "-") return did(() => view.zoom(0.8));
  if (!drawing.layer) return false;
  if (TOOLS[key]) return did(() => drawing.setBrush({ tool: TOOLS[key] }));
  if (key === "q" || key === "[") return did(() => canvas.resizeBrush(-1));
  if (key === "w" || key === "]") return did(() => canvas.resizeBrush(1));
  if (key === "i" && drawing.kind === "mask") return did(() => drawing.invert());
  if (key === "h" && drawing.kind === "mask") return did(() => canvas.setContrast(!view.contrast));
  if (key === "Delete" || key === "Backspace") return did(() => drawing.wipe());
  return false;
}

function control(drawing, key, shift) {
  if (!drawing.layer) return false;
  if (key === "z") return did(() => (shift ? drawing.redo() : drawing.undo()));
  if (key === "y") return did(() => drawing.redo());
  return false;
}

function did(action) {
  action();
  return true;
}
