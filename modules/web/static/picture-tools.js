// The buttons under a picture: look at it, keep it, read it, go on with it in another tab.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as send from "./send.js";
import * as toast from "./toast.js";
import { saveAsPreview } from "./cards-preview.js";
import { continueFrom } from "./outpaint.js";
import { button, copyText, h, openTab } from "./dom.js";
import { replayImage } from "./replay.js";
import { secondPass } from "./second-pass.js";
import { zip } from "./zip.js";

const { t, config } = window.Easel;
const SENDS = [
  ["picture", "img2img"],
  ["brush", "inpaint"],
  ["outpaint", "outpaint"],
  ["enlarge", "extras"],
];

/** The two rows of buttons of a result panel; `draw()` fits them to what it shows. */
export class PictureTools {
  constructor(panel) {
    this.panel = panel;
    const { tab } = panel;
    const named = (node, id) => Object.assign(node, { id });
    const quiet = { quiet: true };
    this.compare = button("compare", t("output.compare"), () => panel.compare(), quiet);
    this.zip = named(
      button("zip", t("output.zip"), () => this.#zip(), quiet),
      `save_zip_${tab}`,
    );
    this.folder = named(
      button("folder", t("output.folder"), () => this.#folder(), quiet),
      `${tab}_open_folder`,
    );
    this.replay = named(
      button("repeat", t("replay.button"), () => this.#replay(), quiet),
      `${tab}_replay`,
    );
    this.use = button("paste", t("output.use"), () => this.#use());
    const keeps = [
      button("expand", t("output.view"), () => panel.view(), quiet),
      this.compare,
      named(
        button("download", t("output.download"), () => this.#download(), quiet),
        `download_${tab}`,
      ),
      named(
        button("save", t("output.save"), () => this.#save(), quiet),
        `save_${tab}`,
      ),
      named(
        button("card", t("output.as_preview"), () => this.#preview(), quiet),
        `${tab}_save_preview`,
      ),
      this.zip,
      this.folder,
      button("copy", t("output.copy"), () => this.#copy(), quiet),
      this.replay,
    ];
    const reads = [this.use, button("info", t("output.to_png_info"), () => this.#toInfo())];
    const sends = SENDS.filter(([, target]) => target !== tab).map(([icon, target]) =>
      named(
        button(icon, t(`send.${target}`), () => this.#send(target)),
        `${tab}_send_to_${target}`,
      ),
    );
    if (tab === "txt2img") {
      const pass = button("spark", t("output.hires"), () => this.#second(), { kind: "sparkle" });
      pass.title = t("output.hires_hint");
      sends.push(named(pass, "txt2img_upscale"));
    }
    const first = [];
    if (tab === "outpaint") {
      const on = button("outpaint", t("output.continue"), () => this.#continue(), { kind: "sparkle" });
      first.push(named(on, "outpaint_continue"));
    }
    const row = (name, label, ...nodes) =>
      h("div", { class: `row ${name}`, role: "toolbar", "aria-label": label }, ...nodes);
    this.element = h(
      "div",
      { class: "tools", hidden: true },
      row("keeps", t("output.tools"), ...keeps, h("span", { class: "grow" }), ...reads),
      row("sends", t("output.sends"), ...first, h("span", { class: "label", "aria-hidden": "true" }, t("output.sends")), ...sends),
    );
  }

  draw() {
    const { images, canCompare, comparing, tab } = this.panel;
    this.element.hidden = images.length === 0;
    this.zip.hidden = images.length < 2;
    this.folder.hidden = !page.options.can_open_folder;
    this.use.hidden = tab === "extras";
    this.replay.hidden = tab === "extras";
    this.compare.hidden = !canCompare;
    this.compare.classList.toggle("on", comparing);
    this.compare.setAttribute("aria-pressed", String(comparing));
  }

  /** The picture that is shown alone, else the first (a grid, if there is one). */
  get #shown() {
    const { selected, images, current } = this.panel;
    return selected === null ? images[0] : current;
  }

  #download() {
    const image = this.#shown;
    if (image) h("a", { href: config.root + image.download, download: image.name ?? "" }).click();
  }

  async #save() {
    const image = this.#shown;
    if (!image) return;
    const found = await toast.guard(() => api.post("/easel/page/save-picture", { image_id: image.id }));
    if (found) toast.success(t("output.saved", { path: found.path }));
  }

  #preview() {
    const image = this.panel.current ?? this.panel.images[0];
    if (image) saveAsPreview(image);
  }

  async #zip() {
    const files = await toast.guard(() => Promise.all(this.panel.images.map(bytesOf)));
    if (!files) return;
    const address = URL.createObjectURL(zip(files));
    h("a", { href: address, download: `easel-${this.panel.job.id}.zip` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  #folder() {
    const image = this.#shown;
    if (image) toast.guard(() => api.post("/easel/page/open-folder", { image_id: image.id }));
  }

  async #copy() {
    const { current } = this.panel;
    if (current && (await copyText(current.infotext))) toast.success(t("output.copied"));
  }

  async #use() {
    const { current, tab } = this.panel;
    if (!current) return;
    await toast.guard(async () => {
      const found = await api.textInfo(current.infotext);
      await form.fill(tab, found.fields, found.override_settings, "send");
    });
  }

  #replay() {
    const { current } = this.panel;
    if (current?.kind === "image") replayImage(current);
    else toast.info(t("output.choose"));
  }

  #toInfo() {
    const image = this.panel.current ?? this.panel.images[0];
    if (!image) return;
    openTab("pnginfo");
    document.dispatchEvent(new CustomEvent("easel:show-image", { detail: image }));
  }

  #send(target) {
    const image = this.#shown;
    if (!image) return;
    const { infotext, name } = image;
    // What img2img made is a picture to go on with; its parameters are in that form already.
    const parameters = this.panel.tab !== "extras" && send.TARGETS[target] !== this.panel.tab;
    send.picture(image.id, target, { parameters, infotext, name: name ?? "" });
  }

  #continue() {
    const { current } = this.panel;
    if (current) continueFrom(current);
  }

  #second() {
    const { current } = this.panel;
    if (current) secondPass(current);
    else toast.info(t("output.choose"));
  }
}

async function bytesOf(image) {
  const answer = await fetch(config.root + image.url);
  if (!answer.ok) throw new Error(t("error.status", { status: answer.status }));
  return { name: image.name ?? `${image.id}.png`, bytes: new Uint8Array(await answer.arrayBuffer()) };
}
