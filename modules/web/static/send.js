// Sending a picture, with its parameters if wanted, to the tab that goes on with it.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as sources from "./sources.js";
import * as toast from "./toast.js";
import { openTab } from "./dom.js";

/** Where a picture can go, and the tab that it opens. */
export const TARGETS = { img2img: "img2img", inpaint: "img2img", extras: "extras", outpaint: "outpaint" };
const kept = {};

/**
 * Send `what` (the id of a finished picture, a file, or an answer of /easel/v1/inputs) to `target`.
 * With `parameters`, those of `infotext` go into that tab's form as well.
 */
export const picture = (what, target, { parameters = false, infotext = "", name = "" } = {}) =>
  toast.guard(async () => {
    const stored = await sources.take(what, name);
    const tab = TARGETS[target];
    openTab(tab);
    deliver(target, stored);
    if (parameters && infotext && target !== "extras") await fill(tab, infotext, stored);
    return stored;
  });

/** What was sent to `target` before its tab was drawn for the first time; given once. */
export function waiting(target) {
  const found = kept[target] ?? null;
  delete kept[target];
  return found;
}

/** Put the parameters of a text into a tab's form; the size is that of the picture. */
async function fill(tab, infotext, { width, height }) {
  const found = await api.textInfo(infotext);
  const { defaults_by_tab: defaults } = await page.state();
  if (!defaults[tab]) return;
  // Outpainting has a window of the model's size there, not the picture's.
  const fields = { ...found.fields, ...(tab === "outpaint" ? { width: null, height: null } : { width, height }) };
  delete fields.denoising_strength; // that of a first pass says nothing about the next one
  await form.fill(tab, fields, found.override_settings, "send");
}

function deliver(target, stored) {
  if (target === "extras" || target === "outpaint") sources.set(target, stored);
  kept[target] = stored;
  const event = new CustomEvent("easel:send-picture", { detail: { target, ...stored }, cancelable: true });
  // Whoever takes the picture prevents the default; otherwise it waits for the tab's first visit.
  if (!document.dispatchEvent(event)) delete kept[target];
}
