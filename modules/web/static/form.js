// The form's values: kept over a reload, filled from elsewhere, turned into a request.
import * as api from "./api.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import { debounce, storage } from "./dom.js";

const { t } = window.Easel;
const KEY = "easel.form.v1";
/** Fields whose value must be in a list of the page's state. */
const CHOICES = {
  sampler_name: "samplers",
  scheduler: "schedulers",
  hr_upscaler: "hires_upscalers",
  hr_checkpoint_name: "hires_checkpoints",
  hr_sampler_name: "hires_samplers",
  hr_scheduler: "hires_schedulers",
  refiner_checkpoint: "checkpoints",
  upscaler_1: "upscalers",
  upscaler_2: "upscalers",
  primary_model_name: "checkpoints",
  secondary_model_name: "optional_checkpoints",
  tertiary_model_name: "optional_checkpoints",
  bake_in_vae: "baked_vaes",
  model_name: "convertible",
};
const REFINER = ["refiner_checkpoint", "refiner_switch_at"];
const EXTRAS = ["subseed", "subseed_strength", "seed_resize_from_w", "seed_resize_from_h"];

const pending = {};
const current = {};
const last = {};
const added = {};
const defaults = (tab, state) => state.defaults_by_tab?.[tab] ?? state.defaults;
/** What the checkpoint in use would like to see in a tab's form. */
export const wishes = (tab, state) => state.model_defaults_by_tab[tab] ?? {};

/**
 * A tab's last word on its request: `change(asked, fields)` gives what to send, or null when it has told
 * the person why nothing can be sent.
 */
export function prepare(tab, change) {
  last[tab] = change;
}

/** Further fields of a tab's request that no Gradio component carries: `more()` gives them. */
export function add(tab, more) {
  added[tab] = more;
}
const write = () => storage.write(KEY, { ...storage.read(KEY, {}), ...current });
const save = debounce(write, 300);
// Whoever types and closes or reloads at once finds the last letters again.
window.addEventListener("pagehide", () => Object.keys(current).length && write());

/** Values of a tab's form as they are now. */
export const values = (tab) => ({ ...current[tab] });

/** At page load: what was here last time, else the defaults with the model's own wishes. */
export async function initial(tab, names) {
  let state;
  try {
    state = await page.state();
  } catch (problem) {
    toast.error(problem.message);
    return names.map(() => ({ __type__: "update" }));
  }
  const saved = storage.read(KEY, {})[tab];
  const start = { ...defaults(tab, state), ...(saved ?? wishes(tab, state)) };
  current[tab] = sane(tab, start, state);
  return names.map((name) => update(name, current[tab][name], state));
}

/** Fill fields of a tab; `fields` holds only those that change. */
export function apply(tab, fields) {
  pending[tab] = { ...pending[tab], ...fields };
  document.getElementById(`${tab}_take`)?.click();
}

/** The hidden button's event: hand over what `apply` left. */
export async function take(tab, names) {
  const fields = pending[tab] ?? {};
  pending[tab] = {};
  const state = await page.state();
  const clean = sane(tab, { ...current[tab], ...fields }, state);
  return names.map((name) => (name in fields ? update(name, clean[name], state) : { __type__: "update" }));
}

/** Any field changed, by hand or by us. */
export function changed(tab, names, list) {
  const before = current[tab];
  current[tab] = Object.fromEntries(names.map((name, at) => [name, list[at]]));
  save();
  document.dispatchEvent(new CustomEvent("easel:form", { detail: { tab, values: current[tab] } }));
  if (before?.override_settings?.length && !current[tab].override_settings?.length) {
    apply(tab, { override_settings: [] });
  }
}

/** Generate: send the form to the queue. Resolves to the job's answer or undefined. */
export async function submit(tab, names, list, scripts = []) {
  const fields = Object.fromEntries(names.map((name, at) => [name, list[at]]));
  const button = document.getElementById(`${tab}_generate`);
  button?.classList.add("sending");
  try {
    const { overrides } = await page.state();
    const plain = { ...request(tab, fields, overrides), ...added[tab]?.() };
    if (scripts.length) addScripts(plain, scripts, list.slice(names.length));
    const asked = last[tab] ? await last[tab](plain, fields) : plain;
    if (asked === null) {
      document.dispatchEvent(new CustomEvent("easel:refused", { detail: { tab } }));
      return;
    }
    const answer = await api.post("/easel/v1/jobs", asked);
    for (const text of answer.warnings ?? []) toast.warning(text);
    document.dispatchEvent(new CustomEvent("easel:submitted", { detail: { tab, answer } }));
  } catch (problem) {
    toast.error(problem.message);
    document.dispatchEvent(new CustomEvent("easel:refused", { detail: { tab } }));
  } finally {
    button?.classList.remove("sending");
  }
}

/** The values of extensions' controls: those of scripts that always take part, and of the chosen one. */
function addScripts(asked, scripts, values) {
  const chosen = String(asked.script_name ?? "").toLowerCase();
  for (const { title, alwayson, start, count, indices } of scripts) {
    const args = values.slice(start, start + count).map((value, at) => {
      const place = indices[at]?.indexOf(value) ?? -1;
      return place < 0 ? value : place;
    });
    if (alwayson) (asked.alwayson_scripts ??= {})[title] = { args };
    else if (title.toLowerCase() === chosen) asked.script_args = args;
  }
}

