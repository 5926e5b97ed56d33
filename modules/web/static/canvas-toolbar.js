// The row of tools over a canvas: what to draw with, how, undo, and what can be done to a whole mask.
import { button, h } from "./dom.js";

const { t } = window.Easel;
const TOOLS = [
  ["brush", "B"],
  ["eraser", "E"],
  ["lasso", "L"],
  ["rectangle", "M"],
  ["fill", "G"],
  ["move", "F"],
];
const WIDEST = 100;

/** A toolbar for `canvas` (the element); call `draw()` when the drawing or the brush changed. */
export class Toolbar {
  constructor(canvas) {
    this.canvas = canvas;
    const { drawing } = canvas;
    this.mask = drawing.kind === "mask";
    this.tools = TOOLS.map(([name, key]) => this.#tool(name, key));
    this.undo = this.#quiet("undo", "undo", "Ctrl+Z", () => drawing.undo());
    this.redo = this.#quiet("redo", "redo", "Ctrl+Y", () => drawing.redo());
    this.contrast = this.#quiet("contrast", "contrast", "H", () => canvas.setContrast(!canvas.view.contrast));
    this.size = this.#slider("size", (value) => drawing.setBrush({ size: this.#fromSlider(value) }));
    this.softness = this.#slider("softness", (value) => drawing.setBrush({ softness: value / 100 }));
    this.element = h(
      "div",
      { class: "bar", role: "toolbar", "aria-label": t("canvas.tools"), "aria-controls": `${canvas.id}_stage` },
      h("div", { class: "group", role: "group", "aria-label": t("canvas.tool") }, ...this.tools),
      h("div", { class: "group" }, this.undo, this.redo),
      h("div", { class: "group" }, ...this.#whole(drawing)),
      h(
        "div",
        { class: "group settings" },
        drawing.kind === "paint" && this.#colour(),
        this.size.element,
        this.softness.element,
      ),
    );
    this.draw();
  }

  draw() {
    const { drawing, view } = this.canvas;
    const { tool, softness, colour } = drawing.brush;
    for (const one of this.tools) one.setAttribute("aria-pressed", String(one.dataset.tool === tool));
    this.undo.disabled = !drawing.history.canUndo;
    this.redo.disabled = !drawing.history.canRedo;
    this.contrast.setAttribute("aria-pressed", String(view.contrast));
    this.size.show(this.#toSlider(drawing.size), t("canvas.pixels", { n: drawing.size }));
    this.softness.show(Math.round(softness * 100), t("canvas.percent", { n: Math.round(softness * 100) }));
    if (this.colour) this.colour.value = colour;
  }

  get #largest() {
    const { width = 512, height = 512 } = this.canvas.drawing.picture ?? {};
    return Math.max(64, Math.min(width, height));
  }

  /** Small sizes need finer steps than large ones. */
  #fromSlider = (place) => Math.max(1, Math.round(1 + (this.#largest - 1) * (place / WIDEST) ** 2));
  #toSlider = (size) => Math.round(WIDEST * Math.sqrt(Math.min(1, (size - 1) / (this.#largest - 1))));

  #tool(name, key) {
    const choose = () => this.canvas.drawing.setBrush({ tool: name });
    const made = this.#quiet(name, name, key, choose);
    made.dataset.tool = name;
    return made;
  }

  #quiet(iconName, name, key, run) {
    const text = t(`canvas.${name}`);
    const made = button(iconName, text, run, { quiet: true });
    made.title = key ? `${text} (${key})` : text;
    return made;
  }

  #whole(drawing) {
    const { canvas } = this;
    const clear = this.#quiet("trash", this.mask ? "clear_mask" : "clear_paint", "Del", () => drawing.wipe());
    if (!this.mask) return [clear];
    return [
      this.#quiet("cover", "cover", "", () => drawing.cover()),
      this.#quiet("invert", "invert", "I", () => drawing.invert()),
      clear,
      this.contrast,
      this.#quiet("save", "save_mask", "", () => canvas.saveMask()),
      this.#quiet("upload", "load_mask", "", () => canvas.chooseMask()),
    ];
  }

  #slider(name, change) {
    const input = h("input", {
      type: "range",
      min: "0",
      max: String(WIDEST),
      step: "1",
      "aria-label": t(`canvas.${name}`),
      id: `${this.canvas.id}_${name}`,
      oninput: () => change(Number(input.value)),
    });
    const said = h("output", { for: input.id });
    const words = h("span", {}, t(`canvas.${name}`));
    const element = h("label", { class: "slide", for: input.id }, words, input, said);
    const show = (place, text) => {
      input.value = String(place);
      input.style.setProperty("--range_progress", `${place}%`);
      input.setAttribute("aria-valuetext", text);
      said.textContent = text;
    };
    return { element, show };
  }

  #colour() {
    this.colour = h("input", {
      type: "color",
      class: "ink",
      "aria-label": t("canvas.colour"),
      title: t("canvas.colour"),
      oninput: () => this.canvas.drawing.setBrush({ colour: this.colour.value }),
    });
    return this.colour;
  }
}
