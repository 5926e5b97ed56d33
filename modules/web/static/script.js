// <easel-script tab>: the Script drop-down with the chosen script's controls.
import * as api from "./api.js";
import * as form from "./form.js";
import { h, storage } from "./dom.js";
import { axes } from "./script-axes.js";

const { t, has } = window.Easel;
const KEY = "easel.script.v1";

/** A label of a script's control in the page's language. */
export function label(text) {
  const key = `script.${text.toLowerCase().replace(/\W+/g, "_").replace(/^_|_$/g, "")}`;
  return has(key) ? t(key) : text;
}

class Script extends HTMLElement {
  connectedCallback() {
    this.tab = this.getAttribute("tab");
    this.kept = storage.read(KEY, {})[this.tab] ?? { name: "", values: {} };
    form.add(this.tab, () => this.asked());
    this.#load();
  }

  async #load() {
    try {
      this.scripts = (await api.get(`/easel/v1/scripts?tab=${this.tab}`)).scripts;
    } catch {
      this.scripts = [];
    }
    if (!this.scripts.some(({ name }) => name === this.kept.name)) this.kept.name = "";
    const none = h("option", { value: "" }, t("script.none"));
    const options = this.scripts.map(({ name, title }) => h("option", { value: name }, label(title)));
    const choice = h("select", { id: `${this.tab}_script_list`, onchange: () => this.#choose(choice.value) });
    choice.append(none, ...options);
    choice.value = this.kept.name;
    this.body = h("div", { class: "controls" });
    this.replaceChildren(h("label", { class: "field" }, h("span", {}, t("script.script")), choice), this.body);
    this.#draw();
  }

  #choose(name) {
    this.kept.name = name;
    this.#save();
    this.#draw();
  }

  #save() {
    storage.write(KEY, { ...storage.read(KEY, {}), [this.tab]: this.kept });
  }

  get #script() {
    return this.scripts?.find(({ name }) => name === this.kept.name);
  }

  /** The arguments as they are now, in the script's order. */
  #values(script) {
    const kept = this.kept.values[script.name];
    const defaults = script.args.map(({ value }) => value);
    return kept?.length === defaults.length ? kept : [...defaults];
  }

  /** What the request gets. */
  asked() {
    const script = this.#script;
    if (!script) return {};
    return { script_name: script.name, script_args: script.extension ? [] : this.#values(script) };
  }

  #draw() {
    const script = this.#script;
    this.body.replaceChildren();
    // The controls of an extension's script are Gradio's; they are all there, and one group is shown.
    this.closest("[id$=_script_container]")?.setAttribute("data-group", script?.group ?? "");
    for (const group of this.parentElement?.closest("[id$=_script_container]")?.querySelectorAll(".easel-script-group") ?? []) {
      group.classList.toggle("easel-chosen", group.id === script?.group);
    }
    if (!script || script.extension) return;
    const values = this.#values(script);
    const set = (at, value) => {
      values[at] = value;
      this.kept.values[script.name] = values;
      this.#save();
    };
    const drawn = new Set();
    if (script.axes) {
      this.body.append(axes(this.tab, script.axes, values, set));
      for (let at = 0; at < 9; at += 1) drawn.add(at);
      // The pictures of all cells are shown anyway; text and lists are both offered at once.
      for (const at of [10, 17]) drawn.add(at);
    }
    script.args.forEach((argument, at) => {
      if (drawn.has(at) || !argument.label) return;
      const choices = script.choices?.[at] ?? argument.choices;
      this.body.append(control({ ...argument, choices }, values[at], (value) => set(at, value)));
    });
  }
}
customElements.define("easel-script", Script);

/** One control for one argument. */
function control({ label: name, value: usual, minimum, maximum, step, choices }, value, set) {
  const text = label(name);
  if (typeof usual === "boolean") {
    const box = h("input", { type: "checkbox", onchange: () => set(box.checked) });
    box.checked = Boolean(value);
    return h("label", { class: "check" }, box, h("span", {}, text));
  }
  if (Array.isArray(usual)) return several(text, choices ?? [], value, set);
  if (choices) {
    const byPlace = typeof usual === "number";
    const list = h("select", { onchange: () => set(list.value) });
    list.append(...choices.map((one) => h("option", { value: one }, label(one))));
    list.value = byPlace && typeof value === "number" ? choices[value] : value;
    return h("label", { class: "field" }, h("span", {}, text), list);
  }
  if (typeof usual === "number") return number(text, { minimum, maximum, step }, value, set);
  const long = /prompt/i.test(name);
  const box = h(long ? "textarea" : "input", { oninput: () => set(box.value), rows: long ? 4 : null });
  box.value = value;
  return h("label", { class: "field" }, h("span", {}, text), box);
}

/** A number with a slider beside it. */
function number(text, { minimum, maximum, step }, value, set) {
  const range = { min: minimum, max: maximum, step: step ?? 1 };
  const take = (from, to) => () => {
    if (!Number.isFinite(from.valueAsNumber)) return;
    to.value = from.value;
    set(from.valueAsNumber);
  };
  const box = h("input", { type: "number", ...texts(range) });
  const slider = h("input", { type: "range", "aria-label": text, ...texts(range) });
  for (const one of [box, slider]) one.value = value;
  box.addEventListener("input", take(box, slider));
  slider.addEventListener("input", take(slider, box));
  return h("label", { class: "field number" }, h("span", {}, text), box, minimum === null ? null : slider);
}

function several(text, choices, value, set) {
  const chosen = new Set(value);
  const boxes = choices.map((choice) => {
    const box = h("input", {
      type: "checkbox",
      onchange: () => {
        if (box.checked) chosen.add(choice);
        else chosen.delete(choice);
        set(choices.filter((one) => chosen.has(one)));
      },
    });
    box.checked = chosen.has(choice);
    return h("label", { class: "check" }, box, h("span", {}, label(choice)));
  });
  return h("div", { class: "field", role: "group", "aria-label": text }, h("span", {}, text), ...boxes);
}

const texts = (values) => Object.fromEntries(Object.entries(values).map(([name, one]) => [name, one === null ? null : String(one)]));
