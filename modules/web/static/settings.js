// The Settings tab, made from the option table: sections, search, saved on change, undo and reset.
import * as api from "./api.js";
import * as toast from "./toast.js";
import "./memory-panel.js";
import "./term-lists.js";
import "./selftest.js";
import { control } from "./settings-control.js";
import { live } from "./live.js";
import { button, debounce, h, icon } from "./dom.js";

const { t, has, config } = window.Easel;
const CHANGED = "*changed";
const SELFTEST = "*selftest";
const MEMORY = "Models in memory";
const CONTROLS = "Content controls";
const RELOADS = ["localization"];

const label = (option) => (has(`option.${option.key}`) ? t(`option.${option.key}`) : option.label);
const help = (option) =>
  has(`option.${option.key}.help`) ? t(`option.${option.key}.help`) : (option.help ?? "");
const sectionName = (group) =>
  has(`group.${group.name}`) ? t(`group.${group.name}`) : (group.label ?? group.name);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

class Settings extends HTMLElement {
  groups = [];
  chosen = null;
  history = [];

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.search = h("input", {
      type: "search",
      id: "settings_search",
      placeholder: t("settings.search"),
      "aria-label": t("settings.search"),
      oninput: debounce(() => this.#draw(), 120),
    });
    this.nav = h("nav", { "aria-label": t("settings.sections") });
    this.list = h("div", { class: "list", id: "settings_list" });
    this.undo = button("undo", t("settings.undo"), () => this.#undo());
    this.undo.id = "settings_undo";
    this.undo.disabled = true;
    this.replaceChildren(
      h("aside", {}, this.search, this.nav),
      h(
        "div",
        { class: "main" },
        h("div", { class: "head" }, (this.heading = h("h2", {})), h("span", { class: "grow" }), this.undo, leaving()),
        this.list,
      ),
    );
    live.on("options", ({ changed }) => this.#follow(changed));
    this.#load();
  }

  async #load() {
    const found = await toast.guard(() => api.get("/easel/v1/settings"));
    if (!found) return;
    this.groups = found.groups.filter((group) => group.options.length);
    this.frozen = Boolean(found.frozen);
    this.chosen = this.groups[0]?.name ?? null;
    this.#draw();
  }

  get options() {
    return this.groups.flatMap((group) => group.options);
  }

  #draw() {
    this.#drawNav();
    const words = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) {
      const hit = (option) =>
        words.every((word) =>
          `${option.key} ${option.label} ${label(option)} ${help(option)}`.toLowerCase().includes(word),
        );
      return this.#show(
        t("settings.found"),
        this.groups.map((group) => [group, group.options.filter(hit)]),
        true,
      );
    }
    if (this.chosen === CHANGED) {
      const differs = (option) => !same(option.value, option.default);
      return this.#show(
        t("settings.changed"),
        this.groups.map((group) => [group, group.options.filter(differs)]),
        true,
      );
    }
    if (this.chosen === SELFTEST) {
      this.heading.textContent = t("selftest.title");
      return this.list.replaceChildren((this.selftest ??= h("easel-selftest")));
    }
    const group = this.groups.find((one) => one.name === this.chosen);
    if (!group) return;
    this.#show(sectionName(group), [[group, group.options]], false);
    if (group.name === MEMORY) this.list.prepend((this.memory ??= h("easel-memory")));
    if (group.name === CONTROLS) this.list.append((this.terms ??= h("easel-term-lists")));
  }

  #drawNav() {
    const differing = this.options.filter((option) => !same(option.value, option.default)).length;
    const entry = (name, text, count) =>
      h(
        "button",
        {
          type: "button",
          onclick: () => this.#choose(name),
          "aria-current": String(this.chosen === name && !this.search.value),
          dataset: { section: name },
        },
        text,
        count ? h("span", { class: "count" }, String(count)) : null,
      );
    this.nav.replaceChildren(
      entry(CHANGED, t("settings.changed"), differing),
      ...this.groups.map((group) => entry(group.name, sectionName(group))),
      entry(SELFTEST, t("selftest.title")),
    );
  }

  #choose(name) {
    this.chosen = name;
    this.search.value = "";
    this.#draw();
    this.list.scrollTop = 0;
  }

  #show(title, sections, titled) {
    this.heading.textContent = title;
    const filled = sections.filter(([, options]) => options.length);
    const nodes = filled.flatMap(([group, options]) => [
      titled ? h("h3", {}, sectionName(group)) : null,
      ...options.map((option) => this.#row(option)),
    ]);
    this.list.replaceChildren(...nodes.filter(Boolean));
    if (!filled.length) this.list.append(h("p", { class: "hint" }, t("settings.none")));
  }

  #row(option) {
    const id = `setting_row_${option.key}`;
    const input = control(option, `${id}_input`, (value) => this.#store(option, value));
    const back = button("reset", t("settings.reset"), () => this.#store(option, option.default), {
      quiet: true,
    });
    const bad = h("p", { class: "bad", role: "alert" });
    const row = h(
      "div",
      { class: "row", id, dataset: { key: option.key } },
      h(
        "div",
        { class: "name" },
        h("label", { for: `${id}_input` }, label(option)),
        h("code", {}, option.key),
        help(option) ? h("p", {}, help(option)) : null,
        option.restart ? h("p", { class: "restart" }, icon("info"), t("settings.restart")) : null,
        bad,
      ),
      h("div", { class: "value" }, input, back),
    );
    if (this.frozen)
      for (const field of row.querySelectorAll("input, select, textarea, button")) field.disabled = true;
    row.classList.toggle("differs", !same(option.value, option.default));
    return row;
  }

  async #store(option, value, remember = true) {
    const before = option.value;
    if (same(before, value)) return this.#refresh(option);
    try {
      await api.put("/easel/v1/settings", { [option.key]: value });
    } catch (problem) {
      toast.error(problem.message);
      this.#refresh(option);
      const bad = this.querySelector(`[data-key="${option.key}"] .bad`);
      if (bad) bad.textContent = problem.message;
      return;
    }
    option.value = value;
    if (remember) this.history.push([option, before]);
    this.undo.disabled = !this.history.length;
    this.#refresh(option);
    this.#drawNav();
    toast.success(
      t("settings.saved", { name: label(option), value: words(value) }),
      remember ? { text: t("settings.undo"), run: () => this.#undo() } : undefined,
    );
    if (RELOADS.includes(option.key)) setTimeout(() => location.reload(), 400);
  }

  #undo() {
    const [option, before] = this.history.pop() ?? [];
    this.undo.disabled = !this.history.length;
    if (option) this.#store(option, before, false);
  }

  #refresh(option) {
    const row = this.querySelector(`[data-key="${option.key}"]`);
    const focused = row?.contains(document.activeElement);
    if (!row) return;
    const fresh = this.#row(option);
    row.replaceWith(fresh);
    if (focused) fresh.querySelector("input, select, textarea")?.focus();
  }

  /** Changed by another page, the API or the bar at the top. */
  #follow(changed) {
    for (const option of this.options) {
      if (option.key in changed && !same(option.value, changed[option.key])) {
        option.value = changed[option.key];
        this.#refresh(option);
      }
    }
    this.#drawNav();
  }
}
/** Ends the session, where there is a login. */
function leaving() {
  if (!config.login) return null;
  const made = button("close", t("login.log_out"), async () => {
    await fetch(`${config.root}/easel/logout`, { method: "POST" }).catch(() => undefined);
    location.assign(`${config.root}/`);
  });
  made.id = "settings_log_out";
  return made;
}

customElements.define("easel-settings", Settings);

function words(value) {
  if (value === true) return t("settings.on");
  if (value === false) return t("settings.off");
  const text = Array.isArray(value) ? value.join(", ") : String(value ?? "");
  return text === "" ? "–" : text.slice(0, 60);
}
