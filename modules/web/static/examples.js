// The model's example prompts, offered while the prompt is empty.
import * as form from "./form.js";
import * as page from "./page.js";
import { h } from "./dom.js";
import { live } from "./live.js";

const { t } = window.Easel;

class Examples extends HTMLElement {
  connectedCallback() {
    this.tab = this.getAttribute("tab");
    this.hidden = true;
    document.addEventListener("easel:form", (event) => event.detail.tab === this.tab && this.#draw());
    live.on("snapshot model", () => this.#draw());
    this.#draw();
  }

  async #draw() {
    const { examples } = await page.state().catch(() => ({ examples: [] }));
    const empty = !(form.values(this.tab).prompt ?? "").trim();
    this.hidden = !empty || !examples.length;
    if (this.hidden || this.dataset.made === examples.join("|")) return;
    this.dataset.made = examples.join("|");
    const chips = examples
      .slice(0, 6)
      .map((text) =>
        h("button", { type: "button", onclick: () => form.apply(this.tab, { prompt: text }) }, text),
      );
    this.replaceChildren(h("span", {}, t("examples.try")), ...chips);
  }
}
customElements.define("easel-examples", Examples);
