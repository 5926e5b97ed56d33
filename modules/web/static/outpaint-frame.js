// <easel-outpaint-frame>: a picture in a frame whose four sides are drawn out with mouse, finger or keys.
import * as form from "./form.js";
import * as sources from "./sources.js";
import { button, h, icon } from "./dom.js";
import { dropZone, sourceBar, takesDrops, takesPaste } from "./picture-input.js";

const { t, config } = window.Easel;
export const SIDES = ["left", "right", "up", "down"];
const STEP = 8;
const STRIDE = 64;
const MOST = 4096;
/** Share of the stage that the canvas fills, so that there is room to draw it out. */
const FILL = 0.7;
const OUTWARD = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };
const CORNERS = [
  ["left", "up"],
  ["right", "up"],
  ["left", "down"],
  ["right", "down"],
];
const SHAPES = [
  [1, 1],
  [16, 9],
  [9, 16],
];

const rounded = (pixels) => Math.min(MOST, Math.max(0, Math.round(pixels / STEP) * STEP));

/** Pixels to add so that a picture gets the shape across:down with nothing cut, evenly on both sides. */
export function sidesForShape(width, height, across, down) {
  const wide = Math.max(width, (height * across) / down);
  const high = Math.max(height, (width * down) / across);
  const [x, y] = [rounded((wide - width) / 2), rounded((high - height) / 2)];
  return { left: x, right: x, up: y, down: y };
}

class OutpaintFrame extends HTMLElement {
  sides = { left: 0, right: 0, up: 0, down: 0 };
  dragging = null;

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.tab = this.getAttribute("tab");
    const take = (file) => sources.adopt(this.tab, file, file.name ?? "");
    this.zone = dropZone(this.id, take);
    takesDrops(this, take);
    takesPaste(this, take);
    this.#build();
    this.sizes = new ResizeObserver(() => !this.dragging && this.#place());
    this.sizes.observe(this.stage);
    document.addEventListener("easel:form", ({ detail }) => detail.tab === this.tab && this.#read(detail.values));
    this.#read(form.values(this.tab));
    sources.follow(this.tab, (source) => this.#show(source));
  }

  #build() {
    this.image = h("img", { alt: "", draggable: "false" });
    this.image.addEventListener("error", () => sources.set(this.tab, null));
    this.canvas = h(
      "div",
      { class: "canvas" },
      this.image,
      ...SIDES.map((side) => this.#handle(side)),
      ...CORNERS.map((corner) => this.#corner(corner)),
    );
    this.stage = h("div", { class: "stage" }, this.canvas);
    this.size = h("output", { class: "size" });
    const shapes = SHAPES.map(([across, down]) =>
      button("", `${across}:${down}`, () => this.#shape(across, down), { kind: "chip" }),
    );
    this.row = h(
      "div",
      { class: "row", role: "toolbar", "aria-label": t("outpaint.tools") },
      Object.assign(
        button("uncrop", t("outpaint.uncrop"), () => this.dispatchEvent(new CustomEvent("uncrop", { bubbles: true })), {
          kind: "accent",
        }),
        { id: `${this.tab}_uncrop`, title: t("outpaint.uncrop_hint") },
      ),
      button("plus", t("outpaint.all_sides"), () => this.#grow(), { kind: "chip" }),
      ...shapes,
      button("reset", t("outpaint.reset"), () => this.#set({ left: 0, right: 0, up: 0, down: 0 }), { quiet: true }),
      h("span", { class: "grow" }),
      this.size,
    );
  }

  #handle(side) {
    const knob = h("div", {
      class: `handle ${side}`,
      role: "slider",
      tabindex: "0",
      "aria-label": t(`outpaint.handle_${side}`),
      "aria-orientation": side === "left" || side === "right" ? "horizontal" : "vertical",
      "aria-valuemin": "0",
      "aria-valuemax": String(MOST),
      dataset: { side },
      onkeydown: (event) => this.#key(event, side),
      ondblclick: () => this.#set({ [side]: 0 }),
    }, h("span", { class: "pixels", "aria-hidden": "true" }));
    this.#draggable(knob, [side]);
    return knob;
  }

  #corner(sides) {
    const knob = h("div", { class: `corner ${sides.join(" ")}`, "aria-hidden": "true" });
    this.#draggable(knob, sides);
    return knob;
  }

  #draggable(knob, sides) {
    knob.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      knob.setPointerCapture(event.pointerId);
      if (knob.tabIndex === 0) knob.focus({ preventScroll: true });
      this.dragging = { from: [event.clientX, event.clientY], start: { ...this.sides }, scale: this.scale };
      this.classList.add("dragging");
    });
    knob.addEventListener("pointermove", (event) => {
      if (!this.dragging || !knob.hasPointerCapture(event.pointerId)) return;
      const { from, start, scale } = this.dragging;
      const moved = [(event.clientX - from[0]) / scale, (event.clientY - from[1]) / scale];
      for (const side of sides) {
        const [x, y] = OUTWARD[side];
        this.sides[side] = rounded(start[side] + moved[0] * x + moved[1] * y);
      }
      this.#place();
    });
    const end = () => {
      if (!this.dragging) return;
      this.dragging = null;
      this.classList.remove("dragging");
      this.#set(this.sides);
    };
    knob.addEventListener("pointerup", end);
    knob.addEventListener("pointercancel", end);
  }

  #key(event, side) {
    const [x, y] = OUTWARD[side];
    const arrows = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    const arrow = arrows[event.key];
    const page = { PageUp: STRIDE, PageDown: -STRIDE }[event.key];
    let change = page ?? 0;
    if (arrow) change = (arrow[0] * x + arrow[1] * y) * (event.shiftKey ? STRIDE : STEP);
    if (event.key === "Home") change = -this.sides[side];
    // An arrow across the side's direction still means more or less, as on any slider.
    if (arrow && !change) change = (arrow[0] - arrow[1]) * STEP;
    if (!arrow && !page && event.key !== "Home") return;
    event.preventDefault();
    this.#set({ [side]: rounded(this.sides[side] + change) });
  }

