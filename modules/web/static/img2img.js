// The img2img tab: which of its sub-tabs is open, what the pictures of that sub-tab mean for the request,
// and pictures that other tabs send here.
import * as form from "./form.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import * as uploads from "./uploads.js";
import { drawing } from "./canvas.js";
import { openTab, storage } from "./dom.js";

const { t } = window.Easel;
export const TAB = "img2img";
const KEY = "easel.img2img";
/** Sub-tab: the canvas whose picture it works on, and how that canvas is used. */
const MODES = {
  img2img: { canvas: "img2img_image", kind: "view" },
  sketch: { canvas: "img2img_sketch", kind: "sketch" },
  inpaint: { canvas: "img2maskimg", kind: "mask" },
  inpaint_sketch: { canvas: "inpaint_sketch", kind: "maskpaint" },
  inpaint_upload: { canvas: "img_inpaint_base", kind: "view" },
  batch: {},
};
const SETS = { mode_img2img: "mode", img2img_tabs_resize: "resize", img2img_batch_source: "source" };
const chosen = { mode: "img2img", resize: "to", source: "upload", ...storage.read(KEY, {}) };
if (!MODES[chosen.mode]) chosen.mode = "img2img";

/** The open sub-tab: "img2img", "sketch", "inpaint", "inpaint_sketch", "inpaint_upload" or "batch". */
export const mode = () => chosen.mode;

/** Where a batch comes from: "upload" or "from_dir". */
export const batchSource = () => chosen.source;

/** The drawing of a sub-tab; null for Batch. */
export function drawingOf(name = chosen.mode) {
  const { canvas, kind } = MODES[name];
  return canvas ? drawing(canvas, kind) : null;
}

/** Open a sub-tab. */
export function openMode(name) {
  choose("mode", name);
  document.querySelector(`#mode_img2img [role="tab"][data-tab-id="${name}"]`)?.click();
}

/** Size of the picture that Generate would use, or null. */
export function pictureSize() {
  const { picture } = drawingOf() ?? {};
  return picture ? { width: picture.width, height: picture.height } : null;
}

function choose(name, value) {
  chosen[name] = value;
  storage.write(KEY, chosen);
  show();
}

function show() {
  const workspace = document.getElementById(`${TAB}_workspace`);
  if (workspace) Object.assign(workspace.dataset, chosen);
  document.dispatchEvent(new CustomEvent("easel:img2img", { detail: { ...chosen } }));
}

// ---- sub-tabs: kept over a reload; Gradio draws them only when the tab is first opened

document.addEventListener("click", (event) => {
  const tab = event.target.closest?.('[role="tab"]');
  const name = tab && Object.keys(SETS).find((id) => tab.closest(`#${id}`) === tab.closest(".tabs"));
  if (name) choose(SETS[name], tab.dataset.tabId);
});

/** Open the kept sub-tab; again while Gradio, still building, opens its own first choice. */
function reopen(id, looks = 0) {
  const tab = document.querySelector(`#${id} [role="tab"][data-tab-id="${chosen[SETS[id]]}"]`);
  if (tab && tab.getAttribute("aria-selected") !== "true") tab.click();
  if (looks < 12) setTimeout(() => reopen(id, looks + 1), 40);
  else show();
}

const waiting = new Set(Object.keys(SETS));
new MutationObserver(() => {
  for (const id of waiting) {
    if (!document.querySelector(`#${id} [role="tab"]`)) continue;
    waiting.delete(id);
    reopen(id);
    show();
  }
}).observe(document.documentElement, { childList: true, subtree: true });

// ---- the request

form.prepare(TAB, async (asked, fields) => {
  const { mask_alpha: transparency, batch, ...plain } = asked;
  if (chosen.resize !== "by") delete plain.scale_by;
  if (!is("edit")) delete plain.image_cfg_scale;
  if (!is("unclip")) delete plain.noise_level;
  plain.inpaint_full_res = Boolean(fields.inpaint_full_res);
  if (!chosen.mode.startsWith("inpaint")) delete plain.soft_inpainting;
  if (chosen.mode === "batch") {
    const { submit } = await import("./img2img-batch.js");
    await submit(plain, batch);
    return null;
  }
  const pictures = await picturesFor(chosen.mode, { transparency, blur: fields.mask_blur });
  return pictures && { ...plain, ...pictures, ...(await depthMap()) };
});

/** `{init_images, mask}` of a sub-tab; null when something is missing, and the person was told. */
async function picturesFor(name, { transparency, blur }) {
  const drawn = drawingOf(name);
  const { image, mask, sketch } = await drawn.value({ transparency, blur });
  if (!image) return missing("img2img.no_picture");
  if (name === "img2img") return { init_images: [image] };
  if (name === "sketch") return { init_images: [sketch ?? image] };
  if (name === "inpaint_upload") {
    const uploaded = await drawing("img_inpaint_mask").value();
    return uploaded.image ? { init_images: [image], mask: uploaded.image } : missing("img2img.no_mask");
  }
  const everywhere = form.values(TAB).inpainting_mask_invert === 1;
  if (mask) return { init_images: [sketch ?? image], mask };
  if (!everywhere) return missing(name === "inpaint" ? "img2img.empty_mask" : "img2img.empty_paint");
  return { init_images: [image] }; // not masked is everything
}

/** `{depth_map}` while a model is chosen that takes one and there is one; else nothing. */
async function depthMap() {
  if (!is("depth")) return {};
  const { image } = await drawing("img2img_depth_map").value();
  return image ? { depth_map: image } : {};
}

function missing(key) {
  toast.warning(t(key));
  return null;
}

// ---- pictures from elsewhere

document.addEventListener("easel:send-picture", (event) => {
  const { target, ref, url, name } = event.detail;
  if (target !== "img2img" && target !== "inpaint") return;
  event.preventDefault();
  const into = target === "img2img" ? "img2img" : "inpaint";
  openMode(into);
  toast.guard(async () => {
    const back = drawingOf(into).picture && drawingOf(into).snapshot();
    await drawingOf(into).load(url ?? ref, name);
    if (back) toast.info(t("canvas.replaced"), { text: t("fill.undo"), run: back });
    if (url && ref) uploads.know(drawingOf(into).picture.blob, event.detail);
  });
});

/** Put a picture into a sub-tab and open it. */
export async function receive(source, name = "img2img", title = "") {
  openTab(TAB);
  openMode(name);
  await drawingOf(name).load(source, title);
}

// ---- models that are shown or told more than the text: InstructPix2Pix, depth models, unCLIP

const KINDS = { edit: /pix2pix/i, depth: /^depth$/i, unclip: /^unclip$/i };

/** Whether the chosen model is of a kind. */
const is = (kind) => KINDS[kind].test(page.model.variant);

page.onOptions(() => {
  for (const kind of Object.keys(KINDS))
    document.documentElement.classList.toggle(`easel-${kind}-model`, is(kind));
});
