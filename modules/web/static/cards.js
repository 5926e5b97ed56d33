// The tabs of cards under the prompt: Generation, and one for each kind of model file.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { CardGrid } from "./cards-grid.js";
import { isIn, toggle } from "./cards-prompt.js";
import { openCard } from "./cards-dialog.js";
import { live } from "./live.js";
import { button, debounce, h, icon, storage } from "./dom.js";

const { t, config } = window.Easel;
const KEY = "easel.cards.v1";
const PART = 60;
/** Between two looks at a list whose files are still being read, in ms. */
const PATIENCE = 1500;
const ORDERS = { Path: "path", Name: "name", "Date Created": "created", "Date Modified": "modified" };
const BLANKS = { lora: "layers", checkpoints: "box", textual_inversion: "word", hypernetworks: "net" };

let pages = null;

/** The pages of cards and how to show them; asked for once. */
export function cardPages() {
  if (pages === null) {
    pages = api.get("/easel/v1/cards").catch((problem) => {
      pages = null;
      throw problem;
    });
  }
  return pages;
}

live.on("options", ({ changed }) => {
  if (Object.keys(changed).some((key) => /^(extra_networks|ui_extra_networks)_/.test(key))) pages = null;
});

const address = (key, rest) => `/easel/v1/cards/${key}${rest}`;
const pageName = (key) => t(`cards.page_${key}`);

