// The result panel: live preview while a job runs, pictures and their parameters when it is done.
import * as api from "./api.js";
import * as toast from "./toast.js";
import * as page from "./page.js";
import { view } from "./viewer.js";
import { live } from "./live.js";
import { button, h, icon } from "./dom.js";
import { infotext } from "./words.js";
import { madeFrom, workedOn } from "./job-inputs.js";
import { PictureTools } from "./picture-tools.js";
import { emptyStage } from "./empty-stage.js";
import { ProgressBar } from "./progress-bar.js";
import { jobNotes, keptPixels, seams } from "./job-notes.js";

const { t, config } = window.Easel;
const ACTIVE = ["queued", "running"];

class Output extends HTMLElement {
  job = null;
  images = [];
  selected = null;
  watching = true;
  /** Whether the picture is shown over the one it was made from. */
  comparing = false;
  warnings = [];

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.tab = this.getAttribute("tab");
    this.#build();
    live.on("snapshot", (message) => this.#attach(message));
    live.on("job", (job) => this.#takeJob(job));
    live.on("progress", (progress) => this.#takeProgress(progress));
    live.on("preview", (preview) => preview.job === this.job?.id && this.#draw());
    live.on("image", ({ job, image }) => job === this.job?.id && this.#takeImage(image));
    live.on("warning", ({ job, message, popup }) => job === this.job?.id && this.#warn(message, popup));
    document.addEventListener("keydown", (event) => this.#keys(event));
    page.onOptions(() => this.#draw());
    document.addEventListener("easel:submitted", ({ detail }) => detail.tab === this.tab && this.#show());
  }

  /** On a phone the form is above: bring what was asked for into sight. */
  #show() {
    const seen = this.getBoundingClientRect().top < innerHeight * 0.7;
    if (!seen && this.offsetParent) this.scrollIntoView({ behavior: "smooth", block: "start" });
  }

  /** Show a finished or running job by its id. */
  async open(id) {
    const job = await toast.guard(() => live.job(id));
    if (job) this.#focus(job);
  }

  /** The picture that buttons act on. */
  get current() {
    if (this.selected !== null) return this.images[this.selected] ?? null;
    return this.images.find((image) => image.kind === "image") ?? null;
  }

  #build() {
    this.progress = new ProgressBar(`${this.tab}_progress`);
    this.stage = h("div", {
      class: "stage",
      id: `${this.tab}_gallery`,
      role: "group",
      "aria-label": t("output.gallery"),
    });
    this.strip = h("div", { class: "strip", hidden: true });
    this.tools = new PictureTools(this);
    this.info = h("div", { class: "info", id: `html_info_${this.tab}` });
    this.log = h("div", { class: "log", id: `html_log_${this.tab}`, role: "status" });
    this.append(this.progress.element, this.stage, this.strip, this.tools.element, this.info, this.log);
    this.#draw();
  }

  async #attach({ running, queue, recent }) {
    const brief = queue.find((job) => job.state === "running" && this.#ours(job));
    if (brief) {
      const job = await live.job(brief.id).catch(() => null);
      if (job) this.#focus(job);
      if (running) this.#takeProgress(running);
      return;
    }
    const waiting = queue.find((job) => job.state === "queued" && this.#ours(job));
    const last = recent.find((job) => this.#ours(job)) ?? (await this.#lastFinished());
    const newer = last && (last.finished ?? 0) > (this.job?.finished ?? 0);
    if (this.job && ACTIVE.includes(this.job.state)) {
      const job = await live.job(this.job.id).catch(() => null);
      if (job) this.#focus(job);
    } else if (newer) this.#focus(last);
    else if (waiting && !last) this.#focus({ ...waiting, images: [] });
  }

  /** The newest finished job of this tab, when the newest of all was not of this tab. */
  async #lastFinished() {
    const found = await api.get("/easel/v1/jobs?state=done,interrupted,failed&limit=30").catch(() => null);
    const brief = found?.jobs.find((job) => this.#ours(job));
    return brief ? live.job(brief.id).catch(() => null) : null;
  }

  #ours = (job) => (job.tab ?? job.kind) === this.tab && !["api", "replay"].includes(job.client);

  #takeJob(job) {
    if (!this.#ours(job)) return;
    const starts = job.state === "running" && this.job?.id !== job.id;
    const idle = !this.job || !ACTIVE.includes(this.job.state);
    const mine = this.job?.id === job.id;
    if (starts || mine || (idle && job.state === "queued")) this.#focus(job);
    if (job.state === "failed" && job.error && !this.offsetParent) toast.error(job.error);
  }

  #focus(job) {
    const other = this.job?.id !== job.id;
    const again = !other && !this.running && ACTIVE.includes(job.state);
    this.job = job;
    if (other) {
      this.images = [];
      this.selected = null;
      this.watching = true;
      this.warnings = [];
      this.comparing = this.tab === "extras";
    }
    if (again) this.watching = true; // it was paused, or is tried once more
    for (const image of job.images ?? []) this.#keep(image);
    if (!ACTIVE.includes(job.state)) {
      this.watching = false;
      if (this.images.length === 1) this.selected = 0;
    }
    this.#draw();
    this.#drawProgress(live.running);
  }

  #keep(image) {
    const at = this.images.findIndex((one) => one.id === image.id);
    if (at >= 0) this.images[at] = image;
    else if (image.kind === "grid") {
      this.images.unshift(image);
      if (this.selected !== null) this.selected += 1;
    } else this.images.push(image);
  }

  #takeImage(image) {
    this.#keep(image);
    this.#draw();
  }

  #takeProgress(progress) {
    if (progress.job === this.job?.id) this.#drawProgress(progress);
  }

  #warn(message, popup) {
    if (popup) toast.warning(message);
    this.warnings = [...this.warnings, message];
    this.#drawLog();
  }

  get running() {
    return this.job !== null && ACTIVE.includes(this.job.state);
  }

  #drawProgress(progress) {
    this.classList.toggle("busy", this.running);
    this.progress.draw(this.running ? this.job : null, progress);
  }

  #draw() {
    this.#drawStage();
    this.#drawStrip();
    this.tools.draw();
    this.#drawInfo();
    this.#drawLog();
  }

  #drawStage() {
    const preview = live.preview?.job === this.job?.id ? live.preview : null;
    if (page.options.do_not_show_images && this.images.length)
      this.#stageWith("empty", h("p", { class: "nothing" }, t("output.hidden")));
    else if (this.running && this.watching) this.#drawLive(preview);
    else if (!this.images.length) this.#stageWith("empty", emptyStage(this.job, this.tab));
    else if (this.selected === null)
      this.#stageWith("grid", ...this.images.map((image, at) => this.#tile(image, at)));
    else if (this.comparing && this.canCompare) this.#drawComparison(this.images[this.selected]);
    else this.#stageWith("single", this.#picture(this.images[this.selected]));
  }

