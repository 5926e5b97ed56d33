// Before and after over each other, with a divider to move: <easel-compare before="…" after="…">;
// `replay` calls them the original and what was made again.
import { h } from "./dom.js";

const { t } = window.Easel;

class Compare extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    const image = (name) => h("img", { src: this.getAttribute(name), alt: "", class: name, draggable: "false" });
    // A slider over the whole picture gives mouse, touch and keyboard alike.
    this.range = h("input", {
      type: "range",
      min: "0",
      max: "100",
      step: "0.5",
      value: "50",
      "aria-label": t("compare.divider"),
      oninput: () => this.#draw(),
    });
    const word = this.hasAttribute("replay") ? (name) => t(`replay.${name}`) : (name) => t(`compare.${name}`);
    const tag = (name) => h("span", { class: `tag ${name}`, "aria-hidden": "true" }, word(name));
    this.append(
      image("after"),
      image("before"),
      h("i", { class: "line", "aria-hidden": "true" }),
      tag("before"),
      tag("after"),
      this.range,
    );
    const [width, height] = (this.getAttribute("shape") ?? "1/1").split("/").map(Number);
    this.style.aspectRatio = `${width} / ${height}`;
    this.style.setProperty("--ratio", String(width / height));
    this.#draw();
  }

  #draw() {
    const at = Number(this.range.value);
    this.style.setProperty("--at", `${at}%`);
    this.range.setAttribute("aria-valuetext", t("compare.share", { percent: Math.round(at) }));
  }
}
customElements.define("easel-compare", Compare);
