// Above the settings of models in memory: which ones are there, and a way to free and fill it.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { live } from "./live.js";
import { button, h } from "./dom.js";

const { t } = window.Easel;

class MemoryPanel extends HTMLElement {
  connectedCallback() {
    if (this.words) return;
    this.words = h("p", { role: "status" });
    this.unload = button("trash", t("settings.unload"), () => this.#ask("unload"));
    this.reload = button("refresh", t("settings.reload"), () => this.#ask("reload"));
    this.replaceChildren(this.words, h("div", { class: "pair" }, this.unload, this.reload));
    live.on("snapshot model", () => this.#draw());
    this.#draw();
  }

  #draw() {
    const { model } = live;
    const names = model?.resident ?? [];
    this.words.textContent = names.length
      ? t("settings.in_memory", { names: names.join(", ") })
      : t("settings.nothing_in_memory");
    this.unload.disabled = !names.length;
    this.reload.disabled = names.length > 0 || model?.state === "loading";
  }

  #ask(what) {
    toast.guard(() => api.post(`/easel/v1/models/${what}`));
  }
}
customElements.define("easel-memory", MemoryPanel);
