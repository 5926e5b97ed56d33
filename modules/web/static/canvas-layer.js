// One editable layer over a picture, and the way back: small square tiles as they were before each change.
const TILE = 64;
const LEAST = 50;
const MOST = 200;
const BUDGET = 192 * 1024 * 1024;

/** Pixels of a mask ("mask", a byte each) or of paint ("paint", a word each). */
export class Layer {
  constructor(kind, width, height) {
    this.kind = kind;
    this.width = width;
    this.height = height;
    this.data = kind === "mask" ? new Uint8Array(width * height) : new Uint32Array(width * height);
  }

  get whole() {
    return { x: 0, y: 0, w: this.width, h: this.height };
  }

  /** Whether nothing is painted. */
  get empty() {
    return this.data.every((value) => value === 0);
  }

  /** Copies of the tiles that a rectangle touches; a tile of one value is kept as that value. */
  tiles(rect) {
    const found = [];
    const last = { x: rect.x + rect.w, y: rect.y + rect.h };
    for (let y = rect.y - (rect.y % TILE); y < last.y; y += TILE) {
      for (let x = rect.x - (rect.x % TILE); x < last.x; x += TILE) {
        const w = Math.min(TILE, this.width - x);
        const h = Math.min(TILE, this.height - y);
        found.push({ x, y, w, h, pixels: this.#copy(x, y, w, h) });
      }
    }
    return { rect, tiles: found };
  }

  #copy(x, y, w, h) {
    const copy = new this.data.constructor(w * h);
    for (let row = 0; row < h; row += 1) {
      const from = (y + row) * this.width + x;
      copy.set(this.data.subarray(from, from + w), row * w);
    }
    return copy.every((value) => value === copy[0]) ? copy[0] : copy;
  }

  /** Put kept tiles back. */
  restore({ tiles }) {
    for (const { x, y, w, h, pixels } of tiles) {
      for (let row = 0; row < h; row += 1) {
        const at = (y + row) * this.width + x;
        if (typeof pixels === "number") this.data.fill(pixels, at, at + w);
        else this.data.set(pixels.subarray(row * w, (row + 1) * w), at);
      }
    }
  }
}

/** Undo and redo for one layer: at least 50 steps, more while they are small. */
export class History {
  #done = [];
  #undone = [];

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  get length() {
    return this.#done.length;
  }

  /** Remember a rectangle of a layer before it changes. */
  remember(layer, rect) {
    this.#done.push(layer.tiles(rect));
    this.#undone = [];
    const heavy = () => this.#done.reduce((sum, step) => sum + weight(step), 0) > BUDGET;
    while (this.#done.length > MOST || (this.#done.length > LEAST && heavy())) this.#done.shift();
  }

  /** One step back; the changed rectangle or null. */
  undo = (layer) => this.#swap(layer, this.#done, this.#undone);

  /** One step forward again. */
  redo = (layer) => this.#swap(layer, this.#undone, this.#done);

  clear() {
    this.#done = [];
    this.#undone = [];
  }

  #swap(layer, from, to) {
    const step = from.pop();
    if (!step) return null;
    to.push(layer.tiles(step.rect));
    layer.restore(step);
    return step.rect;
  }
}

function weight({ tiles }) {
  return tiles.reduce((sum, { pixels }) => sum + (typeof pixels === "number" ? 8 : pixels.byteLength), 0);
}
