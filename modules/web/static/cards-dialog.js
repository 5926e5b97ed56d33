// The window of one card: what its file says, what a person notes about it, its preview.
import * as api from "./api.js";
import * as form from "./form.js";
import * as toast from "./toast.js";
import { addWords } from "./cards-prompt.js";
import { open } from "./dialogs.js";
import { button, copyText, h, icon } from "./dom.js";
import { panel } from "./output.js";
import { size } from "./words.js";

const { t, config, has } = window.Easel;
const VERSIONS = ["", "SD1", "SD2", "SDXL", "SD3", "Flux", "Unknown"];
/** Fields of the form that a model may want; the prompt and its seed are the person's. */
const WISHES = ["width", "height", "steps", "cfg_scale", "sampler_name", "scheduler", "enable_hr", "hr_scale", "hr_upscaler", "denoising_strength"];

/** Open a card's window; resolves when it is closed. */
export async function openCard(tab, key, name) {
  const address = (part) => `/easel/v1/cards/${key}/${part}?name=${encodeURIComponent(name)}`;
  const card = await toast.guard(() => api.get(address("card")));
  if (!card) return;
  await open(card.label, (body, close) => new CardWindow(body, close, { tab, key, card, address }).fill(), {
    wide: true,
  });
}

class CardWindow {
  constructor(body, close, { tab, key, card, address }) {
    Object.assign(this, { body, close, tab, key, card, address });
    this.fields = {};
    this.wishes = { ...card.defaults };
  }

  fill() {
    this.body.classList.add("easel-card-window");
    this.preview = h("div", { class: "preview" });
    this.#drawPreview();
    this.body.append(
      h("div", { class: "top" }, this.preview, this.#facts()),
      this.card.problem ? h("p", { class: "bad" }, icon("warning"), this.card.problem) : "",
      ...this.#notes(),
      this.#inside(),
      h(
        "div",
        { class: "easel-dialog-actions" },
        button("", t("dialog.cancel"), () => this.close()),
        button("save", t("cards.save"), () => this.#save(), { kind: "primary" }),
      ),
    );
  }

  #drawPreview() {
    const { preview, own_preview: own } = this.card;
    const image = preview
      ? h("img", { src: config.root + preview, alt: t("cards.preview_of", { name: this.card.label }) })
      : h("div", { class: "blank" }, icon("picture"));
    const take = button("picture", t("cards.take_preview"), () => this.#takePreview());
    take.title = t("cards.take_preview_hint");
    const drop = own ? button("trash", t("cards.drop_preview"), () => this.#dropPreview()) : null;
    this.preview.replaceChildren(image, ...[take, drop].filter(Boolean));
  }

  async #takePreview() {
    const image = panel(this.tab)?.current;
    if (!image) return toast.info(t("cards.no_picture"));
    this.#changed(await toast.guard(() => api.put(this.address("preview"), { image_id: image.id })));
  }

  async #dropPreview() {
    this.#changed(await toast.guard(() => api.remove(this.address("preview"))));
  }

  #changed(card) {
    if (!card) return;
    this.card = { ...this.card, preview: card.preview, own_preview: card.own_preview };
    this.#drawPreview();
  }

  #facts() {
    const { card } = this;
    const list = h("dl", { class: "facts" });
    const line = (name, ...value) => list.append(h("dt", {}, t(`cards.fact_${name}`)), h("dd", {}, ...value));
    const copied = (text) => async () => (await copyText(text)) && toast.success(t("cards.copied"));
    line("file", h("span", { class: "path" }, card.path), button("copy", t("cards.copy_path"), copied(card.path), { quiet: true }));
    if (card.title_text) line("title", card.title_text);
    if (card.alias && card.alias !== card.label) line("alias", card.alias);
    line("family", [card.family_label, card.variant, card.base_model].filter(Boolean).join(" · ") || t("cards.unknown"));
    line("size", [size(card.size), new Date(card.modified * 1000).toLocaleString()].join(" · "));
    if (card.vectors) line("vectors", String(card.vectors));
    line(
      "hash",
      ...(card.sha256
        ? [
            h("span", { class: "path", title: card.sha256 }, `${card.sha256.slice(0, 10)} · ${card.sha256}`),
            button("copy", t("cards.copy_hash"), copied(card.sha256), { quiet: true }),
          ]
        : [
            h("span", {}, t("cards.no_hash")),
            button("", t("cards.compute_hash"), (event) => this.#hash(event.currentTarget), { kind: "link" }),
          ]),
    );
    if (card.author) line("author", card.author);
    if (card.licence) line("licence", card.licence);
    if (card.source) line("source", link(card.source));
    return list;
  }

  async #hash(pressed) {
    pressed.disabled = true;
    pressed.lastElementChild.textContent = t("cards.computing");
    const card = await toast.guard(() => api.post(this.address("hash")));
    if (!card) return;
    this.card = { ...this.card, sha256: card.sha256 };
    this.body.querySelector(".facts").replaceWith(this.#facts());
  }

