// Pixels of a canvas layer: brush strokes, shapes, fills. Pure functions over plain arrays, no DOM.
//
// A mask layer holds one byte a pixel (255: repaint). A paint layer holds one 32-bit word a pixel as
// ImageData does (red in the lowest byte, straight alpha). A stroke is a byte of coverage a pixel, the
// largest one of its segments, so that a stroke never grows darker where it crosses itself.

/** The smallest rectangle round both; either may be null. `{x, y, w, h}` in pixels. */
export function join(a, b) {
  if (!a || !b) return a ?? b;
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}

/** The part of a rectangle inside `width` x `height`, or null. */
export function clip({ x, y, w, h }, width, height) {
  const left = Math.max(0, Math.floor(x));
  const top = Math.max(0, Math.floor(y));
  const right = Math.min(width, Math.ceil(x + w));
  const bottom = Math.min(height, Math.ceil(y + h));
  return right > left && bottom > top ? { x: left, y: top, w: right - left, h: bottom - top } : null;
}

/**
 * Draw one segment of a stroke from `a` to `b` (`{x, y, r}`, r the radius in pixels).
 * @param {Uint8Array} coverage  of the whole picture
 * @param {number} softness  0: a hard edge; 1: falls off from the middle on
 * @returns the touched rectangle or null
 */
export function segment(coverage, width, height, a, b, softness) {
  const reach = Math.max(a.r, b.r) + 1;
  const left = Math.min(a.x, b.x) - reach;
  const top = Math.min(a.y, b.y) - reach;
  const box = { x: left, y: top, w: Math.max(a.x, b.x) + reach - left, h: Math.max(a.y, b.y) + reach - top };
  const rect = clip(box, width, height);
  if (!rect) return null;
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const length = dx * dx + dy * dy;
  const growth = b.r - a.r;
  for (let y = rect.y; y < rect.y + rect.h; y += 1) {
    const py = y + 0.5 - a.y;
    const row = y * width;
    for (let x = rect.x; x < rect.x + rect.w; x += 1) {
      const px = x + 0.5 - a.x;
      let t = length > 0 ? (px * dx + py * dy) / length : 0;
      t = t < 0 ? 0 : t > 1 ? 1 : t;
      const ex = px - t * dx;
      const ey = py - t * dy;
      const square = ex * ex + ey * ey;
      const radius = a.r + growth * t;
      const outer = radius + 0.5;
      if (square >= outer * outer) continue;
      const inner = radius * (1 - softness) - 0.5;
      let value = 255;
      if (inner <= 0 || square > inner * inner) {
        const u = Math.min(1, (outer - Math.sqrt(square)) / (outer - Math.max(inner, 0)));
        value = softness > 0 ? 255 * u * u * (3 - 2 * u) : 255 * u;
      }
      if (value > coverage[row + x]) coverage[row + x] = value;
    }
  }
  return rect;
}

/** Forget a stroke inside a rectangle. */
export function wipe(coverage, width, rect) {
  for (let y = rect.y; y < rect.y + rect.h; y += 1) {
    coverage.fill(0, y * width + rect.x, y * width + rect.x + rect.w);
  }
}

/** A mask byte under a stroke. */
const covered = (value, stroke, erase) =>
  erase ? Math.round((value * (255 - stroke)) / 255) : Math.max(value, stroke);

/** A paint word under a stroke of `colour` (a word with full alpha). */
function painted(under, stroke, colour, erase) {
  if (stroke === 0) return under;
  const alpha = under >>> 24;
  if (erase) {
    const left = Math.round((alpha * (255 - stroke)) / 255);
    return left === 0 ? 0 : ((under & 0xffffff) | (left << 24)) >>> 0;
  }
  if (stroke === 255) return colour;
  const rest = (alpha * (255 - stroke)) / 255;
  const sum = stroke + rest;
  const mix = (shift) =>
    Math.round((((colour >>> shift) & 255) * stroke + ((under >>> shift) & 255) * rest) / sum);
  return ((Math.round(sum) << 24) | (mix(16) << 16) | (mix(8) << 8) | mix(0)) >>> 0;
}

