// The Models tab: its two parts, and the way to it from elsewhere.
import "./downloads.js";
import "./ledger.js";
import { h, icon, openTab } from "./dom.js";

const { t } = window.Easel;
const PARTS = [
  ["downloads", "download"],
  ["ledger", "licence"],
];

class Models extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.list = h("div", { role: "tablist", class: "easel-strip", "aria-label": t("models.parts") });
    this.list.addEventListener("keydown", (event) => this.#keys(event));
    this.panels = {};
    for (const [key, picture] of PARTS) {
      const name = `models_${key}`;
      this.list.append(
        h(
          "button",
          {
            type: "button",
            role: "tab",
            id: `${name}-button`,
            "aria-controls": name,
            dataset: { key },
            onclick: () => this.choose(key),
          },
          icon(picture),
          h("span", {}, t(`models.${key}`)),
        ),
      );
      this.panels[key] = h("section", { role: "tabpanel", id: name, "aria-labelledby": `${name}-button` });
    }
    this.append(this.list, ...Object.values(this.panels));
    this.choose("downloads");
  }

  choose(key) {
    for (const one of this.list.children) {
      const chosen = one.dataset.key === key;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
    }
    for (const [name, panel] of Object.entries(this.panels)) panel.hidden = name !== key;
    const panel = this.panels[key];
    if (!panel.firstElementChild) panel.append(document.createElement(`easel-${key}`));
    else panel.firstElementChild.seen?.();
  }

  #keys(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const all = [...this.list.children];
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    event.preventDefault();
    next.focus();
    this.choose(next.dataset.key);
  }
}
customElements.define("easel-models", Models);

document.addEventListener("easel:get-models", () => {
  openTab("models");
  setTimeout(() => {
    document.querySelector("easel-models")?.choose("downloads");
    document.getElementById("download_address")?.focus();
  }, 100);
});
