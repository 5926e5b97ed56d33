// <easel-merge-blocks>: one slider for each block of the UNet, and ready-made curves for all of them.
import * as api from "./api.js";
import * as form from "./form.js";
import { debounce, h } from "./dom.js";

const { t } = window.Easel;
const TAB = "modelmerger";

class MergeBlocks extends HTMLElement {
  model = null;
  blocks = { count: 0, labels: [], presets: {} };

  connectedCallback() {
    document.addEventListener("easel:form", this.#hear);
    this.#take(form.values(TAB));
  }

  disconnectedCallback() {
    document.removeEventListener("easel:form", this.#hear);
  }

  #hear = ({ detail }) => detail.tab === TAB && this.#take(detail.values);

  async #take(values) {
    this.text = values.block_weights ?? "";
    if (!values.blocks_enabled) return;
    const model = values.primary_model_name ?? "";
    if (model !== this.model) {
      this.model = model;
      const path = `/easel/v1/merge/blocks?model=${encodeURIComponent(model)}`;
      this.blocks = await api.get(path).catch(() => ({ count: 0, labels: [], presets: {} }));
      this.#build();
    }
    this.#show();
  }

  #build() {
    const { count, labels, presets } = this.blocks;
    this.sliders = [];
    if (!count) {
      const text = this.model ? "merger.no_blocks" : "merger.choose_for_blocks";
      this.replaceChildren(h("p", { class: "hint" }, t(text)));
      return;
    }
    const names = Object.keys(presets);
    const choice = h(
      "select",
      { "aria-label": t("merger.preset"), id: `${TAB}_preset`, onchange: () => this.#preset(choice.value) },
      h("option", { value: "" }, t("merger.preset")),
      ...names.map((name) => h("option", { value: name }, name)),
    );
    this.choice = choice;
    const sliders = labels.map((label, at) => this.#slider(label, at));
    const columns = ["IN", "M", "OUT"].map((group) => {
      const own = sliders.filter((_, at) => labels[at].replace(/\d+/, "") === group);
      return h("div", { class: "group" }, ...own);
    });
    this.replaceChildren(h("div", { class: "head" }, choice), h("div", { class: "groups" }, ...columns));
  }

  #slider(label, at) {
    const value = h("output", {}, "");
    const input = h("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.01",
      "aria-label": label,
      oninput: () => {
        draw(input, value);
        this.choice.value = "";
        this.#tell();
      },
    });
    this.sliders[at] = { input, value };
    return h("label", { class: "block" }, h("span", {}, label), input, value);
  }

  #preset(name) {
    const weights = this.blocks.presets[name];
    if (weights) form.apply(TAB, { block_weights: weights.join(", ") });
  }

  #tell = debounce(() => {
    const weights = this.sliders.map(({ input }) => Number(input.value));
    form.apply(TAB, { block_weights: [...this.#rest(), ...weights].join(", ") });
  }, 150);

  /** The one number more, which is for everything outside the UNet. */
  #rest() {
    const given = numbers(this.text);
    return given.length === this.blocks.count + 1 ? given.slice(0, 1) : [];
  }

  #show() {
    if (!this.sliders?.length || this.contains(document.activeElement)) return;
    const given = numbers(this.text);
    const own = given.slice(given.length - this.blocks.count);
    const fits = given.length === this.blocks.count || given.length === this.blocks.count + 1;
    const otherwise = Number(form.values(TAB).multiplier ?? 0.3);
    this.sliders.forEach(({ input, value }, at) => {
      input.value = String(fits ? own[at] : otherwise);
      draw(input, value);
    });
  }
}
customElements.define("easel-merge-blocks", MergeBlocks);

function draw(input, value) {
  value.textContent = Number(input.value).toFixed(2);
  input.style.setProperty("--share", `${100 * Number(input.value)}%`);
}

function numbers(text) {
  const parts = String(text).split(/[,\n]/).map((part) => part.trim());
  return parts.filter(Boolean).map(Number).filter(Number.isFinite);
}
