// Pausing single jobs: the button beside Interrupt, and what the queue's rows offer.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { live } from "./live.js";

const { t } = window.Easel;
const KINDS = ["txt2img", "img2img"];
const path = (id) => `/easel/v1/jobs/${encodeURIComponent(id)}`;

/** Whether a running job can be put aside. */
export const can = (job) => KINDS.includes(job.kind);

/** Put a job aside; of several pictures those being made are finished first with `gently`. */
export const pause = (id, gently = false) =>
  toast.guard(() => api.post(`${path(id)}/pause`, { when: gently ? "after_current" : "now" }));

/** Go on with a job as the next one. */
export const resume = (id) => toast.guard(() => api.post(`${path(id)}/resume`));

/** Do a job now; the running one goes on behind it. */
export const first = (id) => toast.guard(() => api.post(`${path(id)}/first`));

/** What the button of a tab does now: pause the running job, or go on with the last paused one. */
function wish(tab) {
  const running = live.runningBrief;
  if (running) return can(running) ? { act: "pause", job: running } : null;
  const mine = live.aside.filter((job) => job.tab === tab && job.client !== "api");
  return mine.length ? { act: "go_on", job: mine.at(-1) } : null;
}

function draw() {
  const sending = Boolean(live.running?.pausing && live.runningBrief);
  for (const button of document.querySelectorAll('.easel-actions button[id$="_pause"]')) {
    const found = wish(button.id.replace("_pause", ""));
    const name = found?.act ?? "pause";
    const text = t(sending ? "actions.pausing" : `actions.${name}_hint`);
    const state = `${Boolean(found)} ${sending} ${text}`;
    if (button.dataset.state === state) continue;
    button.dataset.state = state;
    button.disabled = !found || sending;
    button.classList.toggle("sending", sending);
    button.classList.toggle("icon-play", name === "go_on");
    button.classList.toggle("icon-pause", name === "pause");
    button.title = text;
    button.setAttribute("aria-label", text);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.('.easel-actions button[id$="_pause"]');
  if (!button) return;
  const found = wish(button.id.replace("_pause", ""));
  if (!found) return;
  if (found.act === "go_on") resume(found.job.id);
  else pause(found.job.id, event.shiftKey);
});
live.on("snapshot queue job progress connection", draw);
new MutationObserver((changes) => {
  if (changes.some((change) => change.addedNodes.length)) draw();
}).observe(document.documentElement, { childList: true, subtree: true });
