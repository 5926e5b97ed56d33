// Batch: many pictures with one form. Uploaded files or a folder of the server become one job a picture;
// what cannot be read is skipped and listed, the rest goes on.
import * as api from "./api.js";
import * as toast from "./toast.js";
import * as uploads from "./uploads.js";
import { view } from "./viewer.js";
import { zip } from "./zip.js";
import { TAB, batchSource } from "./img2img.js";
import { button, h, icon } from "./dom.js";
import { live } from "./live.js";

const { t, config } = window.Easel;
const files = [];
const changes = new EventTarget();
/** Lines of the last batch: `{name, job, state, image, reason}`. */
let lines = [];

const tell = () => changes.dispatchEvent(new Event("change"));

// ---- choosing files

class BatchFiles extends HTMLElement {
  connectedCallback() {
    this.input = h("input", {
      type: "file",
      accept: "image/*",
      multiple: true,
      class: "easel-offscreen",
      id: `${this.id}_input`,
      onchange: () => this.#add(this.input.files),
    });
    this.zone = h(
      "label",
      { class: "drop", for: this.input.id },
      icon("upload"),
      h("span", { class: "title" }, t("img2img.batch_drop")),
      h("span", { class: "small" }, t("img2img.batch_drop_hint")),
    );
    this.list = h("ul", { class: "files", "aria-label": t("img2img.batch_files") });
    this.bar = h("div", { class: "bar" });
    this.replaceChildren(this.input, this.zone, this.bar, this.list);
    this.zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.classList.add("dropping");
    });
    this.zone.addEventListener("dragleave", () => this.classList.remove("dropping"));
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.classList.remove("dropping");
      this.#add(event.dataTransfer.files);
    });
    this.#draw();
  }

  #add(found) {
    files.push(...found);
    this.input.value = "";
    this.#draw();
  }

  #draw() {
    const clear = () => {
      files.length = 0;
      this.#draw();
    };
    this.bar.hidden = !files.length;
    this.bar.replaceChildren(
      h("span", { role: "status" }, t("img2img.batch_count", { count: files.length })),
      button("trash", t("img2img.batch_clear"), clear, { kind: "chip" }),
    );
    this.list.replaceChildren(...files.map((file, at) => this.#line(file, at)));
  }

  #line(file, at) {
    const drop = () => {
      files.splice(at, 1);
      this.#draw();
    };
    const out = button("close", t("img2img.batch_take_out", { name: file.name }), drop, { quiet: true });
    return h("li", {}, h("span", { class: "name" }, file.name), out);
  }
}
customElements.define("easel-batch-files", BatchFiles);

// ---- sending

/** Queue a batch; `asked` is the request of one picture, `batch` the fields of the Batch tab. */
export async function submit(asked, batch) {
  const fromFolder = batchSource() === "from_dir";
  if (fromFolder && !batch.directory.trim()) return toast.warning(t("img2img.batch_no_directory"));
  if (!fromFolder && !files.length) return toast.warning(t("img2img.batch_no_files"));
  const sources = fromFolder ? folder(batch) : await uploaded();
  const { skipped = [], ...rest } = sources;
  if (!fromFolder && !rest.refs.length) {
    show([], skipped);
    return toast.error(t("img2img.batch_nothing"));
  }
  const answer = await api.post("/easel/v1/batch", { kind: TAB, request: asked, ...info(batch), ...rest });
  show(answer.jobs, [...skipped, ...(answer.skipped ?? [])], rest.names);
  const told = { count: answer.jobs.length, skipped: skipped.length + (answer.skipped?.length ?? 0) };
  toast.success(t(told.skipped ? "img2img.batch_queued_skipped" : "img2img.batch_queued", told));
  document.dispatchEvent(new CustomEvent("easel:submitted", { detail: { tab: TAB, answer } }));
  return answer;
}

function folder({ directory, output_directory: output, mask_directory: masks }) {
  const given = { directory: directory.trim() };
  if (output.trim()) given.output_directory = output.trim();
  if (masks.trim()) given.mask_directory = masks.trim();
  return given;
}

function info({ use_png_info: use, png_info_directory: directory, png_info_fields: fields }) {
  if (!use) return {};
  return { png_info: { directory: directory.trim() || null, fields: fields ?? [] } };
}

