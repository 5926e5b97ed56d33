// The Checkpoint Merger tab: from its two forms to jobs that make models, and the lists of models.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import "./merge-blocks.js";
import "./model-job.js";
import { live } from "./live.js";
import { debounce, h } from "./dom.js";

const { t } = window.Easel;
const MERGE = "modelmerger";
const CONVERT = "modelconvert";
const NONE = "None";
const MODELS = ["primary_model_name", "secondary_model_name", "tertiary_model_name"];
const NEEDED = { "No interpolation": 1, "Weighted sum": 2, "Add difference": 3 };

form.prepare(MERGE, (asked, fields) => {
  const { blocks_enabled: blocks, ...request } = asked;
  const needed = MODELS.slice(0, NEEDED[fields.interp_method]);
  for (const name of MODELS) {
    const chosen = fields[name] && fields[name] !== NONE ? fields[name] : "";
    request[name] = needed.includes(name) ? chosen : "";
  }
  const missing = needed.find((name) => !request[name]);
  if (missing) return ask("merger.choose", { letter: "ABC"[MODELS.indexOf(missing)] });
  if (!blocks) delete request.block_weights;
  if (request.metadata_json?.trim() && !isObject(request.metadata_json)) return ask("merger.bad_json");
  return { ...request, kind: "merge" };
});

form.prepare(CONVERT, (asked) => (asked.model_name ? { ...asked, kind: "convert" } : ask("merger.choose_one")));

function ask(text, values = {}) {
  toast.info(t(text, values));
  return null;
}

function isObject(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** The fields of the form for a job that was asked for before. */
export function fieldsOf(job) {
  const asked = { ...job.request };
  if (job.kind !== "merge") return asked;
  for (const name of MODELS.slice(1)) asked[name] ||= NONE;
  asked.blocks_enabled = Boolean(asked.block_weights?.length);
  asked.block_weights = (asked.block_weights ?? []).join(", ");
  asked.config_source = ["A, B or C", "B", "C", "Don't"][asked.config_source] ?? "A, B or C";
  const metadata = asked.metadata_json ?? {};
  asked.metadata_json = Object.keys(metadata).length ? JSON.stringify(metadata, null, 1) : "";
  return asked;
}

/** Open the part of the tab that a job belongs to. */
export function openForm(tab) {
  document.getElementById(`tab_${MERGE}-button`)?.click();
  const part = tab === CONVERT ? "convert" : "merge";
  setTimeout(() => document.querySelector(`#${MERGE}_tabs [role="tab"][data-tab-id="${part}"]`)?.click(), 60);
}

// ---- what the chosen method computes

class Formula extends HTMLElement {
  connectedCallback() {
    document.addEventListener("easel:form", this.#hear);
    this.#draw(form.values(MERGE));
  }

  disconnectedCallback() {
    document.removeEventListener("easel:form", this.#hear);
  }

  #hear = ({ detail }) => detail.tab === MERGE && this.#draw(detail.values);

  #draw({ interp_method: method, multiplier, blocks_enabled: blocks }) {
    const m = Number(multiplier ?? 0.3);
    const round = (value) => String(Math.round(100 * value) / 100);
    const numbers = { m: round(m), rest: round(1 - m) };
    const key = { "No interpolation": "copy", "Add difference": "difference" }[method] ?? "sum";
    const more = blocks && key !== "copy" ? ` ${t("merger.formula_blocks")}` : "";
    this.replaceChildren(h("p", { class: "formula" }, t(`merger.formula_${key}`, numbers) + more));
  }
}
customElements.define("easel-merge-formula", Formula);

// ---- lists of models that change

const bare = (title) => String(title ?? "").replace(/ \[[0-9a-f]*\]$/i, "");

/** Show the lists of today; what was chosen stays, even when its title has got a hash by now. */
async function renew() {
  const state = await page.state({ fresh: true }).catch(() => null);
  if (!state) return;
  const lists = { [MERGE]: [...MODELS, "bake_in_vae"], [CONVERT]: ["model_name"] };
  for (const [tab, names] of Object.entries(lists)) {
    const now = form.values(tab);
    const found = {};
    for (const name of names) {
      const titles = state.lists[name === "bake_in_vae" ? "baked_vaes" : "convertible"];
      found[name] = titles.find((title) => bare(title) === bare(now[name])) ?? now[name];
    }
    form.apply(tab, found);
  }
}

const renewSoon = debounce(renew, 400);
live.on("catalog", renewSoon);

async function rescan(button) {
  button.classList.add("spinning");
  await toast.guard(() => api.post("/easel/v1/models/refresh"));
  await renew();
  button.classList.remove("spinning");
}

async function readMetadata() {
  const now = form.values(MERGE);
  const chosen = MODELS.slice(0, NEEDED[now.interp_method]).map((name) => now[name]);
  const models = chosen.filter((title) => title && title !== NONE);
  if (!models.length) return ask("merger.choose", { letter: "A" });
  const query = models.map((title) => `model=${encodeURIComponent(title)}`).join("&");
  const found = await toast.guard(() => api.get(`/easel/v1/merge/metadata?${query}`));
  if (found) form.apply(MERGE, { metadata_json: JSON.stringify(found.metadata, null, 1) });
}

document.addEventListener("click", ({ target }) => {
  const pressed = target.closest?.("button");
  if (pressed?.id === `${MERGE}_read_metadata`) readMetadata();
  if ([`${MERGE}_refresh_models`, `${CONVERT}_refresh_models`].includes(pressed?.id)) rescan(pressed);
});
