// The PNG Info tab: drop a picture, see everything that its file says, send it on.
import * as api from "./api.js";
import * as form from "./form.js";
import { replayFile } from "./replay.js";
import * as send from "./send.js";
import * as toast from "./toast.js";
import { picture } from "./drop.js";
import { button, copyText, h, icon, openTab } from "./dom.js";
import { infotext } from "./words.js";
import { hasParameters } from "./prompt.js";
import { downloadCleanFile, provenanceOf } from "./provenance.js";

const { t, config, has } = window.Easel;
const SENDS = [
  ["picture", "img2img"],
  ["brush", "inpaint"],
  ["outpaint", "outpaint"],
  ["enlarge", "extras"],
];
let waiting = null;

class ImageInfo extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.input = h("input", {
      type: "file",
      accept: "image/*",
      id: "pnginfo_file",
      class: "easel-offscreen",
      onchange: () => this.#file(this.input.files[0]),
    });
    this.picture = h("div", { class: "well" });
    this.zone = h("label", { class: "zone", for: "pnginfo_file", id: "pnginfo_image" }, this.picture);
    this.result = h("div", { class: "result", id: "pnginfo_result", "aria-live": "polite" });
    this.replaceChildren(h("div", { class: "left" }, this.input, this.zone), this.result);
    this.#empty();
    this.zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.zone.classList.add("dropping");
    });
    this.zone.addEventListener("drop", async (event) => {
      event.preventDefault();
      this.#file(await picture(event.dataTransfer));
    });
    document.addEventListener("paste", (event) => {
      if (this.offsetParent && event.clipboardData?.files?.length) this.#file(event.clipboardData.files[0]);
    });
    const show = (what) => (what instanceof Blob ? this.#file(what) : this.#image(what));
    document.addEventListener("easel:show-image", (event) => show(event.detail));
    if (waiting) show(waiting);
    waiting = null;
  }

  #empty() {
    this.#ask();
    this.result.replaceChildren(h("p", { class: "hint" }, t("info.empty")));
  }

  /** No picture, but a place for one. What was said of the last one stays. */
  #ask() {
    this.picture.replaceChildren(
      icon("upload"),
      h("p", {}, t("info.drop")),
      h("p", { class: "small" }, t("info.drop_hint")),
    );
  }

  async #image(image) {
    const answer = await fetch(config.root + image.url).catch(() => null);
    if (answer?.ok) this.#file(await answer.blob(), image.name);
  }

  async #file(file, name) {
    if (!file) return;
    this.zone.classList.remove("dropping");
    this.file = file;
    this.name = name ?? file.name ?? "";
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = URL.createObjectURL(file);
    const shown = h("img", { src: this.address, alt: name ?? file.name ?? t("info.picture") });
    shown.addEventListener("error", () => this.#ask());
    this.picture.replaceChildren(shown);
    this.result.replaceChildren(h("p", { class: "hint" }, t("info.reading")));
    try {
      this.#show(await api.imageInfo(file));
    } catch (problem) {
      this.result.replaceChildren(h("p", { class: "bad", role: "alert" }, problem.message));
    }
    this.input.value = "";
  }

  #show(found) {
    const facts = [found.format, found.width && `${found.width} × ${found.height}`]
      .filter(Boolean)
      .join(" · ");
    const parts = [h("p", { class: "facts" }, facts, this.#origin(found)), this.#sends(found)];
    if (found.info) parts.push(infotext(found.info), ...this.#remarks(found), this.#table(found));
    else parts.push(h("p", { class: "hint" }, t("info.nothing")));
    parts.push(provenanceOf(this.file));
    const others = Object.entries(found.items ?? {}).filter(([name]) => name !== "parameters");
    if (others.length) {
      parts.push(
        h("h3", {}, t("info.other")),
        ...others.map(([name, text]) =>
          h(
            "details",
            {},
            h("summary", {}, name),
            h("pre", {}, typeof text === "string" ? text : JSON.stringify(text, null, 2)),
          ),
        ),
      );
    }
    this.result.replaceChildren(...parts.filter(Boolean));
  }

  /** The program that wrote the text, when it is not one of A1111's way of writing. */
  #origin({ dialect, info }) {
    if (!info || !dialect || dialect === "a1111") return null;
    const name = has(`dialect.${dialect}`) ? t(`dialect.${dialect}`) : dialect;
    return h("span", { class: "origin" }, t("info.made_by", { name }));
  }

  /** Everywhere the picture or its parameters can go. */
  #sends(found) {
    const row = h("div", { class: "tools", role: "toolbar", "aria-label": t("output.sends") });
    const act = (name, text, run, kind, id) => row.append(Object.assign(button(name, text, run, { kind }), { id }));
    if (hasParameters(found)) {
      const use = () => {
        openTab("txt2img");
        form.fill("txt2img", found.fields, found.override_settings, "send");
      };
      act("send", t("info.to_txt2img"), use, "primary", "pnginfo_send_to_txt2img");
    }
    for (const [name, target] of SENDS) {
      const options = { parameters: hasParameters(found), infotext: found.info, name: this.name };
      const go = () => send.picture(this.file, target, options);
      act(name, t(`send.${target}`), go, "", `pnginfo_send_to_${target}`);
    }
    if (found.info) {
      const copy = async () => (await copyText(found.info)) && toast.success(t("output.copied"));
      act("copy", t("output.copy"), copy, "", "pnginfo_copy");
      act("repeat", t("replay.button"), () => replayFile(this.file), "", "pnginfo_replay");
    }
    act("shield", t("provenance.clean"), () => downloadCleanFile(this.file), "", "pnginfo_clean");
    return row;
  }

  /** What cannot be done here as it was done there, and keys that nothing here uses. */
  #remarks({ notes = [], unknown = [] }) {
    const names = Array.isArray(unknown) ? unknown : Object.keys(unknown);
    const rows = [...notes];
    if (names.length) rows.push(t("info.unknown", { names: names.join(", ") }));
    if (!rows.length) return [];
    const list = rows.map((text) => h("li", {}, text));
    return [h("div", { class: "remarks" }, h("h3", {}, t("info.differs")), h("ul", {}, ...list))];
  }

  /** The parameters that the text names; those that only follow from it are left out. */
  #table({ parameters, info }) {
    const written = (name) => info.includes(`${name.replace(/-[12]$/, "")}:`);
    const rows = Object.entries(parameters ?? {}).filter(
      ([name]) => !["Prompt", "Negative prompt"].includes(name) && written(name),
    );
    if (!rows.length) return null;
    return h(
      "table",
      {},
      h("caption", {}, t("info.parameters")),
      h(
        "tbody",
        {},
        ...rows.map(([name, value]) =>
          h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, String(value))),
        ),
      ),
    );
  }
}
customElements.define("easel-image-info", ImageInfo);

// The tab may never have been open: remember the picture until its element exists.
document.addEventListener("easel:show-image", (event) => {
  if (!document.querySelector("easel-image-info")?.built) waiting = event.detail;
});
