// <easel-picture tab="…">: a place for the picture that a tab works on: drop, paste, choose, take away.
import * as sources from "./sources.js";
import { picture } from "./drop.js";
import { button, h, icon } from "./dom.js";

const { t, config } = window.Easel;

/** An empty place that takes files; `take(file)` hears of each. Returns its element. */
export function dropZone(id, take, { multiple = false, text = "picture.drop" } = {}) {
  const input = h("input", {
    type: "file",
    accept: "image/*",
    id: `${id}_file`,
    class: "easel-offscreen",
    multiple,
    onchange: () => {
      for (const file of input.files) take(file);
      input.value = "";
    },
  });
  const zone = h(
    "label",
    { class: "easel-drop", for: input.id },
    icon("upload"),
    h("span", { class: "words" }, t(text)),
    h("span", { class: "small" }, t("picture.drop_hint")),
  );
  return h("div", { class: "easel-drop-holder" }, input, zone);
}

/** Let `node` take dropped pictures, those of this page's gallery too. */
export function takesDrops(node, take) {
  node.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.stopPropagation();
    node.classList.add("dropping");
  });
  node.addEventListener("dragleave", (event) => {
    if (!node.contains(event.relatedTarget)) node.classList.remove("dropping");
  });
  node.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    node.classList.remove("dropping");
    const files = [...(event.dataTransfer.files ?? [])];
    if (files.length) for (const file of files) take(file);
    else {
      const found = await picture(event.dataTransfer);
      if (found) take(found);
    }
  });
}

/** Let `node`, while it is on screen, take pictures pasted anywhere but into a prompt. */
export function takesPaste(node, take) {
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    const elsewhere = event.defaultPrevented || event.target.closest?.(".easel-prompt");
    if (!file || elsewhere || !node.offsetParent) return;
    event.preventDefault();
    take(file);
  });
}

class Picture extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.tab = this.getAttribute("tab");
    const take = (file) => sources.adopt(this.tab, file, file.name ?? "");
    this.zone = dropZone(this.id || `${this.tab}_picture`, take);
    takesDrops(this, take);
    takesPaste(this, take);
    sources.follow(this.tab, (source) => this.#draw(source));
  }

  #draw(source) {
    if (!source) return this.replaceChildren(this.zone);
    const shown = h("img", { src: config.root + source.url, alt: source.name || t("picture.source") });
    shown.addEventListener("error", () => sources.set(this.tab, null));
    this.replaceChildren(h("div", { class: "easel-source" }, shown), sourceBar(this.tab, source, this.zone));
  }
}
customElements.define("easel-picture", Picture);

/** Name and size of a tab's picture with buttons to change it or take it away. */
export function sourceBar(tab, { name, width, height }, zone, ...more) {
  const choose = () => zone.querySelector("input").click();
  return h(
    "div",
    { class: "easel-source-bar" },
    h("span", { class: "facts" }, [name, `${width} × ${height}`].filter(Boolean).join(" · ")),
    ...more,
    button("upload", t("picture.replace"), choose, { quiet: true }),
    button("close", t("picture.remove"), () => sources.set(tab, null), { quiet: true }),
    h("span", { hidden: true }, zone),
  );
}
