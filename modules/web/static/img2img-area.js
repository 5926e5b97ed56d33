// "Only masked" on the inpaint canvases: the part of the picture that will be rendered, drawn as a frame.
// The same rule as modules/imaging/masks.py: the blurred mask's box, padded, grown to the size's shape.
import * as form from "./form.js";
import { drawing } from "./canvas.js";
import { TAB } from "./img2img.js";
import { h } from "./dom.js";

const { t } = window.Easel;
const CANVASES = { img2maskimg: "mask", inpaint_sketch: "maskpaint" };
const boxes = {};

/** The rendered part `{x, y, w, h}` in pixels of the picture, or null when all of it is. */
export function renderedArea(bounds, picture, fields) {
  const { inpaint_full_res: only, inpainting_mask_invert: outside, mask_blur: blur = 0 } = fields;
  if (!bounds || !picture || !only || outside === 1) return null;
  const margin = Math.floor(2.5 * blur + 0.5) + (fields.inpaint_full_res_padding ?? 32);
  const from = { x: Math.max(0, bounds.x - margin), y: Math.max(0, bounds.y - margin) };
  const w = Math.min(picture.width, bounds.x + bounds.w + margin) - from.x;
  const high = Math.min(picture.height, bounds.y + bounds.h + margin) - from.y;
  const { width = 512, height = 512 } = fields;
  if (w * height > high * width) {
    const [y, length] = grown(from.y, high, Math.floor((w * height) / width), picture.height);
    return { x: from.x, y, w, h: length };
  }
  const [x, length] = grown(from.x, w, Math.floor((high * width) / height), picture.width);
  return { x, y: from.y, w: length, h: high };
}

/** A stretch round the same middle, at least `wanted` long, within 0 to `limit`. */
function grown(start, length, wanted, limit) {
  const more = Math.max(0, wanted - length);
  const full = Math.min(length + more, limit);
  return [Math.min(Math.max(0, start - Math.floor(more / 2)), limit - full), full];
}

function measure(name) {
  const drawn = drawing(name, CANVASES[name]);
  const fields = form.values(TAB);
  const wanted = fields.inpaint_full_res && drawn.picture;
  boxes[name] = wanted ? renderedArea(drawn.bounds, drawn.picture, fields) : null;
  place(document.getElementById(name));
}

function place(canvas) {
  if (!canvas?.view) return;
  const box = boxes[canvas.id];
  let frame = canvas.stage.querySelector(".area");
  if (!box) return frame?.remove();
  if (!frame) {
    frame = h("div", { class: "area" }, h("span", {}));
    canvas.stage.insertBefore(frame, canvas.ring);
  }
  const { x, y } = canvas.view.toFrame(box.x, box.y);
  const { scale } = canvas.view;
  Object.assign(frame.style, {
    transform: `translate(${x}px, ${y}px)`,
    width: `${box.w * scale}px`,
    height: `${box.h * scale}px`,
  });
  const { width, height } = form.values(TAB);
  const said = t("canvas.area", { width: box.w, height: box.h, across: width, down: height });
  frame.title = said;
  frame.firstElementChild.textContent = `${box.w} × ${box.h} → ${width} × ${height}`;
}

const all = () => Object.keys(CANVASES).forEach(measure);
document.addEventListener("easel:form", ({ detail }) => detail.tab === TAB && all());
document.addEventListener("change", ({ target }) => target.id in CANVASES && measure(target.id));
// "view" does not bubble, but it can be caught on its way down.
document.addEventListener("view", ({ target }) => target.id in CANVASES && place(target), true);
