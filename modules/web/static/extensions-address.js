// Install from URL: an address is looked at first; nothing of it is executed before the consents.
import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { agree } from "./extensions-look.js";

const { t } = window.Easel;

class Address extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    const field = (id, key, hint) => {
      const input = h("input", { type: "text", id, autocomplete: "off", spellcheck: "false", placeholder: hint });
      return [input, h("div", { class: "easel-field" }, h("label", { for: id }, t(`extensions.${key}`)), input)];
    };
    const [url, urlField] = field("extension_url", "address", t("extensions.address_example"));
    const [folder, folderField] = field("extension_folder", "folder", t("extensions.folder_hint"));
    const [branch, branchField] = field("extension_branch", "branch", t("extensions.branch_hint"));
    Object.assign(this, { url, folder, branch });
    this.knob = button("search", t("extensions.look"), null, { kind: "primary" });
    this.knob.type = "submit";
    this.knob.id = "extension_look";
    this.found = h("div", { class: "found", id: "extension_found" });
    const form = h("form", { class: "ask" }, urlField, h("div", { class: "fields" }, folderField, branchField), h("div", { class: "easel-dialog-actions" }, this.knob));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.look();
    });
    this.append(h("p", { class: "hint" }, t("extensions.address_hint")), h("div", { class: "easel-card" }, form), this.found);
  }

  /** Look at what is behind the address in the form, or behind a given one. */
  async look(url) {
    if (url) Object.assign(this.url, { value: url }) && (this.folder.value = this.branch.value = "");
    const body = { url: this.url.value.trim(), folder: this.folder.value.trim(), branch: this.branch.value.trim() };
    if (!body.url) return this.url.focus();
    this.knob.disabled = true;
    this.found.replaceChildren(h("p", { class: "hint", role: "status" }, t("extensions.looking")));
    try {
      const found = await api.post("/easel/v1/extensions/look", body);
      const place = h("div", { class: "easel-card" });
      this.found.replaceChildren(place);
      agree(place, found, t("extensions.install"), (consent) => api.post("/easel/v1/extensions/install", consent), () => {});
    } catch (problem) {
      this.found.replaceChildren(h("p", { class: "bad", role: "alert" }, icon("error"), h("span", {}, problem.message)));
    } finally {
      this.knob.disabled = false;
    }
  }
}
customElements.define("easel-extensions-address", Address);
