// The Queue tab: running, waiting and finished jobs with what can be done to each.
import * as api from "./api.js";
import * as extras from "./extras.js";
import * as form from "./form.js";
import * as merger from "./merger.js";
import * as output from "./output.js";
import * as pausing from "./pausing.js";
import * as sources from "./sources.js";
import * as toast from "./toast.js";
import { live } from "./live.js";
import { button, debounce, h, icon, openTab } from "./dom.js";
import { clock, duration } from "./words.js";

const { t, config } = window.Easel;
const FINISHED = 60;
const RETRY = ["failed", "cancelled", "interrupted", "parked"];

class Queue extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.finished = [];
    this.pause = button("pause", t("queue.pause"), () => this.#pause());
    this.pause.id = "queue_pause";
    this.clear = button("trash", t("queue.clear"), () => this.#clear());
    this.note = h("p", { class: "note", role: "status" });
    this.lists = {
      running: this.#section("running"),
      waiting: this.#section("waiting"),
      aside: this.#section("aside"),
      done: this.#section("done"),
    };
    this.replaceChildren(
      h(
        "div",
        { class: "head" },
        h("h2", {}, t("queue.title")),
        this.note,
        h("span", { class: "grow" }),
        this.pause,
        this.clear,
      ),
      ...Object.values(this.lists).map((list) => list.parentElement),
    );
    live.on("snapshot queue connection", () => this.#draw());
    live.on("progress", (progress) => this.#progress(progress));
    live.on("snapshot job", () => this.#load());
    this.#load();
  }

  #section(name) {
    const list = h("ol", { class: name, id: `queue_${name}` });
    h("section", { "aria-label": t(`queue.${name}`) }, h("h3", {}, t(`queue.${name}`)), list);
    return list;
  }

  #load = debounce(async () => {
    const found = await api.get(`/easel/v1/jobs?limit=${FINISHED}`).catch(() => null);
    if (!found) return;
    this.finished = found.jobs.filter((job) => !["running", "queued", "paused"].includes(job.state));
    this.#draw();
  }, 120);

  #draw() {
    const running = live.queue.filter((job) => job.state === "running");
    const waiting = live.queue.filter((job) => job.state === "queued");
    this.#fill("running", running);
    this.#fill("waiting", waiting);
    this.#fill("aside", live.aside);
    this.lists.aside.parentElement.hidden = !live.aside.length;
    this.#fill("done", this.finished);
    this.pause.querySelector("span:last-child").textContent = t(live.paused ? "queue.resume" : "queue.pause");
    this.pause.firstElementChild.className = `easel-icon icon-${live.paused ? "play" : "pause"}`;
    this.clear.disabled = !this.finished.length;
    this.note.textContent = live.paused ? t("queue.paused") : live.held ? t("queue.held") : "";
    this.#progress(live.running);
  }

  #fill(name, jobs) {
    const list = this.lists[name];
    const text = t(`queue.none_${name}`);
    list.replaceChildren(
      ...(jobs.length ? jobs.map((job, at) => this.#row(job, at)) : [h("li", { class: "none" }, text)]),
    );
  }

  #row(job, at) {
    const facts = [
      job.tab && job.tab !== "txt2img" ? t(`form.tab_${job.tab}`) : null,
      job.width ? `${job.width} × ${job.height}` : null,
      job.steps ? t("quick.steps", { steps: job.steps }) : null,
      job.sampler ?? job.upscaler,
      job.image_count > 1 ? t("queue.pictures", { count: job.image_count }) : null,
      job.client !== "ui" ? job.client.toUpperCase() : null,
      job.finished ? clock(job.finished) : null,
      job.finished && job.started ? duration(job.finished - job.started) : null,
    ];
    return h(
      "li",
      { dataset: { id: job.id, state: job.state } },
      this.#thumb(job),
      h(
        "div",
        { class: "text" },
        h("p", { class: "prompt" }, job.prompt || t(job.kind === "extras" ? "form.tab_extras" : "queue.no_prompt")),
        h("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
        job.error ? h("p", { class: "bad" }, job.error) : null,
        ["running", "paused"].includes(job.state) ? this.#meter(job) : null,
      ),
      h("span", { class: `badge ${job.state}` }, t(`state.${job.state}`)),
      h("div", { class: "acts" }, ...this.#acts(job, at)),
    );
  }

  #meter(job) {
    const share = h("i", {});
    share.style.width = `${Math.round(100 * (job.progress ?? 0))}%`;
    return h("div", { class: "meter" }, share);
  }

  #thumb(job) {
    const image = job.images?.[0] ?? job.thumb;
    const url = typeof image === "string" ? image : image?.thumb;
    return h(
      "div",
      { class: "thumb" },
      url
        ? h("img", { src: config.root + url, alt: "", loading: "lazy" })
        : icon(job.state === "failed" ? "error" : job.result ? "layers" : "picture"),
    );
  }

  #acts(job, at) {
    const path = `/easel/v1/jobs/${encodeURIComponent(job.id)}`;
    const act = (name, text, run) => button(name, t(text), () => toast.guard(run), { quiet: true });
    if (job.state === "running") {
      const stop = act("stop", "queue.stop", () => api.post("/easel/v1/interrupt", { id: job.id }));
      return pausing.can(job) ? [act("pause", "queue.put_aside", () => pausing.pause(job.id)), stop] : [stop];
    }
    const cancel = act("close", "queue.cancel", () => api.post(`${path}/cancel`));
    if (job.state === "paused") {
      const first = act("skip", "queue.first", () => pausing.first(job.id));
      return [act("play", "queue.go_on", () => pausing.resume(job.id)), first, cancel];
    }
    if (job.state === "queued") {
      const up = act("up", "queue.up", () => api.post(`${path}/move`, { to: "up" }));
      up.disabled = at === 0;
      const first = act("skip", "queue.first", () => pausing.first(job.id));
      return [up, first, act("pause", "queue.put_aside", () => pausing.pause(job.id)), cancel];
    }
    const acts = [];
    if (job.images_done > 0) acts.push(act("picture", "queue.show", () => this.#show(job)));
    acts.push(act("paste", "queue.use", () => this.#use(job)));
    if (RETRY.includes(job.state)) acts.push(act("repeat", "queue.retry", () => api.post(`${path}/retry`)));
    return acts;
  }

  async #show(job) {
    const tab = job.tab ?? job.kind;
    openTab(tab);
    (await drawn(() => output.panel(tab)))?.open(job.id);
  }

  async #use(brief) {
    const job = await live.job(brief.id);
    const tab = job.tab ?? job.kind;
    if (job.result) {
      merger.openForm(tab);
      await form.fill(tab, merger.fieldsOf(job));
      return;
    }
    openTab(tab);
    const [ref] = job.request?.images ?? job.request?.init_images ?? [];
    if (ref?.startsWith("input:") && ["extras", "outpaint"].includes(tab)) await sources.recall(tab, ref);
    const asked = tab === "extras" ? extras.fieldsOf(job.request) : job.request;
    await form.fill(tab, { ...asked, ...pick(job.parameters) }, asked?.override_settings);
  }

  #progress(progress) {
    const row = progress && this.lists.running.querySelector(`[data-id="${CSS.escape(progress.job ?? "")}"]`);
    const meter = row?.querySelector(".meter i");
    if (meter) meter.style.width = `${Math.round(100 * progress.progress)}%`;
  }

  #pause() {
    toast.guard(() => api.post(`/easel/v1/queue/${live.paused ? "resume" : "pause"}`));
  }

  async #clear() {
    await toast.guard(() => api.post("/easel/v1/queue/clear-finished"));
    this.#load();
  }
}
customElements.define("easel-queue", Queue);

/** What `find` gives once the tab that was opened just now is drawn. */
async function drawn(find) {
  for (let tries = 0; tries < 50 && !find(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 40));
  return find();
}

/** Of the parameters really used only those that the form should show instead of what was asked. */
function pick(parameters) {
  const { seed, subseed } = parameters ?? {};
  return Object.fromEntries(Object.entries({ seed, subseed }).filter(([, value]) => value !== undefined));
}

// How many jobs run or wait, at the tab's name.
function count() {
  const tab = document.getElementById("tab_queue-button");
  if (!tab) return;
  if (live.queue.length) tab.dataset.count = String(live.queue.length);
  else delete tab.dataset.count;
}
live.on("snapshot queue job", count);
document.addEventListener("easel:form", count);