/** References of the chosen files; those that are no picture are left out and named. */
async function uploaded() {
  const found = { refs: [], names: [], skipped: [] };
  for (const file of files) {
    try {
      found.refs.push(await uploads.reference(file));
      found.names.push(file.name);
    } catch (problem) {
      if (problem.status === 0 || problem.status >= 500) throw problem;
      found.skipped.push({ name: file.name, reason: problem.message });
    }
  }
  return found;
}

// ---- captions

/** Describe every chosen file in words; one text a picture, under its name, in a ZIP archive. */
export async function captions(model) {
  if (batchSource() === "from_dir") return toast.info(t("img2img.captions_folder"));
  if (!files.length) return toast.warning(t("img2img.batch_no_files"));
  const written = new Map();
  for (const file of files) {
    const image = await uploads.reference(file);
    const { caption } = await api.post("/easel/v1/interrogate", { image, model });
    const stem = file.name.replace(/\.[^.]*$/, "");
    let name = stem;
    for (let n = 2; written.has(`${name}.txt`); n += 1) name = `${stem} (${n})`;
    written.set(`${name}.txt`, new TextEncoder().encode(`${caption}\n`));
  }
  const url = URL.createObjectURL(zip([...written].map(([name, bytes]) => ({ name, bytes }))));
  h("a", { href: url, download: "captions.zip" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  return toast.success(t("img2img.captions_done", { count: written.size }));
}

// ---- results

function show(jobs, skipped, names = []) {
  lines = [
    ...skipped.map(({ name, reason }) => ({ name, state: "skipped", reason })),
    ...jobs.map((job, at) => {
      const id = typeof job === "string" ? job : job.id;
      const name = job.name ?? names[at] ?? t("img2img.batch_number", { n: at + 1 });
      return { name, job: id, state: "queued" };
    }),
  ];
  for (const brief of [...live.queue, ...live.recent]) follow(brief, false);
  tell();
}

/** What the live channel says of a job of the batch. */
function follow(job, draw = true) {
  const line = lines.find((one) => one.job === job.id);
  if (!line) return;
  line.state = job.state;
  line.reason = job.error;
  line.image = job.images?.find((image) => image.kind === "image") ?? line.image;
  if (draw) tell();
}
live.on("job", follow);
live.on("queue", ({ jobs }) => jobs.forEach((job) => follow(job)));
live.on("image", ({ job, image }) => {
  const line = lines.find((one) => one.job === job);
  if (!line || image.kind !== "image") return;
  line.image = image;
  tell();
});

class BatchResults extends HTMLElement {
  connectedCallback() {
    this.draw = () => this.#draw();
    changes.addEventListener("change", this.draw);
    this.#draw();
  }

  disconnectedCallback() {
    changes.removeEventListener("change", this.draw);
  }

  #draw() {
    this.hidden = lines.length === 0;
    if (this.hidden) return this.replaceChildren();
    const over = lines.filter((line) => !["queued", "running", "paused"].includes(line.state)).length;
    const heading = t("img2img.batch_done", { done: over, all: lines.length });
    const stop = button("stop", t("img2img.batch_stop"), stopAll, { kind: "chip" });
    stop.hidden = over === lines.length;
    this.replaceChildren(
      h("div", { class: "bar" }, h("span", { role: "status" }, heading), stop),
      h("ul", { class: "results", "aria-label": t("img2img.batch_results") }, ...lines.map(row)),
    );
  }
}
customElements.define("easel-batch-results", BatchResults);

function row({ name, state, image, reason }) {
  const pictures = lines.filter((line) => line.image).map((line) => line.image);
  const open = () => view(pictures, pictures.indexOf(image));
  const thumb = image
    ? h(
        "button",
        { type: "button", class: "thumb", onclick: open, "aria-label": t("output.view_name", { name }) },
        h("img", { src: config.root + image.thumb, alt: "", loading: "lazy" }),
      )
    : h("span", { class: "thumb" }, icon(state === "skipped" || state === "failed" ? "warning" : "picture"));
  const said = state === "skipped" ? t("img2img.batch_skipped") : t(`state.${state}`);
  return h(
    "li",
    { class: state },
    thumb,
    h("span", { class: "name" }, name),
    h("span", { class: "state" }, said),
    reason && h("span", { class: "reason" }, reason),
  );
}

/** Take out what waits and interrupt what runs. */
function stopAll() {
  return toast.guard(async () => {
    const open = lines.filter((line) => ["queued", "running", "paused"].includes(line.state));
    for (const { job } of open.reverse()) await api.post(`/easel/v1/jobs/${encodeURIComponent(job)}/cancel`);
  });
}

