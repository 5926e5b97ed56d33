// The bar above the tabs: settings that are saved the moment they change, and follow changes from elsewhere.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import { live } from "./live.js";
import { debounce } from "./dom.js";

const { t } = window.Easel;
const LISTS = { sd_model_checkpoint: "checkpoints", sd_vae: "vaes" };
const shown = {};
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
    const value = key === "sd_model_checkpoint" ? state.checkpoint : state.options[key];
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
  if (key in LISTS || typeof value === "boolean") store(key, value);
  else storeLater(key, value);
}

const storeLater = debounce((key, value) => store(key, value), 500);

async function store(key, value) {
  try {
    await api.put("/easel/v1/settings", { [key]: value });
    if (key === "sd_model_checkpoint") await adopt();
  } catch (problem) {
    toast.error(problem.message);
    refresh();
  }
}

/** A checkpoint was chosen here: its own settings go into the form, with a way back. */
async function adopt() {
  const state = await page.state({ fresh: true });
  const wishes = state.model_defaults;
  if (!Object.keys(wishes).length) return;
  const before = form.values("txt2img");
  if (Object.entries(wishes).every(([name, value]) => before[name] === value)) return;
  form.apply("txt2img", wishes);
  const said = describe(wishes);
  const undo = () => form.apply("txt2img", before);
  toast.info(t("quick.model_defaults", { said }), { text: t("fill.undo"), run: undo });
}

function describe(wishes) {
  const parts = [];
  if (wishes.width && wishes.height) parts.push(`${wishes.width} × ${wishes.height}`);
  if (wishes.steps) parts.push(t("quick.steps", { steps: wishes.steps }));
  if (wishes.sampler_name) parts.push(wishes.sampler_name);
  if (wishes.cfg_scale) parts.push(`CFG ${wishes.cfg_scale}`);
  return parts.join(", ");
}

/** Read everything again and show it. */
export async function refresh() {
  await toast.guard(() => page.state({ fresh: true }));
  document.getElementById("quick_take")?.click();
}

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

live.on("options", (message) => {
  const ours = Object.keys(shown).filter((key) => key in message.changed);
  const lists = ["hide_samplers", "use_model_defaults"].some((key) => key in message.changed);
  if (lists || ours.some((key) => !same(message.changed[key], shown[key]))) refresh();
});
live.on("model", (message) => {
  if (message.state === "failed")
    toast.error(t("quick.model_failed", { name: message.name, reason: message.reason }));
  if (message.state === "ready" && message.title && message.title !== shown.sd_model_checkpoint) refresh();
});