  #grow() {
    const all = Math.max(...Object.values(this.sides));
    const pixels = rounded(all + Math.max(STRIDE, Math.max(this.source.width, this.source.height) / 8));
    this.#set(Object.fromEntries(SIDES.map((side) => [side, pixels])));
  }

  #shape(across, down) {
    this.#set(sidesForShape(this.source.width, this.source.height, across, down));
  }

  #set(sides) {
    Object.assign(this.sides, sides);
    this.#place();
    const fields = SIDES.map((side) => [`outpaint.${side}`, this.sides[side]]);
    form.apply(this.tab, Object.fromEntries(fields));
  }

  #read(values) {
    if (this.dragging) return;
    for (const side of SIDES) {
      const pixels = Number(values[`outpaint.${side}`]);
      if (Number.isFinite(pixels)) this.sides[side] = Math.min(MOST, Math.max(0, pixels));
    }
    this.#place();
  }

  #show(source) {
    this.source = source;
    if (!source) return this.replaceChildren(this.zone);
    const address = config.root + source.url;
    if (this.image.getAttribute("src") !== address) this.image.src = address;
    this.image.alt = source.name || t("picture.source");
    const [before, ...older] = source.before ?? [];
    const goBack = () => sources.set(this.tab, { ...before, before: older });
    const back = before && button("undo", t("outpaint.back"), goBack, { quiet: true });
    this.replaceChildren(this.stage, this.row, sourceBar(this.tab, source, this.zone, ...(back ? [back] : [])));
    this.#place();
  }

  /** Draw everything to scale. While a side is dragged the scale stays, so that the side follows the hand. */
  #place() {
    if (!this.source || !this.stage.clientWidth) return;
    const { left, right, up, down } = this.sides;
    const width = this.source.width + left + right;
    const height = this.source.height + up + down;
    const fit = Math.min(this.stage.clientWidth / width, this.stage.clientHeight / height) * FILL;
    this.scale = this.dragging?.scale ?? fit;
    const put = (node, x, y, wide, high) => {
      const px = [x, y, wide, high].map((length) => `${length * this.scale}px`);
      [node.style.left, node.style.top, node.style.width, node.style.height] = px;
    };
    // The picture, not the canvas, stays where it is during a drag.
    const middle = this.dragging
      ? this.anchor
      : [
          this.stage.clientWidth / 2 - (width / 2 - left) * this.scale,
          this.stage.clientHeight / 2 - (height / 2 - up) * this.scale,
        ];
    this.anchor = middle;
    put(this.canvas, 0, 0, width, height);
    this.canvas.style.left = `${middle[0] - left * this.scale}px`;
    this.canvas.style.top = `${middle[1] - up * this.scale}px`;
    put(this.image, left, up, this.source.width, this.source.height);
    for (const side of SIDES) {
      const knob = this.canvas.querySelector(`.handle.${side}`);
      knob.setAttribute("aria-valuenow", String(this.sides[side]));
      knob.setAttribute("aria-valuetext", t("outpaint.pixels", { pixels: this.sides[side] }));
      knob.querySelector(".pixels").textContent = this.sides[side] ? `+${this.sides[side]}` : "";
    }
    const from = `${this.source.width} × ${this.source.height}`;
    const grown = width !== this.source.width || height !== this.source.height;
    this.size.replaceChildren(...(grown ? [from, icon("right"), `${width} × ${height}`] : [from]));
  }
}
customElements.define("easel-outpaint-frame", OutpaintFrame);