  #drawLive(preview) {
    const last = this.images.at(-1);
    const source = this.tab === "extras" ? workedOn(this.job, this.images.length) : null;
    const start = source && config.root + source;
    const url = preview?.url ?? start ?? (last && config.root + last.url);
    let image = this.stage.querySelector("img.live");
    if (!url) {
      if (!this.stage.querySelector(".blank")) this.#stageWith("live", this.#blank());
      return;
    }
    if (!image) {
      image = h("img", { class: "live", alt: t("output.preview") });
      this.#stageWith("live", image);
    }
    image.classList.toggle("rough", Boolean(preview ?? start));
    image.classList.toggle("source", !preview && start !== null);
    if (image.src !== url) image.src = url;
  }

  #shape() {
    const { width = 1, height = 1 } = this.job ?? {};
    return `aspect-ratio: ${width} / ${height}`;
  }

  #blank() {
    return h("div", { class: "blank", style: this.#shape() }, icon("spark"));
  }

  #stageWith(kind, ...nodes) {
    this.stage.dataset.kind = kind;
    this.stage.dataset.count = String(this.images.length);
    this.stage.replaceChildren(...nodes);
  }

  #tile(image, at) {
    const choose = () => this.#select(at);
    const name = image.kind === "grid" ? t("output.grid") : t("output.picture", { seed: image.seed });
    return h(
      "button",
      { type: "button", class: `tile ${image.kind}`, "aria-label": name, onclick: choose },
      h("img", {
        src: config.root + image.thumb,
        alt: "",
        loading: "lazy",
        style: `aspect-ratio: ${image.width} / ${image.height}`,
      }),
    );
  }

  #picture(image) {
    const name = image.kind === "grid" ? t("output.grid") : t("output.picture", { seed: image.seed });
    const picture = h("img", {
      src: config.root + image.url,
      alt: name,
      width: image.width,
      height: image.height,
      draggable: "true",
    });
    return h(
      "button",
      {
        type: "button",
        class: "full",
        "aria-label": t("output.view_name", { name }),
        onclick: () => this.view(),
      },
      picture,
    );
  }

  /** The address of the picture that the chosen one was made from, or null. */
  get #before() {
    return madeFrom(this.job, this.images, this.images[this.selected]);
  }

  get canCompare() {
    if (this.selected === null || this.running || this.tab === "outpaint") return false;
    return this.images[this.selected]?.kind === "image" && this.#before !== null;
  }

  /** Switch between the picture alone and the picture over its source. */
  compare() {
    this.comparing = !this.comparing;
    this.#draw();
  }

  #drawComparison({ id, url, width, height }) {
    if (this.stage.querySelector("easel-compare")?.dataset.image === id) return;
    const attributes = { before: config.root + this.#before, after: config.root + url };
    const shape = `${width} / ${height}`;
    this.#stageWith("compare", h("easel-compare", { ...attributes, shape, dataset: { image: id } }));
  }

  #select(at) {
    this.selected = at;
    this.watching = false;
    this.#draw();
  }

  #drawStrip() {
    const many = this.images.length > 1 || (this.running && this.images.length > 0);
    this.strip.hidden = !many || (this.selected === null && !this.running);
    if (this.strip.hidden) return this.strip.replaceChildren();
    const back = this.running
      ? button("play", t("output.watch"), () => this.#watch(), {
          quiet: true,
          kind: this.watching ? "on" : "",
        })
      : button("grid", t("output.all"), () => this.#all(), { quiet: true });
    const thumbs = this.images.map((image, at) => {
      const chosen = at === this.selected && !(this.running && this.watching);
      const thumb = this.#tile(image, at);
      thumb.setAttribute("aria-pressed", String(chosen));
      return thumb;
    });
    this.strip.replaceChildren(back, ...thumbs);
  }

  #watch() {
    this.watching = true;
    this.selected = null;
    this.#draw();
  }

  #all() {
    this.selected = null;
    this.#draw();
  }

  #drawInfo() {
    const image = this.running && this.watching ? null : this.current;
    if (!image) return this.info.replaceChildren();
    const text = image.infotext;
    const done = image.postprocessing && image.postprocessing !== text && infotext(image.postprocessing);
    const parts = [...keptPixels(text), ...seams(text), done, infotext(text), this.#place(image)];
    this.info.replaceChildren(...parts.filter(Boolean));
  }

  #place(image) {
    if (!image.saved)
      return h(
        "p",
        { class: "place" },
        image.note ? t("output.not_saved", { reason: image.note }) : t("output.unsaved"),
      );
    return h("p", { class: "place" }, icon("folder"), h("span", {}, image.path ?? image.name));
  }

  #drawLog() {
    const facts = { running: this.running, pictures: this.images.length > 0 };
    this.log.replaceChildren(...jobNotes(this.job, this.warnings, facts));
  }

  /** Full screen. */
  view() {
    if (!this.images.length) return;
    if (page.options.js_modal_lightbox === false)
      open(config.root + (this.current ?? this.images[0]).url, "_blank", "noopener");
    else
      view(this.images, this.selected ?? Math.max(0, this.images.indexOf(this.current)), (at) =>
        this.#select(at),
      );
  }

  #keys(event) {
    const inside = this.contains(document.activeElement);
    if (!inside || this.images.length < 2 || event.altKey || event.ctrlKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = this.selected ?? (step > 0 ? -1 : 0);
    this.#select((from + step + this.images.length) % this.images.length);
    this.stage.querySelector("button")?.focus();
  }
}
customElements.define("easel-output", Output);

/** The panel of a tab, if it is on the page. */
export const panel = (tab) => document.getElementById(`${tab}_results`);

/** Seed of the chosen picture; `unchanged` when there is none. */
export function seed(tab, unchanged) {
  const image = panel(tab)?.current;
  if (image?.seed === undefined || image?.seed === null) toast.info(t("output.no_seed"));
  return image?.seed ?? unchanged;
}

/** Variation seed of the chosen picture. */
export function subseed(tab, unchanged) {
  const found = panel(tab)?.current?.infotext?.match(/Variation seed: (\d+)/);
  if (!found) toast.info(t("output.no_subseed"));
  return found ? Number(found[1]) : unchanged;
}