/** Put parameters read from a picture or a text into the form, with a way back. */
export async function fill(tab, fields, overrideSettings, said) {
  const state = await page.state();
  const before = values(tab);
  const known = defaults(tab, state);
  const next = {};
  for (const [name, value] of Object.entries(flat(fields))) {
    if (name in known && value !== null) next[name] = value;
  }
  if ("seed" in next) Object.assign(next, switches(known, next));
  const variation = Number(next.subseed_strength) > 0 || Number(next.seed_resize_from_w) > 0;
  if (variation) next.seed_extra = true;
  else if ("seed" in next) Object.assign(next, { seed_extra: false, subseed_strength: 0 });
  if (!state.options.send_seed && said === "send") delete next.seed;
  if (!state.options.send_size && said === "send") {
    delete next.width;
    delete next.height;
  }
  next.override_settings = chips(overrideSettings ?? {}, state);
  apply(tab, next);
  const undo = () => apply(tab, before);
  toast.success(t("fill.done"), { text: t("fill.undo"), run: undo });
}

/** Settings of a picture that differ from those in force, as "Name: value". */
function chips(overrideSettings, state) {
  const names = Object.fromEntries(Object.entries(state.overrides).map(([name, key]) => [key, name]));
  const found = [];
  for (const [key, value] of Object.entries(overrideSettings)) {
    if (!names[key] || String(state.options[key] ?? "") === String(value)) continue;
    if (key === "sd_model_checkpoint" && state.options.disable_weights_auto_swap) continue;
    found.push(`${names[key]}: ${value}`);
  }
  return found;
}

/** Sections that a picture's parameters turn on or, when they do not speak of them, off. */
function switches(known, next) {
  const found = {};
  if ("enable_hr" in known) found.enable_hr = Boolean(next.enable_hr);
  if ("refiner_enabled" in known) found.refiner_enabled = Boolean(next.refiner_checkpoint);
  for (const name of Object.keys(known).filter((one) => one.endsWith(".enabled"))) {
    const group = name.replace("enabled", "");
    found[name] = Object.keys(next).some((one) => one.startsWith(group));
  }
  return found;
}

/** `{detailer: {strength: 1}}` as `{"detailer.strength": 1}`, the way the form names its fields. */
function flat(fields) {
  const found = {};
  for (const [name, value] of Object.entries(fields)) {
    const group = value !== null && typeof value === "object" && !Array.isArray(value);
    if (!group) found[name] = value;
    else for (const [inner, one] of Object.entries(value)) found[`${name}.${inner}`] = one;
  }
  return found;
}

/** The other way round; a group that is not `enabled` is left out. */
function nested(fields) {
  const found = {};
  for (const [name, value] of Object.entries(fields)) {
    const [group, inner] = name.split(".");
    if (!inner) found[name] = value;
    else if (fields[`${group}.enabled`] === false) continue;
    else if (inner !== "enabled") (found[group] ??= {})[inner] = value;
  }
  return found;
}

/** The request that the API understands. */
export function request(tab, fields, overrides) {
  const { override_settings: marks, seed_extra: extra, refiner_enabled: refined, ...plain } = fields;
  const asked = { kind: tab, ...nested(plain) };
  if ("seed_extra" in fields && !extra) for (const name of EXTRAS) delete asked[name];
  if ("refiner_enabled" in fields && !refined) for (const name of REFINER) delete asked[name];
  for (const name of ["hr_checkpoint_name", "hr_sampler_name", "hr_scheduler"]) {
    if (String(asked[name]).startsWith("Use same")) delete asked[name];
  }
  for (const name of ["hr_cfg", "hr_distilled_cfg"]) if (!asked[name]) delete asked[name];
  if ("seed" in fields) asked.seed = Number.isFinite(fields.seed) ? fields.seed : -1;
  const overridden = {};
  for (const mark of marks ?? []) {
    const at = mark.indexOf(":");
    const key = overrides[mark.slice(0, at).trim()];
    if (key) overridden[key] = mark.slice(at + 1).trim();
  }
  if (Object.keys(overridden).length) asked.override_settings = overridden;
  return asked;
}

/** Values that the lists of today still know. */
function sane(tab, fields, state) {
  const known = defaults(tab, state);
  const clean = { ...fields };
  for (const [name, list] of Object.entries(CHOICES)) {
    if (name in known && !state.lists[list]?.includes(clean[name])) clean[name] = known[name];
  }
  if ("styles" in known)
    clean.styles = (clean.styles ?? []).filter((name) => state.lists.styles.includes(name));
  for (const [name, value] of Object.entries(known)) {
    if (typeof value !== "number") continue;
    if (typeof clean[name] === "boolean") clean[name] = Number(clean[name]); // a choice of two, by number
    if (!Number.isFinite(Number(clean[name] ?? NaN))) clean[name] = value;
  }
  return clean;
}

function update(name, value, state) {
  const change = { __type__: "update", value };
  if (name === "styles") change.choices = pairs(state.lists.styles);
  if (name in CHOICES) change.choices = pairs(state.lists[CHOICES[name]] ?? []);
  if (name === "override_settings") {
    change.choices = pairs(value ?? []);
    change.visible = Boolean(value?.length);
  }
  return change;
}

const pairs = (names) => names.map((name) => [name, name]);
