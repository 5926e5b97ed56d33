// Interrupt and Skip: usable only while a job runs, told to the server at once.
import * as api from "./api.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import { live } from "./live.js";

const { t } = window.Easel;
let stopping = null;

/** Stop the running job; of several pictures the one being made is finished first, if so set. */
export async function interrupt() {
  const job = live.runningBrief ?? live.queue.find((one) => one.client !== "api");
  if (!job) return;
  const gently = page.options.interrupt_after_current && stopping !== job.id && moreToCome(job);
  stopping = job.id;
  draw();
  document.dispatchEvent(new CustomEvent("easel:interrupt"));
  await toast.guard(async () => {
    if (job.state === "queued") await api.post(`/easel/v1/jobs/${encodeURIComponent(job.id)}/cancel`);
    else
      await api.post("/easel/v1/interrupt", {
        id: job.id,
        mode: gently ? "stop_after_current" : "interrupt",
      });
    if (gently) toast.info(t("actions.after_current"));
  });
}

/** Whether pictures are left after those being made now. */
function moreToCome(job) {
  const { running } = live;
  return running?.job === job.id && running.iterations - running.iteration > 1;
}

/** End the running picture, go on with the next. */
export async function skip() {
  const job = live.runningBrief;
  if (job) await toast.guard(() => api.post("/easel/v1/skip", { id: job.id }));
}

function draw() {
  const active = live.queue.length > 0;
  const running = live.runningBrief !== null;
  if (!live.queue.some((job) => job.id === stopping)) stopping = null;
  for (const button of document.querySelectorAll('button[id$="_interrupt"]')) {
    button.disabled = !active;
    button.classList.toggle("sending", stopping !== null);
    button.title = stopping ? t("actions.interrupting") : t("actions.interrupt_hint");
  }
  for (const button of document.querySelectorAll('button[id$="_skip"]')) {
    button.disabled = !running;
    button.title = t("actions.skip_hint");
  }
  for (const button of document.querySelectorAll('button[id$="_generate"]')) {
    button.title = active ? t("actions.generate_more") : t("actions.generate_hint");
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.('button[id$="_interrupt"]')) interrupt();
  else if (event.target.closest?.('button[id$="_skip"]')) skip();
});
live.on("snapshot queue job connection", draw);
new MutationObserver((changes) => {
  if (changes.some((change) => change.addedNodes.length)) draw();
}).observe(document.documentElement, { childList: true, subtree: true });
