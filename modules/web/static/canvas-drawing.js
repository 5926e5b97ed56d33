// What a canvas holds: a picture, the layer over it, its undo list. Lives longer than the element that
// shows it, as Gradio takes elements of a tab away and brings them back.
import * as files from "./canvas-files.js";
import * as store from "./canvas-store.js";
import * as uploads from "./uploads.js";
import { commit, flood, grow, join, segment, wipe, word } from "./canvas-raster.js";
import { History, Layer } from "./canvas-layer.js";
import { debounce, storage } from "./dom.js";

const KINDS = { mask: "mask", sketch: "paint", maskpaint: "paint" };
const LIKE = 40;
/** Width of a new brush as a part of the picture's shorter side. */
const SHARE = 0.1;
const known = new Map();

/**
 * The drawing of a canvas by the canvas's id, made when it is not there yet.
 * @param mode  "view": a picture only; "mask": white is repainted; "sketch": colour over the picture;
 *   "maskpaint": colour whose area is the mask
 */
export function drawing(id, mode = "view") {
  if (!known.has(id)) known.set(id, new Drawing(id, mode));
  return known.get(id);
}

/** Events: "picture" (another picture or none), "pixels" (detail: rectangle), "history", "brush". */
class Drawing extends EventTarget {
  picture = null;
  layer = null;
  history = new History();
  stroke = null;
  #last = null;

