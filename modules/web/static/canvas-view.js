// Where a picture lies in its frame (zoom and position), and drawing it: the picture on one canvas, what
// is painted on another above it, so that a stroke redraws only its own rectangle.
import { clip, join, maskLooks, show } from "./canvas-raster.js";

const LARGEST_FIT = 12;
const SETTLE = 140;

export class View {
  scale = 1;
  x = 0;
  y = 0;
  fitted = true;
  contrast = false;
  /** Drawn above everything in the frame's own pixels: `(pen) => …`, or null. */
  sketchOver = null;
  #dirty = null;
  #moved = false;
  #wanted = false;
  #settle = 0;
  #looks = null;

  /** `moved` is called after each change of zoom or position. */
  constructor(drawing, base, over, moved) {
    this.drawing = drawing;
    this.base = base.getContext("2d");
    this.over = over.getContext("2d");
    this.moved = moved;
    this.shown = document.createElement("canvas").getContext("2d");
  }

  get size() {
    const { width = 0, height = 0 } = this.drawing.picture ?? {};
    return { width, height };
  }

  /** The frame got another size, in CSS pixels. */
  resize(width, height) {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.frame = { width, height, ratio };
    for (const { canvas } of [this.base, this.over]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
    if (this.fitted) this.fit();
    else this.#changed();
  }

  /** The drawing has another picture. */
  reset() {
    const { width, height } = this.size;
    this.shown.canvas.width = Math.max(1, width);
    this.shown.canvas.height = Math.max(1, height);
    this.#looks = null;
    this.fit();
    if (this.drawing.layer) this.invalidate(this.drawing.layer.whole);
  }

  /** Show the whole picture in the middle. */
  fit() {
    const { width, height } = this.size;
    if (!this.frame || !width) return this.#changed();
    this.scale = this.#fitScale();
    this.x = (this.frame.width - width * this.scale) / 2;
    this.y = (this.frame.height - height * this.scale) / 2;
    this.fitted = true;
    this.#changed();
  }

  #fitScale() {
    const { width, height } = this.size;
    const across = this.frame.width / width;
    const down = this.frame.height / height;
    return Math.min(across, down, LARGEST_FIT);
  }

  /** Zoom by a factor round a point of the frame; the middle when none is given. */
  zoom(factor, x = this.frame.width / 2, y = this.frame.height / 2) {
    const least = Math.min(1, this.#fitScale()) / 4;
    const next = Math.min(32, Math.max(least, this.scale * factor));
    const { x: px, y: py } = this.toPicture(x, y);
    this.scale = next;
    this.x = x - px * next;
    this.y = y - py * next;
    this.fitted = false;
    this.#hold();
  }

  /** Move by CSS pixels. */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#hold();
  }

  /** Some of the picture stays in sight. */
  #hold() {
    const { width, height } = this.size;
    const keep = 48;
    this.x = Math.min(this.frame.width - keep, Math.max(keep - width * this.scale, this.x));
    this.y = Math.min(this.frame.height - keep, Math.max(keep - height * this.scale, this.y));
    this.#changed();
  }

  toPicture = (x, y) => ({ x: (x - this.x) / this.scale, y: (y - this.y) / this.scale });
  toFrame = (x, y) => ({ x: x * this.scale + this.x, y: y * this.scale + this.y });

  setContrast(on) {
    this.contrast = on;
    this.#looks = null;
    if (this.drawing.layer) this.invalidate(this.drawing.layer.whole);
  }

  /** Pixels of the layer changed inside a rectangle. */
  invalidate(rect) {
    this.#dirty = join(this.#dirty, rect);
    this.#ask();
  }

  /** Draw everything at the next frame. */
  redraw() {
    this.#moved = true;
    this.#ask();
  }

  #changed() {
    this.redraw();
    this.moved();
  }

  #ask() {
    if (this.#wanted) return;
    this.#wanted = true;
    requestAnimationFrame(() => {
      this.#wanted = false;
      this.#draw();
    });
  }

  #draw() {
    const rect = this.#dirty && clip(this.#dirty, this.size.width, this.size.height);
    this.#dirty = null;
    if (rect && this.drawing.layer) this.#refresh(rect);
    if (this.#moved) {
      this.#moved = false;
      this.#drawPicture("low");
      this.#drawLayer(null);
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => this.#drawPicture("high"), SETTLE);
    } else if (rect) this.#drawLayer(this.sketchOver ? null : rect);
    else if (this.sketchOver) this.#drawLayer(null);
  }

  /** Bring the layer's pixels, with the stroke being drawn, onto the canvas that is shown. */
  #refresh(rect) {
    this.#looks ??= maskLooks(Math.min(this.size.width, this.size.height), this.contrast);
    const image = new ImageData(rect.w, rect.h);
    const { layer, stroke, ink } = this.drawing;
    show(new Uint32Array(image.data.buffer), layer, stroke?.coverage, rect, ink, this.#looks);
    this.shown.putImageData(image, rect.x, rect.y);
  }

  #place(pen, quality) {
    const { ratio } = this.frame;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.setTransform(this.scale * ratio, 0, 0, this.scale * ratio, this.x * ratio, this.y * ratio);
    pen.imageSmoothingEnabled = this.scale < 6;
    pen.imageSmoothingQuality = quality;
  }

  #drawPicture(quality) {
    const { base: pen, drawing } = this;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
    if (!drawing.picture || !this.frame) return;
    this.#place(pen, quality);
    pen.drawImage(drawing.picture.bitmap, 0, 0);
  }

  #drawLayer(rect) {
    const { over: pen, drawing } = this;
    pen.save();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    if (!rect || !drawing.layer) {
      pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
      if (drawing.layer && this.frame) {
        this.#place(pen, "low");
        pen.drawImage(this.shown.canvas, 0, 0);
      }
    } else {
      this.#place(pen, "low");
      const edge = 2 + 2 / this.scale;
      const wide = { x: rect.x - edge, y: rect.y - edge, w: rect.w + 2 * edge, h: rect.h + 2 * edge };
      const part = clip(wide, drawing.layer.width, drawing.layer.height);
      pen.beginPath();
      pen.rect(part.x, part.y, part.w, part.h);
      pen.clip();
      pen.clearRect(part.x, part.y, part.w, part.h);
      pen.drawImage(this.shown.canvas, 0, 0);
    }
    pen.restore();
    if (!this.sketchOver) return;
    pen.save();
    pen.setTransform(this.frame.ratio, 0, 0, this.frame.ratio, 0, 0);
    this.sketchOver(pen);
    pen.restore();
  }
}
