// Installed extensions: switches, versions, what went wrong at the start, updates and removal.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { button, h, icon } from "./dom.js";
import { open } from "./dialogs.js";
import { agree } from "./extensions-look.js";

const { t, has } = window.Easel;
const PATH = "/easel/v1/extensions";
const at = (name, what) => `${PATH}/installed/${encodeURIComponent(name)}/${what}`;

class Installed extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.words = h("p", { class: "count", role: "status" });
    this.off = h(
      "select",
      { id: "extensions_off", onchange: () => this.#change(() => api.post(`${PATH}/off`, { off: this.off.value })) },
      ...["none", "extra", "all"].map((name) => h("option", { value: name }, t(`extensions.off_${name}`))),
    );
    this.again = button("refresh", t("extensions.restart"), () => this.#change(() => api.post(`${PATH}/restart`)), { kind: "primary" });
    this.again.id = "extensions_restart";
    this.check = button("refresh", t("extensions.check_all"), () => this.#checkAll());
    this.check.id = "extensions_check";
    this.body = h("div", { id: "extensions_list" });
    this.none = h("p", { class: "none" }, t("extensions.none"));
    this.append(
      h("div", { class: "tools" }, h("label", { for: "extensions_off" }, t("extensions.off")), this.off, h("span", { class: "grow" }), this.check, this.again),
      this.words,
      this.none,
      this.body,
    );
    this.seen();
  }

  async seen() {
    const found = await toast.guard(() => api.get(PATH));
    if (found) this.#draw(found);
  }

  #draw(found) {
    this.dispatchEvent(new CustomEvent("easel:overview", { bubbles: true, detail: found }));
    this.locked = Boolean(found.forbidden);
    this.names = found.extensions.filter((one) => one.url && one.commit).map((one) => one.name);
    this.again.hidden = !found.restart;
    this.check.disabled = this.locked || this.names.length === 0;
    this.off.value = found.off;
    this.off.disabled = this.locked || Boolean(found.fixed);
    const on = found.extensions.filter((one) => one.on).length;
    const parts = [t("extensions.count", { on, total: found.extensions.length }), found.folder];
    if (found.fixed) parts.push(t("extensions.fixed", { flag: found.fixed }));
    this.words.textContent = parts.join(" · ");
    this.none.hidden = found.extensions.length > 0;
    this.body.replaceChildren(...found.extensions.map((one) => this.#row(one)));
  }

  #row(one) {
    const box = h("input", { type: "checkbox", role: "switch", disabled: this.locked, "aria-label": t("extensions.switch", { name: one.name }) });
    box.checked = one.switched;
    box.addEventListener("change", () => this.#change(() => api.post(at(one.name, "switch"), { on: box.checked })));
    const facts = [
      one.commit ? t("extensions.commit", { commit: one.commit.slice(0, 8), branch: one.branch }) : t("extensions.no_git"),
      one.date ? one.date.slice(0, 10) : "",
      one.builtin ? t("extensions.builtin") : one.url,
      one.seconds === null ? "" : t("extensions.seconds", { seconds: one.seconds.toFixed(2) }),
    ].filter(Boolean);
    const row = h(
      "article",
      { class: "easel-card extension", dataset: { name: one.name, on: String(one.on) } },
      h("header", {}, h("label", {}, box, h("h3", {}, one.folder)), h("span", { class: "grow" }), ...this.#buttons(one)),
      h("p", { class: "facts" }, facts.join(" · ")),
      one.off ? h("p", { class: "off" }, icon("info"), h("span", {}, t("extensions.why_off", { reason: reason(one.off) }))) : "",
      ...one.errors.map((error) => h("details", { class: "error" }, h("summary", {}, `${error.where}: ${error.error}`), h("pre", {}, error.details))),
      h("div", { class: "found", role: "status" }),
    );
    return row;
  }

  #buttons(one) {
    const update = button("refresh", t("extensions.check"), () => this.#check(one.name));
    const remove = button("trash", t("extensions.remove", { name: one.name }), () => this.#remove(one), { quiet: true });
    update.hidden = !(one.url && one.commit);
    update.disabled = remove.disabled = this.locked;
    remove.hidden = one.builtin;
    return [update, remove];
  }

  async #change(work) {
    await toast.guard(work);
    this.seen();
  }

  async #checkAll() {
    this.check.disabled = true;
    for (const name of this.names) await this.#check(name);
    this.check.disabled = false;
  }

  async #check(name) {
    const place = this.body.querySelector(`[data-name="${CSS.escape(name)}"] .found`);
    if (!place) return;
    place.replaceChildren(h("p", { class: "hint" }, t("extensions.looking")));
    try {
      const found = await api.post(at(name, "check"));
      if (!found.newer) return place.replaceChildren(h("p", { class: "good" }, icon("check"), h("span", {}, t("extensions.newest"))));
      agree(place, found, t("extensions.update"), (consent) => api.post(at(name, "update"), consent), () => this.seen());
    } catch (problem) {
      place.replaceChildren(h("p", { class: "bad", role: "alert" }, icon("error"), h("span", {}, problem.message)));
    }
  }

  async #remove(one) {
    const packages = h("input", { type: "checkbox", id: "extension_packages" });
    const sure = await open(t("dialog.confirm"), (body, close) => {
      body.append(
        h("p", {}, t("extensions.remove_sure", { name: one.folder })),
        one.packages.length ? h("label", { class: "consent" }, packages, h("span", {}, t("extensions.remove_packages", { packages: one.packages.map((each) => each.name).join(", ") }))) : "",
        h("div", { class: "easel-dialog-actions" }, button("", t("dialog.cancel"), () => close(false)), button("trash", t("extensions.remove_yes"), () => close(true), { kind: "primary" })),
      );
    });
    if (sure) this.#change(() => api.post(at(one.name, "remove"), { packages: packages.checked }));
  }
}
customElements.define("easel-extensions-installed", Installed);

/** Why it is off, in the visitor's language where it is one of our own reasons. */
function reason(text) {
  const key = { "switched off": "hand", "all extensions are switched off": "all", "only the extensions that come with Easel are on": "extra" }[text];
  return key && has(`extensions.reason_${key}`) ? t(`extensions.reason_${key}`) : text;
}