  constructor(id, mode) {
    super();
    this.id = id;
    this.mode = mode;
    this.kind = KINDS[mode] ?? null;
    const kept = storage.read("easel.brush", {})[mode] ?? {};
    this.brush = { tool: "brush", share: SHARE, softness: 0, colour: "#ffffff", ...kept };
    this.ready = this.#recall();
    const later = debounce(() => this.#keep(), 300);
    this.keep = () => {
      this.#version += 1;
      later();
    };
    addEventListener("pagehide", () => this.#keepNow());
  }

  // ---- picture

  /**
   * Show another picture; what was painted goes away.
   * @param source  a Blob, an address of this server, or a reference "input:…"
   */
  async load(source, name = source?.name ?? "") {
    const blob = await files.bytesOf(source);
    const bitmap = await files.decode(blob);
    this.#take(blob, bitmap, name);
    this.keep();
  }

  /** Take the picture away; resolves to a function that brings it and what was painted back. */
  clear() {
    const before = { picture: this.picture, layer: this.layer, history: this.history };
    this.picture = null;
    this.layer = null;
    this.history = new History();
    this.stroke = null;
    store.forget(this.id);
    this.#tell("picture");
    return () => {
      Object.assign(this, before);
      this.#tell("picture");
      this.keep();
    };
  }

  /** What there is now, to come back to it. */
  snapshot() {
    const { picture, layer, history } = this;
    return () => {
      Object.assign(this, { picture, layer, history, stroke: null });
      this.#tell("picture");
      this.keep();
    };
  }

  /** Whether something is painted. */
  get painted() {
    return this.layer !== null && !this.layer.empty;
  }

  /** The brush's width in pixels of the picture. It keeps its share of the picture when that changes. */
  get size() {
    return Math.max(1, Math.round(this.brush.share * this.#side));
  }

  get #side() {
    const { width = 512, height = 512 } = this.picture ?? {};
    return Math.min(width, height);
  }

  /** Change the brush: `tool`, `size` in pixels (null: as at first), `softness` 0 to 1, `colour` "#rrggbb". */
  setBrush({ size, ...changed }) {
    if (size !== undefined) changed.share = size === null ? SHARE : size / this.#side;
    Object.assign(this.brush, changed);
    const { share, softness, colour } = this.brush;
    const others = storage.read("easel.brush", {});
    storage.write("easel.brush", { ...others, [this.mode]: { share, softness, colour } });
    this.#tell("brush");
  }

  /** The brush as the raster functions take it. */
  get ink() {
    return { erase: this.stroke?.erase ?? false, colour: word(this.brush.colour) };
  }

  // ---- strokes

  /** Begin a stroke; nothing is kept until `finish`. */
  begin({ erase = false } = {}) {
    if (!this.layer) return;
    const { length } = this.layer.data;
    if (this.#coverage?.length !== length) this.#coverage = new Uint8Array(length);
    this.stroke = { coverage: this.#coverage, rect: null, erase };
  }

  /** Go on with a stroke; points are in pixels of the picture, `pressure` is 0 to 1. */
  draw(from, to) {
    const { stroke, layer } = this;
    if (!stroke) return;
    const radius = (point) => Math.max(0.5, (this.size / 2) * (point.pressure ?? 1));
    const ends = [from, to].map((point) => ({ x: point.x, y: point.y, r: radius(point) }));
    this.#grow(segment(stroke.coverage, layer.width, layer.height, ...ends, this.brush.softness));
    this.#last = to;
  }

  /** The smallest rectangle round everything that is painted, or null. */
  get bounds() {
    const { layer } = this;
    if (!layer) return null;
    const { data, width, height } = layer;
    let [left, top, right, bottom] = [width, -1, -1, -1];
    for (let y = 0; y < height; y += 1) {
      const row = data.subarray(y * width, (y + 1) * width);
      const first = row.findIndex((value) => value !== 0);
      if (first < 0) continue;
      if (top < 0) top = y;
      bottom = y;
      left = Math.min(left, first);
      right = Math.max(right, row.findLastIndex((value) => value !== 0));
    }
    return top < 0 ? null : { x: left, y: top, w: right - left + 1, h: bottom - top + 1 };
  }

  /** The point where the last stroke ended, for straight lines. */
  get last() {
    return this.#last;
  }

  /** Make a stroke of a closed line. */
  polygon(points) {
    const { stroke, layer } = this;
    if (!stroke || points.length < 3) return;
    this.#grow(files.polygon(stroke.coverage, layer.width, layer.height, points));
  }

  /** Make a stroke of the area round a point: unmasked pixels, or pixels of a like colour. */
  flood({ x, y }) {
    const { stroke, layer } = this;
    if (!stroke) return;
    const { width, height, data } = layer;
    const at = [Math.floor(x), Math.floor(y)];
    const same = this.kind === "mask" ? this.#sameMask(data, at) : this.#sameColour(at);
    const rect = flood(stroke.coverage, width, height, ...at, same);
    if (rect) this.#grow(grow(stroke.coverage, width, height, rect));
  }

  #sameMask(data, [x, y]) {
    const masked = data[y * this.layer.width + x] > 127;
    return masked ? (i) => data[i] > 127 : (i) => data[i] <= 127;
  }

  #sameColour([x, y]) {
    const { width, height } = this.layer;
    const { data } = files.composed(this.picture, this.layer).getImageData(0, 0, width, height);
    const start = data.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
    return (i) =>
      Math.abs(data[4 * i] - start[0]) <= LIKE &&
      Math.abs(data[4 * i + 1] - start[1]) <= LIKE &&
      Math.abs(data[4 * i + 2] - start[2]) <= LIKE;
  }

  /** Keep the stroke; it becomes one step of the undo list. */
  finish() {
    const { stroke, layer } = this;
    this.stroke = null;
    if (!stroke?.rect) return;
    this.history.remember(layer, stroke.rect);
    commit(layer, stroke.coverage, stroke.rect, { erase: stroke.erase, colour: word(this.brush.colour) });
    wipe(stroke.coverage, layer.width, stroke.rect);
    this.#changed(stroke.rect);
  }

  /** Drop the stroke, as when a second finger comes down. */
  abort() {
    const { stroke } = this;
    this.stroke = null;
    if (!stroke?.rect) return;
    wipe(stroke.coverage, this.layer.width, stroke.rect);
    this.#tell("pixels", stroke.rect);
  }

  // ---- whole layer

  undo = () => this.#step(this.history.undo);
  redo = () => this.#step(this.history.redo);

  /** Nothing is painted any more; can be undone. */
  wipe() {
    if (this.painted) this.#rewrite((data) => data.fill(0));
  }

  /** Masked becomes unmasked and the other way round. */
  invert() {
    if (this.kind === "mask" && this.layer)
      this.#rewrite((data) => {
        for (let i = 0; i < data.length; i += 1) data[i] = 255 - data[i];
      });
  }

  /** Everything is masked, or painted over. */
  cover() {
    const full = this.kind === "mask" ? 255 : word(this.brush.colour);
    if (this.layer) this.#rewrite((data) => data.fill(full));
  }

  /** Take a mask from a picture file of any size: its transparency if there is any, else its brightness. */
  async loadMask(blob) {
    if (!this.layer) return;
    const values = await files.maskValues(blob, this.layer.width, this.layer.height);
    const colour = word(this.brush.colour) & 0xffffff;
    const paint = (value) => value && (colour | (value << 24)) >>> 0;
    this.#rewrite((data) => data.set(this.kind === "mask" ? values : Uint32Array.from(values, paint)));
  }

  // ---- results

  /**
   * What the server needs, as references; uploads what it does not have yet.
   * @param transparency  of the paint in mode "maskpaint", 0 to 100
   * @param blur  of the paint's edges in mode "maskpaint", in pixels
   * @returns {Promise<{image: string|null, mask: string|null, sketch: string|null}>}
   */
  async value({ transparency = 0, blur = 0 } = {}) {
    await this.ready;
    const none = { image: null, mask: null, sketch: null };
    if (!this.picture) return none;
    const sent = async (blob) => blob && (await uploads.reference(blob));
    const painted = this.painted;
    const strength = 1 - transparency / 100;
    const masks = painted && this.mode !== "sketch" && strength > 0;
    const sketches = painted && this.kind === "paint";
    const look = this.mode === "maskpaint" ? { strength, blur } : {};
    const [image, mask, sketch] = await Promise.all([
      sent(this.picture.blob),
      sent(masks ? await this.maskFile(this.mode === "maskpaint" ? strength : 1) : null),
      sent(sketches ? await this.flat(look) : null),
    ]);
    return { ...none, image, mask, sketch };
  }

  /** The picture with what is painted on it, as a file; the untouched file when nothing is. */
  async flat({ strength = 1, blur = 0 } = {}) {
    if (!this.picture) return null;
    if (this.kind !== "paint" || !this.painted) return this.picture.blob;
    return files.asPng(files.composed(this.picture, this.layer, strength, blur));
  }

  /** The mask as a black and white file; `strength` is its brightest value, 0 to 1. */
  maskFile = async (strength = 1) => this.layer && files.asPng(files.maskPicture(this.layer, strength));

  // ---- inside

  #coverage = null;

  #grow(rect) {
    if (!rect) return;
    this.stroke.rect = join(this.stroke.rect, rect);
    this.#tell("pixels", rect);
  }

