// <easel-canvas id mode label hint>: a picture with a mask or paint over it. See canvas-drawing.js for the
// modes and for `value()`; keys are in canvas-keys.js.
//
// For other scripts: `canvas.setImage(reference, address or Blob)`, `await canvas.value()`, `canvas.drawing`,
// `canvas.view` (zoom and position), `canvas.stage` (put own elements over the picture), and the events
// "change" (picture or paint) and "view" (zoom, position or frame).
import * as toast from "./toast.js";
import { picture as dropped } from "./drop.js";
import { View } from "./canvas-view.js";
import { Pointer } from "./canvas-pointer.js";
import { Toolbar } from "./canvas-toolbar.js";
import { attend, current } from "./canvas-keys.js";
import { drawing } from "./canvas-drawing.js";
import { activeTab, button, h, icon, storage } from "./dom.js";

export { drawing };

const { t } = window.Easel;
const EMPTY_HEIGHT = 280;
const LEAST_HEIGHT = 260;

class Canvas extends HTMLElement {
  wide = false;
  #cursor = null;
  #pressed = false;

  connectedCallback() {
    if (!this.id) return;
    this.drawing = drawing(this.id, this.getAttribute("mode") ?? "view");
    this.away = new AbortController();
    this.#build();
    this.view = new View(this.drawing, this.base, this.over, () => this.#viewed());
    this.view.setContrast(storage.read("easel.contrast", false));
    this.pointer = new Pointer(this);
    if (this.drawing.kind) {
      this.toolbar = new Toolbar(this);
      this.prepend(this.toolbar.element);
    }
    this.#listen();
    attend(this);
    this.sizes = new ResizeObserver(() => this.#measure());
    this.sizes.observe(this);
    this.#pictured();
  }

  disconnectedCallback() {
    this.away?.abort();
    this.sizes?.disconnect();
    document.documentElement.classList.remove("easel-wide");
  }

  /** Show another picture: a reference "input:…", an address of this server, or a Blob. */
  setImage = (source, name) => this.drawing.load(source, name);

  /** References for the server; see `Drawing.value`. */
  value = (look) => this.drawing.value(look);

  #build() {
    const label = t(this.getAttribute("label") ?? "canvas.picture");
    this.base = h("canvas", { class: "base", "aria-hidden": "true" });
    this.over = h("canvas", { class: "over", "aria-hidden": "true" });
    this.ring = h("div", { class: "ring", hidden: true, "aria-hidden": "true" });
    this.file = h("input", {
      type: "file",
      accept: "image/*",
      class: "easel-offscreen",
      id: `${this.id}_file`,
      "aria-label": t("canvas.open_for", { name: label }),
      onchange: () => this.#open(this.file),
    });
    this.maskFile = h("input", {
      type: "file",
      accept: "image/*",
      hidden: true,
      "aria-label": t("canvas.load_mask"),
      onchange: () => this.#openMask(),
    });
    this.empty = h(
      "label",
      { class: "drop", for: this.file.id },
      icon("picture"),
      h("span", { class: "title" }, label),
      h("span", { class: "small" }, t(this.getAttribute("hint") ?? "canvas.drop")),
    );
    this.facts = h("span", { class: "facts", role: "status" });
    this.percent = button("", t("canvas.fit"), () => this.view.fit(), { quiet: true, kind: "percent" });
    this.corner = h(
      "div",
      { class: "corner", role: "group", "aria-label": t("canvas.picture_tools") },
      button("upload", t("canvas.replace"), () => this.file.click(), { quiet: true }),
      button("close", t("canvas.remove"), () => this.#remove(), { quiet: true }),
    );
    this.zooms = h(
      "div",
      { class: "zooms", role: "group", "aria-label": t("canvas.zoom") },
      button("minus", t("canvas.zoom_out"), () => this.view.zoom(0.8), { quiet: true }),
      this.percent,
      button("plus", t("canvas.zoom_in"), () => this.view.zoom(1.25), { quiet: true }),
      button("expand", t("canvas.wide"), () => this.widen(!this.wide), { quiet: true }),
    );
    this.stage = h(
      "div",
      { class: "stage", id: `${this.id}_stage`, role: "group", "aria-label": label },
      this.base,
      this.over,
      this.ring,
      this.file,
      this.empty,
      this.corner,
      this.zooms,
    );
    this.replaceChildren(this.stage, this.maskFile, this.facts);
    this.dataset.mode = this.drawing.mode;
  }

  #listen() {
    const { signal } = this.away;
    const on = (target, kind, action) => target.addEventListener(kind, action, { signal });
    on(this.drawing, "picture", () => this.#pictured());
    on(this.drawing, "pixels", ({ detail }) => this.view.invalidate(detail));
    on(this.drawing, "history", () => this.#changed());
    on(this.drawing, "brush", () => this.#brushed());
    on(this, "dragover", (event) => this.#drag(event));
    on(this, "dragleave", (event) => !this.contains(event.relatedTarget) && this.classList.remove("dropping"));
    on(this, "drop", (event) => this.#drop(event));
    on(document, "paste", (event) => this.#paste(event));
    on(window, "resize", () => this.#measure());
    on(this.stage, "blur", () => this.#lift());
  }

  #pictured() {
    const { picture, layer } = this.drawing;
    this.classList.toggle("filled", picture !== null);
    this.classList.toggle("editable", picture !== null && layer !== null);
    for (const part of [this.corner, this.zooms]) part.hidden = picture === null;
    this.empty.hidden = picture !== null;
    this.stage.tabIndex = picture ? 0 : -1;
    const keys = t(layer ? "canvas.keys_layer" : "canvas.keys_view");
    this.stage.setAttribute("aria-description", picture ? keys : "");
    this.#cursor = null;
    this.#measure();
    this.view.reset();
    this.#changed();
  }

  #changed() {
    const { picture, kind } = this.drawing;
    const said = picture ? [t("canvas.size_of", picture)] : [];
    if (picture?.name) said.push(picture.name);
    if (picture && this.hasAttribute("named")) said.unshift(t(this.getAttribute("label")));
    if (picture && kind === "mask" && !this.drawing.painted) said.push(t("canvas.paint_hint"));
    this.facts.textContent = said.join(" · ");
    this.toolbar?.draw();
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #brushed() {
    this.toolbar?.draw();
    this.stage.dataset.tool = this.drawing.brush.tool;
    this.#drawRing();
  }

  #viewed() {
    const percent = `${Math.round(this.view.scale * 100)}%`;
    this.percent.textContent = percent;
    this.percent.setAttribute("aria-label", `${percent}, ${t("canvas.fit")}`);
    this.#drawRing();
    this.dispatchEvent(new Event("view"));
  }

  /** The frame is as high as the picture needs, within the window. */
  #measure() {
    if (!this.offsetParent && !this.wide) return;
    const width = this.stage.clientWidth;
    const { picture } = this.drawing;
    if (!this.wide) {
      const most = Math.max(LEAST_HEIGHT, Math.min(720, innerHeight * 0.66));
      const wanted = picture ? (width * picture.height) / picture.width : EMPTY_HEIGHT;
      this.stage.style.height = `${Math.round(Math.min(most, Math.max(picture ? LEAST_HEIGHT : 0, wanted)))}px`;
    } else this.stage.style.height = "";
    const { clientWidth, clientHeight } = this.stage;
    const { frame } = this.view;
    if (clientWidth && (frame?.width !== clientWidth || frame?.height !== clientHeight))
      this.view.resize(clientWidth, clientHeight);
  }

  // ---- pointer and keys

  /** Where the pointer is in the frame; null when it left. */
  pointed(at, event) {
    this.#hover = at && event?.pointerType !== "touch" ? at : null;
    this.#drawRing();
  }

  #hover = null;

  #drawRing() {
    const { drawing: drawn, view } = this;
    const at = this.#hover ?? (this.#cursor && view.toFrame(this.#cursor.x, this.#cursor.y));
    const brush = ["brush", "eraser"].includes(drawn.brush.tool);
    this.ring.hidden = !at || !drawn.layer || !brush || this.pointer?.panning;
    if (this.ring.hidden) return;
    const size = Math.max(3, drawn.size * view.scale);
    this.ring.style.width = this.ring.style.height = `${size}px`;
    this.ring.style.transform = `translate(${at.x - size / 2}px, ${at.y - size / 2}px)`;
    this.ring.classList.toggle("down", this.#pressed);
  }

  /** Keyboard: move the brush by a part of its size, or by a pixel; a view is moved itself. */
  step(dx, dy, fine) {
    const { drawing: drawn, view } = this;
    if (!drawn.layer) return view.pan(-dx * 40, -dy * 40);
    const { width, height } = drawn.picture;
    const far = fine ? 1 : Math.max(1, drawn.size / 3);
    const from = this.#cursor ?? { x: width / 2, y: height / 2 };
    const hold = (value, most) => Math.min(most, Math.max(0, value));
    this.#cursor = { x: hold(from.x + dx * far, width), y: hold(from.y + dy * far, height) };
    this.#hover = null;
    if (this.#pressed) drawn.draw(from, this.#cursor);
    this.#drawRing();
  }

  /** Keyboard: put the brush down, lift it at the second press. */
  press() {
    if (this.#pressed) return this.#lift();
    const { width, height } = this.drawing.picture;
    this.#cursor ??= { x: width / 2, y: height / 2 };
    this.#pressed = true;
    this.drawing.begin({ erase: this.drawing.brush.tool === "eraser" });
    this.drawing.draw(this.#cursor, this.#cursor);
    this.#drawRing();
  }

  #lift() {
    if (!this.#pressed) return;
    this.#pressed = false;
    this.drawing.finish();
    this.#drawRing();
  }

  /** While on, the pointer moves the picture. */
  hold(on) {
    this.pointer.panning = on;
    this.stage.classList.toggle("grab", on);
    this.#drawRing();
  }

  /** One step larger (1) or smaller (-1). */
  resizeBrush(direction) {
    const { size } = this.drawing;
    const next = Math.min(2048, Math.round(size * 1.14 ** direction));
    this.drawing.setBrush({ size: Math.max(1, next === size ? size + direction : next) });
  }

  /** Fill the window with the canvas, or go back. */
  widen(on) {
    this.wide = on;
    this.classList.toggle("wide", on);
    document.documentElement.classList.toggle("easel-wide", on);
    this.#measure();
    this.view.fit();
    this.stage.focus({ preventScroll: true });
  }

  /** Black and white squares instead of a tint, on all canvases. */
  setContrast(on) {
    storage.write("easel.contrast", on);
    for (const canvas of document.querySelectorAll("easel-canvas")) {
      canvas.view?.setContrast(on);
      canvas.toolbar?.draw();
    }
  }

  // ---- files

  async #open(input) {
    const [file] = input.files;
    if (file) await this.take(file);
    input.value = "";
  }

  /** A picture came from a person: show it, with a way back to the one before. */
  async take(file, name) {
    const back = this.drawing.picture && this.drawing.snapshot();
    await toast.guard(async () => {
      await this.drawing.load(file, name);
      if (back) toast.info(t("canvas.replaced"), { text: t("fill.undo"), run: back });
    });
  }

  #remove() {
    const back = this.drawing.clear();
    if (this.wide) this.widen(false);
    toast.info(t("canvas.removed"), { text: t("fill.undo"), run: back });
    this.file.focus();
  }

  chooseMask() {
    this.maskFile.click();
  }

  async #openMask() {
    const [file] = this.maskFile.files;
    if (file) await toast.guard(() => this.drawing.loadMask(file));
    this.maskFile.value = "";
  }

  async saveMask() {
    const file = await this.drawing.maskFile();
    if (!file) return;
    const url = URL.createObjectURL(file);
    h("a", { href: url, download: "mask.png" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  #drag(event) {
    const carries = [...event.dataTransfer.types].some((type) => ["Files", "text/uri-list"].includes(type));
    if (!carries) return;
    event.preventDefault();
    event.stopPropagation();
    this.classList.add("dropping");
  }

  async #drop(event) {
    event.preventDefault();
    event.stopPropagation();
    this.classList.remove("dropping");
    const file = await dropped(event.dataTransfer);
    if (file) await this.take(file);
    else toast.warning(t("canvas.no_picture"));
  }

  #paste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file || event.defaultPrevented || !this.offsetParent) return;
    if (event.target.matches?.("input, textarea")) return;
    const tab = this.closest(`#tab_${activeTab()}`);
    const first = tab && [...tab.querySelectorAll("easel-canvas")].find((one) => one.offsetParent);
    if ((current() ?? first) !== this) return;
    event.preventDefault();
    this.take(file, t("canvas.pasted"));
  }
}
customElements.define("easel-canvas", Canvas);