/** The strip of tabs and their panels. */
class CardTabs extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.tab = this.getAttribute("tab");
    this.classList.add("extra-networks");
    this.list = h("div", { role: "tablist", "aria-label": t("cards.tabs") });
    this.list.addEventListener("keydown", (event) => this.#keys(event));
    this.panels = {};
    this.append(this.list);
    this.#fill();
  }

  async #fill() {
    const found = await toast.guard(() => cardPages());
    if (!found) return;
    const generation = this.#button("generation", t("cards.generation"), "sliders");
    const others = ordered(found.pages, found.view.tab_order).map(({ key }) =>
      this.#button(key, pageName(key), BLANKS[key]),
    );
    this.list.replaceChildren(generation, ...others);
    const form = document.getElementById(`${this.tab}_generation`);
    form?.setAttribute("role", "tabpanel");
    form?.setAttribute("aria-labelledby", generation.id);
    this.choose("generation");
  }

  #button(key, text, picture) {
    return h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${this.tab}_${key}-button`,
        "aria-controls": `${this.tab}_${key}`,
        dataset: { key },
        onclick: () => this.choose(key),
      },
      icon(picture),
      h("span", {}, text),
    );
  }

  choose(key) {
    for (const one of this.list.children) {
      const chosen = one.dataset.key === key;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
    }
    const column = document.getElementById(`${this.tab}_settings`);
    if (key === "generation") delete column?.dataset.cards;
    else if (column) column.dataset.cards = key;
    for (const [name, panel] of Object.entries(this.panels)) panel.hidden = name !== key;
    if (key === "generation") return;
    if (!this.panels[key]) {
      this.panels[key] = h(
        "section",
        {
          role: "tabpanel",
          id: `${this.tab}_${key}`,
          class: "extra-page",
          "aria-labelledby": `${this.tab}_${key}-button`,
        },
        h("easel-cards", { tab: this.tab, page: key }),
      );
      this.append(this.panels[key]);
    } else this.panels[key].firstElementChild.seen();
  }

  #keys(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const all = [...this.list.children];
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    event.preventDefault();
    event.stopPropagation();
    next.focus();
    this.choose(next.dataset.key);
  }
}
customElements.define("easel-card-tabs", CardTabs);

/** The pages in the order that a setting wishes. */
function ordered(found, wish) {
  const names = wish.map((name) => name.toLowerCase().replaceAll(" ", "_"));
  const place = ({ key }) => (names.includes(key) ? names.indexOf(key) : names.length);
  return [...found].sort((a, b) => place(a) - place(b));
}

/** One page of cards: search, order, folders and the grid. */
class Cards extends HTMLElement {
  folder = "";
  everyFamily = false;
  #stale = false;
  #asked = 0;

  async connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.tab = this.getAttribute("tab");
    this.page = this.getAttribute("page");
    this.view = (await cardPages()).view;
    const kept = storage.read(KEY, {})[this.page] ?? {};
    this.sort = kept.sort ?? ORDERS[this.view.order_field] ?? "path";
    this.descending = kept.descending ?? this.view.order === "Descending";
    this.everyFamily = kept.everyFamily ?? false;
    this.foldersShown = kept.folders ?? this.view.folders;
    this.#build();
    live.on("cards", ({ page: key }) => (key === this.page || key === null) && this.#later());
    live.on("catalog", () => this.#later());
    live.on("options", ({ changed }) => this.#options(changed));
    document.addEventListener("easel:form", ({ detail }) => detail.tab === this.tab && this.#mark());
    this.load();
  }

  get #name() {
    return `${this.tab}_${this.page}`;
  }

  #build() {
    this.search = h("input", {
      type: "search",
      id: `${this.#name}_extra_search`,
      placeholder: t("cards.search"),
      "aria-label": t("cards.search"),
      oninput: debounce(() => this.load(), 150),
      onkeydown: (event) => event.key === "ArrowDown" && this.#enter(event),
    });
    this.order = h(
      "select",
      { "aria-label": t("cards.order"), id: `${this.#name}_extra_sort`, onchange: () => this.#sort(this.order.value) },
      ...Object.values(ORDERS).map((name) => h("option", { value: name }, t(`cards.sort_${name}`))),
    );
    this.order.value = this.sort;
    const quiet = { quiet: true };
    this.direction = button("up", "", () => this.#turn(), quiet);
    this.direction.id = `${this.#name}_extra_sort_dir`;
    this.foldersButton = button("folder", t("cards.folders"), () => this.#toggleFolders(), quiet);
    this.foldersButton.id = `${this.#name}_extra_tree_view`;
    this.refresh = button("refresh", t("cards.refresh"), () => this.#rescan(), quiet);
    this.refresh.id = `${this.#name}_extra_refresh`;
    this.families = h("button", { type: "button", class: "families", onclick: () => this.#toggleFamilies() });
    this.count = h("p", { class: "count", role: "status" });
    this.nav = h("nav", { class: "dirs", id: `${this.#name}_dirs`, "aria-label": t("cards.folders") });
    this.grid = new CardGrid({
      id: `${this.#name}_cards`,
      label: pageName(this.page),
      fetchPart: (offset, limit) => this.#part(offset, limit),
      draw: (card, at) => this.#card(card, at),
    });
    this.empty = h("div", { class: "nothing", hidden: true });
    this.append(
      h(
        "div",
        { class: "bar" },
        h("label", { class: "find" }, icon("search"), this.search),
        this.order,
        this.direction,
        this.foldersButton,
        this.refresh,
      ),
      h("div", { class: "said" }, this.count, this.families),
      h("div", { class: "body" }, this.nav, this.grid.element, this.empty),
    );
    this.#size();
    this.#drawDirection();
    // Another tab of the page was open while something changed.
    new ResizeObserver(() => this.offsetParent && this.#stale && this.seen()).observe(this);
  }

  #size() {
    const { width, height, scale, style, tree_width: tree } = this.view;
    this.style.setProperty("--card-text", String(scale));
    this.style.setProperty("--tree-width", `${tree}px`);
    this.dataset.folders = style.toLowerCase();
    this.grid.resize(width, height);
  }

  #query(offset, limit) {
    const query = new URLSearchParams({ offset: String(offset), limit: String(limit), sort: this.sort });
    query.set("order", this.descending ? "desc" : "asc");
    if (this.search.value.trim()) query.set("search", this.search.value.trim());
    if (this.folder) query.set("folder", this.folder);
    if (!this.everyFamily) query.set("family", "current");
    return address(this.page, `?${query}`);
  }

  async #part(offset, limit) {
    const found = await toast.guard(() => api.get(this.#query(offset, limit)));
    return found?.cards ?? null;
  }

  /** Ask for the list again; with `keep` the place in it stays. */
  async load({ keep = false } = {}) {
    const number = (this.#asked += 1);
    this.classList.add("loading");
    const found = await toast.guard(() => api.get(this.#query(0, PART)));
    if (number !== this.#asked) return;
    this.classList.remove("loading");
    if (!found) return;
    this.found = found;
    this.current = found.current;
    if (this.folder && !found.folders.some((one) => one.path === this.folder)) {
      this.folder = "";
      return this.load();
    }
    this.#drawFolders(found.folders);
    this.#drawWords(found);
    this.grid.show(found.cards, found.matched, { keep });
  }

  /** The panel is shown again: what changed meanwhile is asked for now. */
  seen() {
    if (this.#stale) this.load({ keep: true });
    else this.grid.redraw();
    this.#stale = false;
  }

  #later = debounce(() => {
    if (!this.offsetParent) this.#stale = true;
    else this.load({ keep: true });
  }, PATIENCE);

  #options(changed) {
    const keys = Object.keys(changed);
    if (keys.some((key) => key.startsWith("extra_networks_") || key.startsWith("lora_"))) this.#restyle();
    else if (keys.includes("sd_model_checkpoint")) {
      this.current = changed.sd_model_checkpoint;
      this.#mark();
      this.#later();
    }
  }

  async #restyle() {
    this.view = (await cardPages()).view;
    this.#size();
    this.#later();
  }

  #keep() {
    const { sort, descending, everyFamily, foldersShown: folders } = this;
    storage.write(KEY, { ...storage.read(KEY, {}), [this.page]: { sort, descending, everyFamily, folders } });
  }

  #sort(name) {
    this.sort = name;
    this.#keep();
    this.load();
  }

  #turn() {
    this.descending = !this.descending;
    this.#drawDirection();
    this.#keep();
    this.load();
  }

  #drawDirection() {
    const text = t(this.descending ? "cards.descending" : "cards.ascending");
    Object.assign(this.direction, { title: text });
    this.direction.setAttribute("aria-label", text);
    this.direction.classList.toggle("down", this.descending);
  }

  #toggleFolders() {
    this.foldersShown = !this.foldersShown;
    this.#keep();
    this.#drawFolders(this.found?.folders ?? []);
  }

  #toggleFamilies() {
    this.everyFamily = !this.everyFamily;
    this.#keep();
    this.load();
  }

  async #rescan() {
    this.refresh.classList.add("spinning");
    await toast.guard(() => api.post("/easel/v1/cards/refresh"));
    await this.load({ keep: true });
    this.refresh.classList.remove("spinning");
  }

  #drawFolders(found) {
    this.foldersButton.hidden = found.length === 0;
    this.foldersButton.classList.toggle("on", this.foldersShown);
    this.foldersButton.setAttribute("aria-pressed", String(this.foldersShown));
    this.nav.hidden = !this.foldersShown || found.length === 0;
    this.classList.toggle("treed", !this.nav.hidden);
    if (this.nav.hidden) return;
    const focused = this.nav.contains(document.activeElement) ? document.activeElement.dataset.path : null;
    const entry = (path, name, count, depth) =>
      h(
        "button",
        {
          type: "button",
          dataset: { path },
          style: `--depth: ${depth}`,
          "aria-current": String(this.folder === path),
          onclick: () => this.#enterFolder(path),
        },
        h("span", { class: "name" }, name),
        count === null ? null : h("span", { class: "number" }, String(count)),
      );
    const rows = found.map(({ path, name, count }) => entry(path, this.#shownAs(path, name), count, path.split("/").length - 1));
    this.nav.replaceChildren(entry("", t("cards.all"), null, 0), ...rows);
    if (focused !== null) [...this.nav.children].find((one) => one.dataset.path === focused)?.focus();
  }

  #shownAs(path, name) {
    return this.view.style === "Dirs" ? path : name;
  }

  #enterFolder(path) {
    this.folder = path;
    this.load();
  }

  #drawWords({ matched, total, hidden, reading, current_label: label, roots }) {
    const parts = [matched === total ? t("cards.count", { total }) : t("cards.count_of", { matched, total })];
    if (reading) parts.push(t("cards.reading", { count: reading }));
    this.count.textContent = parts.join(" · ");
    this.families.hidden = !(hidden || (this.everyFamily && label));
    this.families.textContent = this.everyFamily
      ? t("cards.only_family", { family: label })
      : t("cards.hidden", { count: hidden, family: label });
    this.families.setAttribute("aria-pressed", String(this.everyFamily));
    this.empty.hidden = matched > 0;
    this.grid.element.hidden = matched === 0;
    if (matched === 0) this.empty.replaceChildren(...this.#nothing(total, hidden, roots));
  }

  #nothing(total, hidden, roots) {
    const picture = icon(BLANKS[this.page]);
    if (hidden) return [picture, h("p", {}, t("cards.only_others"))];
    if (total) return [picture, h("p", {}, t("cards.none_found"))];
    const paths = roots.map((root) => h("code", {}, root));
    const get = button("download", t("cards.get"), () => document.dispatchEvent(new CustomEvent("easel:get-models")));
    return [picture, h("p", {}, t(`cards.empty_${this.page}`)), ...paths, get];
  }

  #card(card, at) {
    const face = h("button", { type: "button", class: "face", onclick: () => this.#press(card) });
    if (card.preview) face.append(h("img", { src: config.root + card.preview, alt: "", loading: "lazy", decoding: "async" }));
    else face.append(h("span", { class: "blank" }, icon(BLANKS[this.page])));
    const badges = [card.family_label ? h("span", { class: "family" }, card.family_label) : null];
    if (card.problem) badges.push(h("span", { class: "bad", title: card.problem }, icon("warning")));
    face.append(
      h("span", { class: "badges" }, ...badges),
      h(
        "span",
        { class: "actions" },
        h("span", { class: "name" }, card.label),
        card.problem
          ? h("span", { class: "description" }, card.problem)
          : this.view.show_desc && card.description
            ? h("span", { class: "description" }, card.description)
            : null,
      ),
    );
    face.title = [card.file, card.problem || card.activation].filter(Boolean).join("\n");
    const edit = button("edit", t("cards.edit", { name: card.label }), () => this.#edit(card), { quiet: true, kind: "edit-button" });
    const node = h("div", { class: "card", dataset: { name: card.name } }, face, edit);
    node.addEventListener("keydown", (event) => {
      if (event.key === "e" && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        this.#edit(card);
      }
    });
    this.#markOne(card, node);
    return node;
  }

  #markOne(card, node) {
    const on = card.title ? card.title === this.current : isIn(this.tab, card);
    node.classList.toggle("selected", on);
    node.querySelector(".face").setAttribute("aria-pressed", String(on));
  }

  #mark() {
    if (this.offsetParent) this.grid.each((card, node) => this.#markOne(card, node));
  }

  async #press(card) {
    if (card.problem) return toast.warning(card.problem);
    if (card.title) return this.#swap(card);
    const now = toggle(this.tab, card, this.view.separator);
    document.dispatchEvent(new CustomEvent("easel:card", { detail: { tab: this.tab, card, on: now } }));
    setTimeout(() => this.#mark());
  }

  async #swap(card) {
    if (card.title === this.current) return;
    const done = await toast.guard(() => api.put("/easel/v1/settings", { sd_model_checkpoint: card.title }));
    if (done) toast.info(t("cards.loading", { name: card.label }));
  }

  async #edit(card) {
    const before = document.activeElement;
    await openCard(this.tab, this.page, card.name);
    if (before?.isConnected) before.focus();
  }

  /** From the search box into the cards. */
  #enter(event) {
    event.preventDefault();
    this.grid.element.querySelector('.face[tabindex="0"], .face')?.focus();
  }
}
customElements.define("easel-cards", Cards);