  #step(move) {
    this.abort();
    const rect = this.layer && move(this.layer);
    if (rect) this.#changed(rect);
  }

  #rewrite(action) {
    this.abort();
    this.history.remember(this.layer, this.layer.whole);
    action(this.layer.data);
    this.#changed(this.layer.whole);
  }

  #changed(rect) {
    this.#tell("pixels", rect);
    this.#tell("history");
    this.keep();
  }

  #tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  #take(blob, bitmap, name) {
    const { width, height } = bitmap;
    this.picture = { blob, bitmap, name, width, height };
    this.layer = this.kind && new Layer(this.kind, width, height);
    this.history = new History();
    this.stroke = null;
    this.#coverage = null;
    this.#last = null;
    this.#tell("picture");
  }

  async #recall() {
    const kept = await store.read(this.id);
    if (!kept?.blob || this.picture) return;
    const bitmap = await files.decode(kept.blob).catch(() => null);
    if (!bitmap || this.picture) return;
    this.#take(kept.blob, bitmap, kept.name);
    const bytes = kept.layer && (await store.unpack(kept.layer));
    if (!bytes || bytes.byteLength !== this.layer?.data.byteLength) return;
    this.layer.data.set(new this.layer.data.constructor(bytes.buffer));
    this.#tell("pixels", this.layer.whole);
    this.#tell("history");
  }

  #version = 0;
  #kept = 0;

  async #keep() {
    const mark = this.#version;
    const { picture, layer } = this;
    if (!picture) return;
    const packed = layer && !layer.empty ? await store.pack(new Uint8Array(layer.data.buffer.slice(0))) : null;
    if (mark !== this.#version || picture !== this.picture) return;
    await store.write(this.id, { blob: picture.blob, name: picture.name, layer: packed });
    this.#kept = mark;
  }

  /** The page goes: there is no time to make it small. */
  #keepNow() {
    const { picture, layer } = this;
    if (!picture || this.#kept === this.#version) return;
    const bytes = layer && new Uint8Array(layer.data.buffer);
    store.write(this.id, { blob: picture.blob, name: picture.name, layer: bytes && { bytes } });
  }
}
