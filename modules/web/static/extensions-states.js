// Backup and restore: which extensions there are, at which commits, kept in files of A1111's form.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { button, h } from "./dom.js";
import { open } from "./dialogs.js";

const { t } = window.Easel;
const PATH = "/easel/v1/extensions/states";
const at = (file, what = "") => `${PATH}/${encodeURIComponent(file)}${what}`;

class States extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.name = h("input", { type: "text", id: "extensions_state_name", maxlength: "60", placeholder: t("extensions.state_name"), "aria-label": t("extensions.state_name") });
    this.keep = button("save", t("extensions.state_keep"), () => this.#change(() => api.post(PATH, { name: this.name.value.trim() })), { kind: "primary" });
    this.keep.id = "extensions_state_keep";
    this.list = h("div", { id: "extensions_state_list" });
    this.append(h("p", { class: "hint" }, t("extensions.states_hint")), h("div", { class: "tools" }, this.name, this.keep), this.list);
    this.seen();
  }

  async seen() {
    const found = await toast.guard(() => api.get(PATH));
    if (found) this.list.replaceChildren(...(found.states.length ? found.states.map((one) => this.#row(one)) : [h("p", { class: "none" }, t("extensions.states_none"))]));
  }

  async #change(work) {
    await toast.guard(work);
    this.seen();
  }

  #row(one) {
    const words = one.error ?? [one.created ? new Date(one.created * 1000).toLocaleString() : "", t("extensions.state_count", { count: one.extensions })].filter(Boolean).join(" · ");
    const restore = button("undo", t("extensions.state_restore"), () => this.#restore(one.file));
    restore.hidden = Boolean(one.error);
    const drop = button("trash", t("extensions.state_drop", { name: one.name ?? one.file }), () => this.#change(() => api.remove(at(one.file))), { quiet: true });
    return h("article", { class: "easel-card extension" }, h("header", {}, h("h3", {}, one.name ?? one.file), h("span", { class: "grow" }), restore, drop), h("p", { class: "facts" }, words));
  }

  async #restore(file) {
    const plan = await toast.guard(() => api.post(at(file, "/look")));
    if (!plan) return;
    const lines = [
      ...plan.commits.map((one) => `${one.name}: ${one.old.slice(0, 8)} → ${one.new.slice(0, 8)}`),
      ...plan.switches.map((one) => t(one.on ? "extensions.state_on" : "extensions.state_off", { name: one.name })),
      ...plan.missing.map((one) => t("extensions.state_missing", { name: one.name, url: one.url })),
    ];
    const nothing = plan.commits.length + plan.switches.length === 0;
    const sure = await open(t("extensions.state_restore"), (body, close) => {
      const yes = button("undo", t("extensions.state_restore"), () => close(true), { kind: "primary" });
      yes.disabled = nothing;
      body.append(
        h("p", {}, t(nothing ? "extensions.state_same" : "extensions.state_changes")),
        h("ul", {}, ...lines.map((line) => h("li", {}, line))),
        h("div", { class: "easel-dialog-actions" }, button("", t("dialog.cancel"), () => close(false)), yes),
      );
    });
    if (sure) this.#change(() => api.post(at(file, "/restore")));
  }
}
customElements.define("easel-extensions-states", States);
