// The three axes of the X/Y/Z plot: what varies, its values, a button that fills in all there are.
import { button, h } from "./dom.js";
import { label } from "./script.js";

const { t } = window.Easel;
const NAMES = ["X", "Y", "Z"];
/** Values with commas are quoted, as in CSV. */
const csv = (values) => values.map((one) => (/[",]/.test(one) ? `"${one.replaceAll('"', '""')}"` : one)).join(", ");

/** Rows for the arguments 0 to 8; `set(at, value)` keeps one. */
export function axes(tab, listed, values, set) {
  const rows = NAMES.map((name, number) => row(tab, name, number, listed, values, set));
  const swap = (a, b) => {
    for (const offset of [0, 1]) {
      const before = values[a * 3 + offset];
      set(a * 3 + offset, values[b * 3 + offset]);
      set(b * 3 + offset, before);
    }
    for (const one of [a, b]) rows[one].show();
  };
  const swaps = [[0, 1], [1, 2], [0, 2]].map(([a, b]) =>
    button("swap", t("script.swap", { a: NAMES[a], b: NAMES[b] }), () => swap(a, b)),
  );
  return h("div", { class: "axes" }, ...rows.map((one) => one.node), h("div", { class: "swaps" }, ...swaps));
}

function row(tab, name, number, listed, values, set) {
  const at = number * 3;
  const type = h("select", { id: `${tab}_xyz_${name.toLowerCase()}_type`, onchange: () => choose(Number(type.value)) });
  type.append(...listed.map((axis, place) => h("option", { value: String(place) }, label(axis.label))));
  const text = h("input", { type: "text", placeholder: "1-5, 10", oninput: () => set(at + 1, text.value) });
  const all = button("edit", t("script.fill"), () => {
    text.value = csv(listed[values[at]].choices);
    set(at + 1, text.value);
  }, { quiet: true });
  const hints = h("datalist", { id: `${tab}_xyz_${number}_choices` });
  text.setAttribute("list", hints.id);

  const show = () => {
    type.value = String(values[at]);
    text.value = values[at + 1];
    const axis = listed[values[at]] ?? listed[0];
    text.disabled = axis.label === "Nothing";
    all.hidden = !axis.choices.length;
    hints.replaceChildren(...axis.choices.map((one) => h("option", { value: one })));
  };
  const choose = (place) => {
    set(at, place);
    show();
  };
  show();
  const node = h(
    "div",
    { class: "axis" },
    h("label", { class: "field" }, h("span", {}, t("script.axis_type", { name })), type),
    h("label", { class: "field wide" }, h("span", {}, t("script.axis_values", { name })), text),
    all,
    hints,
  );
  return { node, show };
}