  #notes() {
    const { card } = this;
    const { user } = card;
    const parts = [];
    if (card.insert) {
      parts.push(this.#text("activation_text", user.activation_text, 2), ...this.#words());
      if (card.insert.startsWith("<")) {
        parts.push(
          h(
            "div",
            { class: "pair" },
            this.#number("preferred_weight", user.preferred_weight),
            this.#choice("sd_version", user.sd_version, VERSIONS),
          ),
        );
      } else parts.push(this.#choice("sd_version", user.sd_version, VERSIONS));
      parts.push(this.#text("negative_text", user.negative_text, 1));
    }
    parts.push(this.#text("description", user.description || card.description, 3));
    if (card.title) parts.push(this.#vae(user.vae), this.#defaults());
    parts.push(this.#text("notes", user.notes, 2));
    parts.push(
      h("div", { class: "pair" }, this.#line("licence", user.licence, card.licence), this.#line("source", user.source, card.source)),
    );
    return parts;
  }

  #field(name, input) {
    const id = `easel_card_${name}`;
    input.id = id;
    this.fields[name] = input;
    return h("div", { class: "easel-field" }, h("label", { for: id }, t(`cards.${name}`)), input);
  }

  #text(name, value, rows) {
    const area = h("textarea", { rows: String(rows) });
    area.value = value;
    return this.#field(name, area);
  }

  #line(name, value, hint) {
    const input = h("input", { type: "text", placeholder: hint && hint !== value ? hint : "" });
    input.value = value;
    return this.#field(name, input);
  }

  #number(name, value) {
    const input = h("input", { type: "number", min: "-10", max: "10", step: "0.05" });
    input.value = String(value);
    return this.#field(name, input);
  }

  #choice(name, value, choices) {
    const words = (one) => (one === "" ? t("cards.by_file") : one === "Unknown" ? t("cards.unknown") : one);
    const select = h("select", {}, ...choices.map((one) => h("option", { value: one }, words(one))));
    select.value = value;
    return this.#field(name, select);
  }

  #vae(value) {
    const input = h("input", { type: "text", list: "easel_card_vaes", placeholder: "Automatic" });
    input.value = value;
    const list = h("datalist", { id: "easel_card_vaes" });
    api.get("/easel/v1/models").then(
      ({ vaes }) => list.replaceChildren(...vaes.map((name) => h("option", { value: name }))),
      () => undefined,
    );
    const field = this.#field("vae", input);
    field.append(list);
    return field;
  }

  /** Words that the file or its training names: a press adds one to the activation text. */
  #words() {
    const offered = [...new Set([...this.card.words, ...this.card.tags])].slice(0, 24);
    if (!offered.length) return [];
    const add = (word) => {
      const area = this.fields.activation_text;
      if (!area.value.includes(word)) area.value = [area.value.trim(), word].filter(Boolean).join(", ");
      area.focus();
    };
    const chips = offered.map((word) => h("button", { type: "button", class: "chip", onclick: () => add(word) }, word));
    const all = this.card.words.join(", ");
    const now = all && button("plus", t("cards.words_to_prompt"), () => addWords(this.tab, all), { kind: "link" });
    return [h("div", { class: "words", role: "group", "aria-label": t("cards.words") }, h("span", { class: "label" }, t("cards.words")), ...chips, now || "")];
  }

  #defaults() {
    this.wishList = h("p", { class: "wishes" });
    const apply = button("check", t("cards.apply_defaults"), () => this.#applyDefaults());
    const take = button("copy", t("cards.take_defaults"), () => this.#takeDefaults());
    const clear = button("trash", t("cards.clear_defaults"), () => this.#setWishes({}));
    this.wishButtons = { apply, clear };
    this.#setWishes(this.wishes);
    return h(
      "div",
      { class: "easel-field", role: "group", "aria-label": t("cards.default_parameters") },
      h("span", { class: "label" }, t("cards.default_parameters")),
      this.wishList,
      h("div", { class: "buttons" }, apply, take, clear),
    );
  }

  #setWishes(wishes) {
    this.wishes = wishes;
    const name = (key) => (has(`field.${key}`) ? t(`field.${key}`) : key);
    const said = Object.entries(wishes).map(([key, value]) => `${name(key)}: ${value}`);
    this.wishList.textContent = said.length ? said.join(", ") : t("cards.no_defaults");
    this.wishButtons.apply.disabled = this.wishButtons.clear.disabled = said.length === 0;
  }

  #takeDefaults() {
    const now = form.values(this.tab);
    const hires = now.enable_hr ? WISHES : WISHES.filter((key) => !/^(enable_hr|hr_|denoising)/.test(key));
    const found = hires.filter((key) => now[key] !== undefined && now[key] !== null);
    this.#setWishes(Object.fromEntries(found.map((key) => [key, now[key]])));
  }

  #applyDefaults() {
    const before = form.values(this.tab);
    form.apply(this.tab, this.wishes);
    toast.success(t("cards.applied"), { text: t("fill.undo"), run: () => form.apply(this.tab, before) });
  }

  #inside() {
    const rows = Object.entries(this.card.metadata);
    if (!rows.length) return "";
    const list = rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
    return h("details", {}, h("summary", {}, t("cards.metadata", { count: rows.length })), h("dl", { class: "inside" }, ...list));
  }

  async #save() {
    const changes = {};
    for (const [name, input] of Object.entries(this.fields)) {
      const value = name === "preferred_weight" ? Number(input.value || 0) : input.value.trim();
      const shown = name === "description" ? this.card.user.description || this.card.description : this.card.user[name];
      if (value !== shown) changes[name] = value;
    }
    if (this.card.title && JSON.stringify(this.wishes) !== JSON.stringify(this.card.defaults))
      changes.default_parameters = this.wishes;
    if (!Object.keys(changes).length) return this.close();
    const done = await toast.guard(() => api.put(this.address("card"), { changes }));
    if (!done) return;
    toast.success(t("cards.saved", { name: this.card.label }));
    this.close();
  }
}

/** A web address from a file: opened in a tab of its own that learns nothing of this page. */
function link(address) {
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, address);
}
