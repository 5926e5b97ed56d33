// <easel-segments tab field options="value:text key,…">: one of few choices, for a field of the form.
import * as form from "./form.js";
import { h } from "./dom.js";

const { t } = window.Easel;

class Segments extends HTMLElement {
  connectedCallback() {
    this.tab = this.getAttribute("tab");
    this.field = this.getAttribute("field");
    this.setAttribute("role", "radiogroup");
    this.setAttribute("aria-label", t(this.getAttribute("label")));
    const choices = this.getAttribute("options").split(",");
    const title = this.getAttribute("titled") && h("span", { class: "title" }, t(this.getAttribute("label")));
    const parts = h(
      "div",
      { class: "parts" },
      ...choices.map((choice) => {
        const [value, text, hint] = choice.split(":");
        const radio = h("input", {
          type: "radio",
          name: `${this.tab}_${this.field}`,
          value,
          onchange: () => form.apply(this.tab, { [this.field]: typed(value) }),
        });
        return h("label", { title: hint ? t(hint) : null }, radio, h("span", {}, t(text)));
      }),
    );
    this.replaceChildren(...[title, parts].filter(Boolean));
    document.addEventListener("easel:form", this.#hear);
    this.#draw(form.values(this.tab));
  }

  disconnectedCallback() {
    document.removeEventListener("easel:form", this.#hear);
  }

  #hear = ({ detail }) => detail.tab === this.tab && this.#draw(detail.values);

  #draw(values) {
    const now = String(values[this.field] ?? "");
    for (const radio of this.querySelectorAll("input")) radio.checked = radio.value === now;
    // Rows that belong to one choice only are shown by the style sheet.
    const place = this.closest(".easel-card, .easel-workspace");
    if (place) place.dataset[this.field.replace(/\W|_/g, "")] = now;
  }
}
customElements.define("easel-segments", Segments);

function typed(value) {
  if (value === "true" || value === "false") return value === "true";
  return /^\d+$/.test(value) ? Number(value) : value;
}
