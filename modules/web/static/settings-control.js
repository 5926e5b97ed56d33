// The input of one setting, by its kind.
import { h, icon } from "./dom.js";

const { config, t } = window.Easel;
const MANY = 40;
const MAKERS = { bool, int: number, float: number, choice, multi, color, text, label: text };

/** An element that shows `option.value` and calls `store(value)` when a person changed it. */
export function control(option, id, store) {
  return (MAKERS[option.kind] ?? text)(option, id, store);
}

function bool(option, id, store) {
  const input = h("input", { type: "checkbox", id, role: "switch", onchange: () => store(input.checked) });
  input.checked = Boolean(option.value);
  return input;
}

function number(option, id, store) {
  const { minimum, maximum } = option;
  const step = option.step ?? (option.kind === "int" ? 1 : "any");
  const limits = { min: minimum ?? null, max: maximum ?? null, step };
  const attributes = Object.fromEntries(
    Object.entries(limits).map(([name, value]) => [name, value === null ? null : String(value)]),
  );
  const send = (source) => source.value !== "" && store(Number(source.value));
  const field = h("input", { type: "number", id, ...attributes, onchange: () => send(field) });
  field.value = option.value ?? "";
  const bounded =
    minimum !== null &&
    maximum !== null &&
    minimum !== undefined &&
    maximum !== undefined &&
    maximum - minimum <= 5000;
  if (!bounded) return field;
  const slider = h("input", {
    type: "range",
    ...attributes,
    "aria-labelledby": "",
    "aria-label": option.label,
    tabindex: "-1",
    oninput: () => (field.value = slider.value),
    onchange: () => send(slider),
  });
  slider.value = option.value;
  return h("div", { class: "pair" }, slider, field);
}

function choice(option, id, store) {
  const choices = option.choices?.length ? option.choices : null;
  if (!choices) return text(option, id, store);
  const listed =
    option.value === null || choices.includes(option.value) ? choices : [option.value, ...choices];
  const select = h(
    "select",
    { id, onchange: () => store(select.value) },
    ...listed.map((name) => h("option", { value: name }, naming(option, name))),
  );
  select.value = option.value ?? option.default ?? choices[0];
  return select;
}

function naming(option, name) {
  if (option.key !== "localization") return name === "" ? "–" : name;
  return config.languages[name] ?? t("settings.browser_language");
}

function multi(option, id, store) {
  const known = option.choices ?? [];
  if (known.length === 0) return lines(option, id, store);
  if (known.length > MANY) return picker(option, id, store);
  const value = new Set(option.value ?? []);
  const boxes = known.map((name, at) => {
    const box = h("input", { type: "checkbox", id: at === 0 ? id : null });
    box.checked = value.has(name);
    box.addEventListener("change", () => {
      if (box.checked) value.add(name);
      else value.delete(name);
      store([...value]);
    });
    return h("label", { class: "chip" }, box, h("span", {}, name));
  });
  return h("div", { class: "chips", role: "group", "aria-label": option.label }, ...boxes);
}

/** Many choices: the chosen ones as chips, a box with suggestions for the rest. */
function picker(option, id, store) {
  const value = [...(option.value ?? [])];
  const take = (name) => value.filter((other) => other !== name);
  const chips = value.map((name) =>
    h(
      "button",
      {
        type: "button",
        class: "chip",
        onclick: () => store(take(name)),
        title: t("settings.take_out", { name }),
      },
      name,
      icon("close"),
    ),
  );
  const list = h(
    "datalist",
    { id: `${id}_list` },
    ...option.choices.map((name) => h("option", { value: name })),
  );
  const add = () => option.choices.includes(input.value) && store([...take(input.value), input.value]);
  const input = h("input", {
    type: "text",
    id,
    list: `${id}_list`,
    placeholder: t("settings.add"),
    onchange: add,
  });
  return h("div", { class: "picker" }, h("div", { class: "chips" }, ...chips), input, list);
}

/** A list without fixed choices: one entry a line. */
function lines(option, id, store) {
  const send = () =>
    store(
      area.value
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean),
    );
  const area = h("textarea", { id, rows: "3", placeholder: t("settings.one_per_line"), onchange: send });
  area.value = (option.value ?? []).join("\n");
  return area;
}

function color(option, id, store) {
  const input = h("input", { type: "color", id, onchange: () => store(input.value) });
  input.value = option.value;
  return input;
}

function text(option, id, store) {
  const input = h("input", { type: "text", id, onchange: () => store(input.value), spellcheck: "false" });
  input.value = option.value ?? "";
  return input;
}
