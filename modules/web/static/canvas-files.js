// Pictures and masks as files and pixels: reading what comes in, writing what the server gets.
import { clip } from "./canvas-raster.js";

const { t, config } = window.Easel;
const MOST_PIXELS = 80e6;

const READ = { willReadFrequently: true };
const pen = (width, height) => new OffscreenCanvas(width, height).getContext("2d", READ);

/** The Blob behind a Blob, a reference "input:…" or an address of this server. */
export async function bytesOf(source) {
  if (source instanceof Blob) return source;
  const reference = String(source).match(/^input:([0-9a-f]{64})$/);
  const address = reference ? `/easel/v1/inputs/${reference[1]}` : String(source);
  const inside = address.startsWith("/") ? config.root + address : address;
  const answer = await fetch(inside).catch(() => null);
  if (!answer?.ok) throw new Error(t("canvas.gone"));
  return answer.blob();
}

/** Pixels as the file has them: turned as its EXIF says, without a colour profile. */
export async function decode(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(t("canvas.no_picture"));
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) throw new Error(t("canvas.too_large"));
  return bitmap;
}

/** A mask file at another size, a byte a pixel: its transparency if there is any, else its brightness. */
export async function maskValues(blob, width, height) {
  const canvas = pen(width, height);
  canvas.drawImage(await decode(blob), 0, 0, width, height);
  const { data } = canvas.getImageData(0, 0, width, height);
  let clear = false;
  for (let i = 3; i < data.length && !clear; i += 4) clear = data[i] < 255;
  const bright = (i) => Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]);
  return Uint8Array.from({ length: width * height }, (_, i) => (clear ? data[4 * i + 3] : bright(4 * i)));
}

/** A layer as a black and white mask; whatever is painted counts whole. `strength` is the brightest value. */
export function maskPicture({ kind, data, width, height }, strength) {
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  const most = Math.round(255 * strength);
  for (let i = 0; i < data.length; i += 1) {
    const value = kind === "mask" ? Math.round(data[i] * strength) : data[i] >>> 24 ? most : 0;
    words[i] = 0xff000000 | (value << 16) | (value << 8) | value;
  }
  const canvas = pen(width, height);
  canvas.putImageData(image, 0, 0);
  return canvas;
}

/** A picture with its paint on it, the paint at `strength` and its edges blurred by `blur` pixels. */
export function composed({ bitmap, width, height }, layer, strength = 1, blur = 0) {
  const canvas = pen(width, height);
  canvas.drawImage(bitmap, 0, 0);
  const paint = pen(width, height);
  const pixels = new Uint8ClampedArray(layer.data.slice().buffer);
  paint.putImageData(new ImageData(pixels, width, height), 0, 0);
  if (blur > 0) canvas.filter = `blur(${blur}px)`;
  canvas.globalAlpha = strength;
  canvas.drawImage(paint.canvas, 0, 0);
  return canvas;
}

/** A drawn canvas as a file. */
export const asPng = ({ canvas }) => canvas.convertToBlob({ type: "image/png" });

/** Cover the inside of a closed line, with smooth edges; gives the touched rectangle or null. */
export function polygon(coverage, width, height, points) {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  const box = { x: x - 1, y: y - 1, w: Math.max(...xs) - x + 2, h: Math.max(...ys) - y + 2 };
  const rect = clip(box, width, height);
  if (!rect) return null;
  const canvas = pen(rect.w, rect.h);
  canvas.translate(-rect.x, -rect.y);
  canvas.beginPath();
  for (const point of points) canvas.lineTo(point.x, point.y);
  canvas.fill();
  const { data } = canvas.getImageData(0, 0, rect.w, rect.h);
  for (let row = 0; row < rect.h; row += 1) {
    const at = (rect.y + row) * width + rect.x;
    for (let i = 0; i < rect.w; i += 1) {
      const value = data[4 * (row * rect.w + i) + 3];
      if (value > coverage[at + i]) coverage[at + i] = value;
    }
  }
  return rect;
}