/** Write a stroke into a layer for good. `brush`: `{erase, colour}`. */
export function commit(layer, coverage, rect, { erase, colour }) {
  const { data, width, kind } = layer;
  for (let y = rect.y; y < rect.y + rect.h; y += 1) {
    for (let i = y * width + rect.x, end = i + rect.w; i < end; i += 1) {
      const stroke = coverage[i];
      if (stroke === 0) continue;
      data[i] = kind === "mask" ? covered(data[i], stroke, erase) : painted(data[i], stroke, colour, erase);
    }
  }
}

/**
 * What is seen of a layer, with a stroke that is not committed yet, as ImageData words.
 * @param looks  of a mask, see `maskLooks`
 */
export function show(out, layer, coverage, rect, brush, looks) {
  const { data, width, kind } = layer;
  const { tables, squares, grain } = looks;
  let at = 0;
  for (let y = rect.y; y < rect.y + rect.h; y += 1) {
    for (let x = rect.x, i = y * width + x; x < rect.x + rect.w; x += 1, i += 1, at += 1) {
      const stroke = coverage ? coverage[i] : 0;
      if (kind === "paint") {
        out[at] = stroke ? painted(data[i], stroke, brush.colour, brush.erase) : data[i];
      } else {
        const value = stroke ? covered(data[i], stroke, brush.erase) : data[i];
        const odd = squares ? (x >> grain) + (y >> grain) : (x + y) >> grain;
        out[at] = value === 0 ? 0 : tables[odd & 1][value];
      }
    }
  }
}

/**
 * How a mask is shown: two tables of 256 words that take turns in stripes, seen on every picture, or black
 * and white squares where that is not enough.
 * @param side  the picture's shorter side; stripes and squares are about a sixtieth of it
 */
export function maskLooks(side, contrast) {
  const table = ([r, g, b], most) =>
    Uint32Array.from(
      { length: 256 },
      (_, value) => ((Math.round(value * most) << 24) | (b << 16) | (g << 8) | r) >>> 0,
    );
  const grain = Math.max(2, Math.round(Math.log2(side / 60)));
  const tables = contrast
    ? [table([255, 255, 255], 1), table([0, 0, 0], 1)]
    : [table([255, 48, 150], 0.68), table([255, 132, 206], 0.52)];
  return { tables, squares: contrast, grain };
}

/** "#rrggbb" as a paint word with full alpha. */
export function word(hex) {
  const number = Number.parseInt(hex.slice(1), 16);
  return ((255 << 24) | ((number & 255) << 16) | (number & 0xff00) | (number >> 16)) >>> 0;
}

/**
 * The connected area round a point where `same(index)` holds, as full coverage.
 * @returns the touched rectangle or null
 */
export function flood(coverage, width, height, x, y, same) {
  if (x < 0 || y < 0 || x >= width || y >= height || !same(y * width + x)) return null;
  const stack = [x, y];
  let left = x;
  let right = x;
  let top = y;
  let bottom = y;
  const open = (i) => coverage[i] === 0 && same(i);
  while (stack.length) {
    const row = stack.pop();
    let from = stack.pop();
    const base = row * width;
    if (!open(base + from)) continue;
    while (from > 0 && open(base + from - 1)) from -= 1;
    let to = from;
    let above = false;
    let below = false;
    for (; to < width && open(base + to); to += 1) {
      coverage[base + to] = 255;
      const up = row > 0 && open(base + to - width);
      const down = row + 1 < height && open(base + to + width);
      if (up && !above) stack.push(to, row - 1);
      if (down && !below) stack.push(to, row + 1);
      above = up;
      below = down;
    }
    left = Math.min(left, from);
    right = Math.max(right, to - 1);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
  }
  return { x: left, y: top, w: right - left + 1, h: bottom - top + 1 };
}

/** Grow full coverage by a pixel, so that a filled area meets the soft edge of its outline. */
export function grow(coverage, width, height, rect) {
  const wide = clip({ x: rect.x - 1, y: rect.y - 1, w: rect.w + 2, h: rect.h + 2 }, width, height);
  const near = [];
  for (let y = wide.y; y < wide.y + wide.h; y += 1) {
    for (let x = wide.x, i = y * width + x; x < wide.x + wide.w; x += 1, i += 1) {
      if (coverage[i]) continue;
      const beside =
        (x > 0 && coverage[i - 1]) ||
        (x + 1 < width && coverage[i + 1]) ||
        (y > 0 && coverage[i - width]) ||
        (y + 1 < height && coverage[i + width]);
      if (beside) near.push(i);
    }
  }
  for (const i of near) coverage[i] = 255;
  return wide;
}
