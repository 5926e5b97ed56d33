// Below the content controls: the lists of terms that prompts may not hold.
import * as api from "./api.js";
import * as dialogs from "./dialogs.js";
import * as toast from "./toast.js";
import { button, h } from "./dom.js";

const { t } = window.Easel;
const PATH = "/easel/v1/term-lists";
const address = (name) => `${PATH}/${encodeURIComponent(name)}`;

class TermLists extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.list = h("div", { class: "lists", id: "term_lists" });
    const add = button("plus", t("terms.add"), () => this.#edit("", ""));
    add.id = "term_lists_add";
    this.replaceChildren(
      h("div", { class: "top" }, h("h3", {}, t("terms.title")), add),
      h("p", {}, t("terms.hint")),
      this.list,
    );
    this.#load();
  }

  async #load() {
    const found = await toast.guard(() => api.get(PATH));
    if (found) this.#draw(found);
  }

  #draw({ lists }) {
    const rows = lists.map((one) => this.#row(one));
    this.list.replaceChildren(...(rows.length ? rows : [h("p", {}, t("terms.none"))]));
  }

  #row({ name, terms, enabled, problem }) {
    const box = h("input", { type: "checkbox", checked: enabled });
    box.addEventListener("change", () => this.#change(name, { enabled: box.checked }));
    const words = problem ? t("terms.problem", { reason: problem }) : t("terms.count", { count: terms });
    return h(
      "div",
      { class: "one", dataset: { list: name } },
      h("label", {}, box, h("span", {}, name)),
      h("span", { class: problem ? "bad" : "words" }, words),
      button("edit", t("terms.edit", { name }), () => this.#open(name), { quiet: true }),
      button("trash", t("terms.delete", { name }), () => this.#remove(name), { quiet: true }),
    );
  }

  async #open(name) {
    const found = await toast.guard(() => api.get(address(name)));
    if (found) this.#edit(name, found.text);
  }

  #edit(name, text) {
    return dialogs.open(name || t("terms.add"), (body, close) => {
      const title = h("input", { type: "text", value: name, maxlength: "60", id: "term_list_name" });
      title.readOnly = Boolean(name);
      const area = h("textarea", { rows: "14", id: "term_list_text", spellcheck: "false" });
      area.value = text;
      const bad = h("p", { class: "bad", role: "alert" });
      const save = async () => {
        try {
          this.#draw(await api.put(address(title.value.trim() || " "), { text: area.value }));
          close();
        } catch (problem) {
          bad.textContent = problem.message;
        }
      };
      const done = button("save", t("terms.save"), save, { kind: "primary" });
      done.id = "term_list_save";
      body.classList.add("easel-term-list");
      body.append(
        h("label", { for: "term_list_name" }, t("terms.name")),
        title,
        h("label", { for: "term_list_text" }, t("terms.text")),
        area,
        bad,
        h("div", { class: "easel-dialog-actions" }, done),
      );
    });
  }

  async #change(name, body) {
    const found = await toast.guard(() => api.put(address(name), body));
    if (found) this.#draw(found);
    else this.#load();
  }

  async #remove(name) {
    if (!(await dialogs.confirm(t("terms.sure", { name }), t("terms.remove")))) return;
    const found = await toast.guard(() => api.remove(address(name)));
    if (found) this.#draw(found);
  }
}
customElements.define("easel-term-lists", TermLists);
