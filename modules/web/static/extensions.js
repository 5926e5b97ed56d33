// The Extensions tab: installed ones, lists of others, an address, and kept states.
import "./extensions-installed.js";
import "./extensions-available.js";
import "./extensions-address.js";
import "./extensions-states.js";
import { h, icon } from "./dom.js";

const { t } = window.Easel;
const PARTS = [
  ["installed", "box"],
  ["available", "search"],
  ["address", "link"],
  ["states", "save"],
];

class Extensions extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.list = h("div", { role: "tablist", class: "easel-strip", "aria-label": t("extensions.parts") });
    this.list.addEventListener("keydown", (event) => this.#keys(event));
    this.note = h("p", { class: "easel-card warn", role: "status", hidden: true });
    this.panels = {};
    for (const [key, picture] of PARTS) {
      const name = `extensions_${key}`;
      const controls = { type: "button", role: "tab", id: `${name}-button`, "aria-controls": name, dataset: { key }, onclick: () => this.choose(key) };
      this.list.append(h("button", controls, icon(picture), h("span", {}, t(`extensions.part_${key}`))));
      this.panels[key] = h("section", { role: "tabpanel", id: name, "aria-labelledby": `${name}-button` });
    }
    this.append(this.list, this.note, ...Object.values(this.panels));
    this.addEventListener("easel:overview", ({ detail }) => this.#tell(detail.forbidden));
    this.addEventListener("easel:look", ({ detail }) => this.#look(detail));
    this.choose("installed");
  }

  choose(key) {
    for (const one of this.list.children) {
      const chosen = one.dataset.key === key;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
    }
    for (const [name, panel] of Object.entries(this.panels)) panel.hidden = name !== key;
    const panel = this.panels[key];
    if (!panel.firstElementChild) panel.append(document.createElement(`easel-extensions-${key}`));
    else panel.firstElementChild.seen?.();
  }

  #tell(forbidden) {
    this.note.hidden = !forbidden;
    this.note.textContent = forbidden;
  }

  #look(url) {
    this.choose("address");
    this.panels.address.firstElementChild.look(url);
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
customElements.define("easel-extensions", Extensions);
