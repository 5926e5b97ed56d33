// Lists of extensions: the curated one with what works here, or one behind an address.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { button, debounce, h, icon } from "./dom.js";

const { t } = window.Easel;
const WORKS = ["expected", "partly", "unknown", "no"];
const MOST = 200;

class Available extends HTMLElement {
  listed = [];

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.search = h("input", { type: "search", id: "extensions_search", placeholder: t("extensions.search"), "aria-label": t("extensions.search"), oninput: debounce(() => this.#draw(), 120) });
    this.works = h(
      "select",
      { id: "extensions_works", "aria-label": t("extensions.works"), onchange: () => this.#draw() },
      h("option", { value: "" }, t("extensions.works_all")),
      ...WORKS.map((name) => h("option", { value: name }, t(`extensions.works_${name}`))),
    );
    this.url = h("input", { type: "text", id: "extensions_index", autocomplete: "off", spellcheck: "false", placeholder: t("extensions.index_hint"), "aria-label": t("extensions.index") });
    this.load = button("download", t("extensions.index_load"), () => this.#load(this.url.value.trim()));
    this.load.id = "extensions_index_load";
    this.words = h("p", { class: "count", role: "status" });
    this.list = h("div", { id: "extensions_available_list" });
    this.append(
      h("p", { class: "hint" }, t("extensions.available_hint")),
      h("div", { class: "tools" }, h("span", { class: "find" }, icon("search"), this.search), this.works, h("span", { class: "grow" }), this.url, this.load),
      this.words,
      this.list,
    );
    this.seen();
  }

  seen() {
    this.#load(this.shown ?? "");
  }

  async #load(url) {
    const found = await toast.guard(() => api.post("/easel/v1/extensions/index", { url }));
    if (!found) return;
    this.shown = url;
    this.listed = found.extensions;
    this.#draw();
  }

  #draw() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one) => {
      const text = `${one.name} ${one.url} ${one.description} ${one.tags.join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word)) && (!this.works.value || one.works === this.works.value);
    };
    const found = this.listed.filter(fits);
    this.words.textContent = t("extensions.available_count", { shown: Math.min(found.length, MOST), total: this.listed.length });
    this.list.replaceChildren(...found.slice(0, MOST).map((one) => this.#row(one)));
  }

  #row(one) {
    const look = button("search", t("extensions.look"), () => this.dispatchEvent(new CustomEvent("easel:look", { bubbles: true, detail: one.url })));
    look.disabled = one.installed;
    return h(
      "article",
      { class: "easel-card extension", dataset: { works: one.works } },
      h("header", {}, h("h3", {}, one.name), h("span", { class: `badge ${one.works}` }, t(`extensions.works_${one.works}`)), h("span", { class: "grow" }), one.installed ? h("span", { class: "count" }, t("extensions.is_installed")) : "", look),
      h("p", {}, one.description),
      one.why ? h("p", { class: "off" }, icon("info"), h("span", {}, one.why)) : "",
      h("p", { class: "facts" }, [one.url, ...one.tags].join(" · ")),
    );
  }
}
customElements.define("easel-extensions-available", Available);
