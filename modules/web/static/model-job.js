// <easel-model-job>: how far a merge or a conversion is, and what came of it.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { live } from "./live.js";
import { ProgressBar } from "./progress-bar.js";
import { button, h, icon } from "./dom.js";
import { duration, size } from "./words.js";

const { t } = window.Easel;
const KINDS = ["merge", "convert"];
const ACTIVE = ["queued", "running"];

class ModelJob extends HTMLElement {
  job = null;

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.progress = new ProgressBar("modelmerger_progress");
    this.result = h("div", { id: "modelmerger_result", role: "status" });
    this.replaceChildren(this.progress.element, this.result);
    live.on("snapshot", (message) => this.#attach(message));
    live.on("job", (job) => this.#take(job));
    live.on("progress", (progress) => this.#draw(progress));
    document.addEventListener("easel:submitted", ({ detail }) => {
      if (KINDS.includes(detail.answer.kind)) this.#begin(detail.answer);
    });
    this.#draw(null);
  }

  #begin(brief) {
    this.#take({ ...brief });
    const seen = this.getBoundingClientRect().top < innerHeight * 0.8;
    if (!seen && this.offsetParent) this.scrollIntoView({ behavior: "smooth", block: "start" });
  }

  async #attach({ queue }) {
    const mine = queue.find((job) => KINDS.includes(job.kind) && job.state === "running");
    const waiting = queue.find((job) => KINDS.includes(job.kind));
    const active = this.job && ACTIVE.includes(this.job.state);
    if (mine ?? waiting) this.#take(mine ?? waiting);
    else if (active || !this.job) await this.#last();
    this.#draw(live.running);
  }

  /** The newest job of this kind that is over, so that a reload shows what came of it. */
  async #last() {
    const found = await api.get("/easel/v1/jobs?state=done,interrupted,failed&limit=20").catch(() => null);
    const last = found?.jobs.find((job) => KINDS.includes(job.kind) && job.client !== "api");
    if (last) this.#take(last);
  }

  #take(job) {
    if (!KINDS.includes(job.kind)) return;
    const mine = this.job?.id === job.id;
    const free = !this.job || !ACTIVE.includes(this.job.state);
    if (!mine && !free && job.state !== "running") return;
    if (mine && this.job.state !== job.state && job.state === "failed" && !this.offsetParent) toast.error(job.error);
    this.job = job;
    this.#draw(live.running);
  }

  #draw(progress) {
    const active = this.job && ACTIVE.includes(this.job.state);
    this.progress.draw(active ? this.job : null, progress);
    this.result.replaceChildren(...(this.job ? said(this.job) : [nothing()]));
    this.result.dataset.state = this.job?.state ?? "none";
  }
}
customElements.define("easel-model-job", ModelJob);

function nothing() {
  return h("div", { class: "none" }, icon("layers"), h("p", {}, t("merger.nothing")));
}

function said(job) {
  const name = h("p", { class: "name" }, job.result?.name ?? "");
  if (ACTIVE.includes(job.state)) return [name];
  const notes = (job.warnings ?? []).map((text) => h("p", { class: "note" }, text));
  if (job.state !== "done") {
    const text = job.error ?? t(`merger.${job.state === "failed" ? "failed" : "stopped"}`);
    return [name, h("p", { class: job.state === "failed" ? "bad" : "note" }, text), ...notes];
  }
  return [name, h("p", { class: "good" }, t("merger.saved")), table(job), ...notes, ...acts(job)];
}

function table(job) {
  const { facts, path } = job.result;
  const rows = [
    [t("merger.file"), path],
    [t("merger.size"), size(facts.size ?? 0)],
    [t("merger.weights"), weights(facts)],
    ["SHA-256", facts.sha256],
    [t("merger.time"), job.seconds === null ? null : duration(job.seconds)],
  ];
  const known = rows.filter(([, value]) => value);
  return h("dl", {}, ...known.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]));
}

function weights({ weights: all, mixed, dropped }) {
  const parts = [String(all)];
  if (mixed) parts.push(t("merger.mixed", { count: mixed }));
  if (dropped) parts.push(t("merger.dropped", { count: dropped }));
  return parts.join(", ");
}

/** What can be done with the result: a checkpoint can be loaded at once. */
function acts(job) {
  const file = job.result.path ?? "";
  if (/[\\/]VAE[\\/]/.test(file)) return [];
  const use = button("check", t("merger.use"), () =>
    toast.guard(async () => {
      await api.put("/easel/v1/settings", { sd_model_checkpoint: job.result.name });
      toast.success(t("merger.in_use", { name: job.result.name }));
    }),
  );
  use.id = "modelmerger_use";
  return [h("div", { class: "acts" }, use)];
}
