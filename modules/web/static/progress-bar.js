// The bar over the pictures: how far the job is, in words and as a line.
import { options } from "./page.js";
import { h } from "./dom.js";
import { duration } from "./words.js";

const { t } = window.Easel;

export class ProgressBar {
  constructor(id) {
    this.fill = h("div", { class: "fill" });
    this.bar = h(
      "div",
      {
        class: "bar",
        role: "progressbar",
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-label": t("output.progress"),
      },
      this.fill,
    );
    this.step = h("span", { class: "step" });
    this.eta = h("span", { class: "eta" });
    const words = h("div", { class: "words" }, this.step, this.eta);
    this.element = h("div", { class: "progress", id, hidden: true }, this.bar, words);
  }

  /** Show an unfinished job; `progress` is the last message about any job. `null` hides the bar. */
  draw(job, progress) {
    this.element.hidden = job === null || options.show_progressbar === false;
    if (job === null) return;
    const mine = progress?.job === job.id ? progress : null;
    const done = Math.round(100 * (mine?.progress ?? 0));
    this.bar.setAttribute("aria-valuenow", String(done));
    this.fill.style.width = `${done}%`;
    this.bar.classList.toggle("waiting", !mine || ["waiting", "loading"].includes(mine.phase));
    this.step.textContent = words(job, mine);
    this.eta.textContent = mine?.eta > 0 ? t("output.left", { time: duration(mine.eta) }) : "";
  }
}

const MODEL_JOBS = ["merge", "convert"];

function modelWords({ phase, step, steps }) {
  if (phase === "saving") return t("output.saving");
  return steps > 0 ? t("merger.megabytes", { step, steps }) : t("merger.looking");
}

function words(job, progress) {
  if (!progress || progress.phase === "waiting") {
    const position = job.position ?? progress?.position;
    return position > 1 ? t("output.in_queue", { position }) : t("output.waiting");
  }
  if (MODEL_JOBS.includes(job.kind)) return modelWords(progress);
  if (progress.phase === "loading") return t("output.loading");
  if (progress.phase === "saving") return t("output.saving");
  const counted = { step: progress.step, steps: progress.steps };
  const step = progress.steps > 0 ? t("output.step", counted) : t("output.working");
  if (progress.iterations <= 1) return step;
  return `${step} · ${t("output.batch", { now: progress.iteration + 1, all: progress.iterations })}`;
}
