// The bar above the tabs: settings that are saved the moment they change, and follow changes from elsewhere.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import { live } from "./live.js";
import { debounce } from "./dom.js";

const { t } = window.Easel;
/** Tabs whose form takes over what a checkpoint wishes. */
const FORMS = ["txt2img", "img2img"];
const LISTS = { sd_model_checkpoint: "checkpoints", sd_vae: "vaes" };
const shown = {};
/** Edits that the server has not taken yet: what a person typed is not overwritten by older news. */
const pending = new Map();
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** What the bar should show now, as Gradio updates. */
export async function values(keys) {
  let state;
  try {
    state = await page.state();
  } catch {
    return keys.map(() => ({ __type__: "update" }));
  }
  return keys.map((key) => {
    const stored = key === "sd_model_checkpoint" ? state.checkpoint : state.options[key];
    const value = pending.has(key) ? pending.get(key) : stored;
    shown[key] = value;
    const change = { __type__: "update", value };
    if (LISTS[key]) change.choices = state.lists[LISTS[key]].map((name) => [name, name]);
    return change;
  });
}

/** A person chose something. */
export function changed(key, value) {
  const nothing = value === null || value === undefined || (value === "" && key in LISTS);
  if (nothing || !(key in shown) || same(shown[key], value)) return;
  shown[key] = value;
  pending.set(key, value);
  if (key in LISTS || typeof value === "boolean") store(key, value);
  else storeLater(key, value);
}

const waiting = {};

/** Typing sends one value, half a second after the last key; every setting waits for itself. */
function storeLater(key, value) {
  waiting[key] ??= debounce((last) => store(key, last), 500);
  waiting[key](value);
}

async function store(key, value) {
  const taken = () => same(pending.get(key), value) && pending.delete(key);
  try {
    const former = await page.state();
    await api.put("/easel/v1/settings", { [key]: value });
    taken();
    if (key === "sd_model_checkpoint") await adopt(former);
  } catch (problem) {
    taken();
    toast.error(problem.message);
    refresh();
  }
}

/**
 * A checkpoint was chosen here: its own settings go into the form, with a way back. What the form still
 * has from the former checkpoint's settings goes back to the program's.
 */
async function adopt(former) {
  const state = await page.state({ fresh: true });
  const before = {};
  const changes = {};
  for (const tab of FORMS) {
    before[tab] = form.values(tab);
    const left = Object.entries(form.wishes(tab, former)).filter(([name, value]) => before[tab][name] === value);
    const back = Object.fromEntries(left.map(([name]) => [name, state.defaults_by_tab[tab][name]]));
    const wanted = Object.entries({ ...back, ...form.wishes(tab, state) });
    changes[tab] = Object.fromEntries(wanted.filter(([name, value]) => before[tab][name] !== value));
  }
  const changed = FORMS.filter((tab) => Object.keys(changes[tab]).length);
  if (!changed.length) return;
  for (const tab of changed) form.apply(tab, changes[tab]);
  const own = form.wishes(FORMS[0], state);
  const told = Object.keys(own).length ? ["quick.model_defaults", own] : ["quick.usual_defaults", changes[changed[0]]];
  const undo = () => changed.forEach((tab) => form.apply(tab, before[tab]));
  toast.info(t(told[0], { said: describe(told[1]) }), { text: t("fill.undo"), run: undo });
}

function describe(wishes) {
  const parts = [];
  if (wishes.width && wishes.height) parts.push(`${wishes.width} × ${wishes.height}`);
  if (wishes.steps) parts.push(t("quick.steps", { steps: wishes.steps }));
  if (wishes.sampler_name) parts.push(wishes.sampler_name);
  if (wishes.cfg_scale) parts.push(`CFG ${wishes.cfg_scale}`);
  if (wishes.enable_hr) parts.push("Hires. fix");
  return parts.join(", ");
}

/** Read everything again and show it. */
export async function refresh() {
  await toast.guard(() => page.state({ fresh: true }));
  take();
}

const take = () => document.getElementById("quick_take")?.click();

/** Look for new files in the model folders. */
async function rescan() {
  const button = document.getElementById("refresh_sd_model_checkpoint");
  button?.classList.add("spinning");
  await toast.guard(() => api.post("/easel/v1/models/refresh"));
  await refresh();
  button?.classList.remove("spinning");
  const { lists } = await page.state();
  toast.success(t("quick.refreshed", { count: lists.checkpoints.length }));
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#refresh_sd_model_checkpoint")) rescan();
});

live.on("options", async (message) => {
  const needsLists = ["hide_samplers", "use_model_defaults", ...Object.keys(LISTS)];
  if (needsLists.some((key) => key in message.changed)) return refresh();
  if (!Object.keys(shown).some((key) => key in message.changed)) return;
  await page.state().catch(() => null); // page.js, which listens first, puts the news into it
  take();
});
live.on("model", (message) => {
  if (message.state === "failed")
    toast.error(t("quick.model_failed", { name: message.name, reason: message.reason }));
  if (message.state === "ready" && message.title && message.title !== shown.sd_model_checkpoint) refresh();
});
