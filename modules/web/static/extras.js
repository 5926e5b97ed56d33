// The Extras tab: from its form and its pictures to a job, or to one job per file of a directory.
import * as api from "./api.js";
import * as form from "./form.js";
import * as sources from "./sources.js";
import * as toast from "./toast.js";
import { open } from "./dialogs.js";
import { h } from "./dom.js";

const { t } = window.Easel;
const TAB = "extras";
const ONLY_HERE = [
  "upscale_enabled",
  "gfpgan_enabled",
  "codeformer_enabled",
  "input_directory",
  "output_directory",
];

/** "single", "batch" or "directory": the inner tab that is open. */
function mode() {
  const chosen = document.querySelector('#mode_extras [role="tab"][aria-selected="true"]');
  return chosen?.dataset.tabId ?? "single";
}

form.prepare(TAB, async (asked, fields) => {
  const request = { ...asked, kind: TAB };
  for (const name of ONLY_HERE) delete request[name];
  if (!fields.upscale_enabled) Object.assign(request, { upscaler_1: "None", upscaler_2: "None" });
  if (!fields.gfpgan_enabled) request.gfpgan_visibility = 0;
  if (!fields.codeformer_enabled) request.codeformer_visibility = 0;
  if (mode() === "batch") return batch(request);
  if (mode() === "directory") return directory(request, fields);
  const source = sources.get(TAB);
  if (!source) return ask("extras.need_picture");
  return { ...request, images: [source.ref], names: [source.name || ""] };
});

/** The fields of the form for a job that was asked for before. */
export const fieldsOf = (request) => ({
  ...request,
  upscale_enabled: request.upscaler_1 !== "None",
  gfpgan_enabled: request.gfpgan_visibility > 0,
  codeformer_enabled: request.codeformer_visibility > 0,
  "dataset.enabled": Boolean(request.dataset),
});

function ask(text) {
  toast.info(t(text));
  return null;
}

async function batch(request) {
  const element = document.querySelector("#tab_extras easel-pictures, easel-pictures");
  if (!element?.files.length) return ask("extras.need_pictures");
  const { sent, skipped } = await element.upload();
  if (skipped.length) list(skipped);
  if (!sent.length) return null;
  return { ...request, images: sent.map((one) => one.ref), names: sent.map((one) => one.name) };
}

async function directory(request, { input_directory: from, output_directory: to }) {
  if (!from?.trim()) return ask("extras.need_directory");
  const answer = await api.post("/easel/v1/batch", {
    kind: TAB,
    request,
    directory: from.trim(),
    output_directory: to?.trim() || null,
  });
  if (answer.jobs.length) toast.success(t("extras.directory_started", { count: answer.jobs.length }));
  if (answer.skipped.length) list(answer.skipped);
  return null;
}

/** Files that are left out, and why. */
export function list(skipped) {
  return open(t("extras.skipped", { count: skipped.length }), (body) => {
    const rows = skipped.map(({ name, reason }) => h("li", {}, h("b", {}, name), ` ${reason}`));
    body.append(h("ul", { class: "easel-skipped" }, ...rows));
  });
}
