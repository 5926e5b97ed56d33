// The ledger: every model with its hash, licence and source, and the pictures that were made with it.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { openCard } from "./cards-dialog.js";
import { open } from "./dialogs.js";
import { live } from "./live.js";
import { button, copyText, debounce, h, icon } from "./dom.js";
import { size } from "./words.js";

const { t, config } = window.Easel;
const PART = 100;
const SHOWN = 60;

class Ledger extends HTMLElement {
  #asked = 0;
  models = [];

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.#build();
    this.load();
    live.on("ledger", () => this.#later());
    live.on("cards catalog", () => this.#later());
  }

  #build() {
    this.search = h("input", {
      type: "search",
      id: "ledger_search",
      placeholder: t("ledger.search"),
      "aria-label": t("ledger.search"),
      oninput: debounce(() => this.load(), 150),
    });
    this.kind = h("select", { id: "ledger_kind", "aria-label": t("ledger.kind"), onchange: () => this.load() }, h("option", { value: "" }, t("ledger.every_kind")));
    this.only = h(
      "select",
      { id: "ledger_only", "aria-label": t("ledger.only"), onchange: () => this.load() },
      ...["", "used", "unlicensed"].map((name) => h("option", { value: name }, t(`ledger.only_${name || "all"}`))),
    );
    this.hash = button("check", t("ledger.hash"), () => this.#hash());
    this.hash.id = "ledger_hash";
    const save = (name) =>
      h("a", { class: "easel-button", href: `${config.root}/easel/v1/ledger/file.${name}`, download: "" }, icon("download"), h("span", {}, name.toUpperCase()));
    this.words = h("p", { class: "count", role: "status" });
    this.body = h("tbody", {});
    const head = ["model", "hash", "licence", "source", "uses"].map((name) => h("th", { scope: "col" }, t(`ledger.column_${name}`)));
    this.table = h("table", { id: "ledger_table" }, h("caption", { class: "easel-offscreen" }, t("models.ledger")), h("thead", {}, h("tr", {}, ...head)), this.body);
    this.none = h("p", { class: "none", hidden: true }, t("ledger.none"));
    this.more = button("plus", t("ledger.more"), () => this.#more());
    this.append(
      h("p", { class: "hint" }, t("ledger.hint")),
      h("div", { class: "tools" }, h("span", { class: "find" }, icon("search"), this.search), this.kind, this.only, h("span", { class: "grow" }), this.hash, save("csv"), save("json")),
      this.words,
      h("div", { class: "easel-card sheet" }, this.table, this.none, this.more),
    );
  }

  /** The tab is shown again. */
  seen() {
    this.load();
  }

  #later = debounce(() => this.offsetParent && this.load(), 800);

  #address(offset) {
    const query = new URLSearchParams({ offset: String(offset), limit: String(PART), only: this.only.value, kind: this.kind.value });
    if (this.search.value.trim()) query.set("search", this.search.value.trim());
    return `/easel/v1/ledger?${query}`;
  }

  async load() {
    const number = (this.#asked += 1);
    const found = await toast.guard(() => api.get(this.#address(0)));
    if (!found || number !== this.#asked) return;
    if (this.kind.children.length === 1) this.kind.append(...found.kinds.map((key) => h("option", { value: key }, t(`models.kind_${key}`))));
    this.models = found.models;
    this.#draw(found);
  }

  async #more() {
    const found = await toast.guard(() => api.get(this.#address(this.models.length)));
    if (!found) return;
    this.models = [...this.models, ...found.models];
    this.#draw(found);
  }

  #draw({ total, hashing, reading }) {
    const parts = [t("ledger.count", { total })];
    if (reading) parts.push(t("cards.reading", { count: reading }));
    if (hashing.running) parts.push(t("ledger.hashing", { done: hashing.done + 1, total: hashing.total, file: hashing.file }));
    this.words.textContent = parts.join(" · ");
    this.hash.lastElementChild.textContent = t(hashing.running ? "ledger.hash_stop" : "ledger.hash");
    this.hashing = hashing.running;
    this.body.replaceChildren(...this.models.map((model) => this.#row(model)));
    this.table.hidden = total === 0;
    this.none.hidden = total > 0;
    this.more.hidden = this.models.length >= total;
  }

  #row(model) {
    const kind = [t(`models.kind_${model.kind}`), model.family_label, model.size ? size(model.size) : ""].filter(Boolean).join(" · ");
    const name = model.page
      ? h("button", { type: "button", class: "name link", onclick: () => this.#edit(model), title: t("cards.edit", { name: model.name }) }, model.name)
      : h("span", { class: "name" }, model.name);
    const gone = model.present ? null : h("span", { class: "gone" }, t("ledger.gone"));
    const licence = model.licence
      ? [h("span", {}, model.licence), model.licence_from ? h("span", { class: "from" }, t(`ledger.from_${model.licence_from}`)) : ""]
      : [h("span", { class: "missing" }, model.present ? t("ledger.unknown") : "–")];
    const used = model.uses
      ? h("button", { type: "button", class: "uses link", onclick: () => this.#pictures(model) }, model.uses === 1 ? t("ledger.picture") : t("ledger.pictures", { count: model.uses }))
      : h("span", { class: "missing" }, "–");
    return h(
      "tr",
      { class: model.present ? "" : "away" },
      h("th", { scope: "row" }, name, h("span", { class: "kind" }, kind), gone),
      h("td", {}, this.#digest(model)),
      h("td", { class: "licence" }, ...licence),
      h("td", { class: "source" }, source(model.source)),
      h("td", {}, used),
    );
  }

  #digest({ autov2, sha256 }) {
    if (!autov2) return h("span", { class: "missing" }, "–");
    const copy = async () => (await copyText(sha256 || autov2)) && toast.success(t("cards.copied"));
    return h("button", { type: "button", class: "digest", title: sha256 || autov2, onclick: copy }, autov2);
  }

  async #edit(model) {
    await openCard("txt2img", model.page, model.card);
    this.load();
  }

  async #hash() {
    await toast.guard(() => api.post(this.hashing ? "/easel/v1/ledger/hash/stop" : "/easel/v1/ledger/hash"));
    this.load();
  }

  async #pictures(model) {
    const query = new URLSearchParams({ kind: model.kind, name: model.name, limit: String(SHOWN) });
    const found = await toast.guard(() => api.get(`/easel/v1/ledger/outputs?${query}`));
    if (!found) return;
    await open(t("ledger.made_with", { name: model.name }), (body) => {
      body.append(h("div", { class: "easel-made" }, ...found.images.map(made)));
      if (model.uses > SHOWN) body.append(h("p", { class: "hint" }, t("ledger.newest", { count: SHOWN })));
    }, { wide: true });
  }
}
customElements.define("easel-ledger", Ledger);

function made({ url, thumb, path, created }) {
  const name = path.split(/[\\/]/).at(-1);
  const when = new Date(created * 1000).toLocaleString();
  const picture = thumb ? h("img", { src: config.root + thumb, alt: "", loading: "lazy" }) : h("span", { class: "blank" }, icon("picture"));
  const words = h("span", { class: "words", title: path }, name || when);
  return url
    ? h("a", { href: config.root + url, target: "_blank", rel: "noopener", title: `${path}\n${when}` }, picture, words)
    : h("span", { class: "lost", title: `${path}\n${when}` }, picture, words);
}

function source(address) {
  if (!address) return h("span", { class: "missing" }, "–");
  let shown = address;
  try {
    const { hostname, pathname } = new URL(address);
    shown = hostname.replace(/^www\./, "") + (pathname.length > 1 ? pathname : "");
  } catch {
    return h("span", {}, address);
  }
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow", title: address }, shown);
}
