// Styles: put their texts into the prompt, and the window that edits them.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import { confirm, open } from "./dialogs.js";
import { button, h } from "./dom.js";

const { t } = window.Easel;

/** The chosen styles' texts go into both boxes, the list is emptied. */
export async function merge(prompt, negative, names) {
  const found = await toast.guard(() => api.get("/easel/v1/styles"));
  if (!found || !names?.length) return [prompt, negative, names ?? []];
  const chosen = names.map((name) => found.styles.find((style) => style.name === name)).filter(Boolean);
  return [
    chosen.reduce((text, style) => wrap(text, style.prompt), prompt ?? ""),
    chosen.reduce((text, style) => wrap(text, style.negative_prompt), negative ?? ""),
    [],
  ];
}

function wrap(text, style) {
  if (!style) return text;
  // A function, or "$&" in a prompt would be read as a pattern.
  if (style.includes("{prompt}")) return style.replaceAll("{prompt}", () => text);
  return [text.trim(), style.trim()].filter(Boolean).join(", ");
}

/** The window to make, change and delete styles. */
export async function edit(tab) {
  const found = await toast.guard(() => api.get("/easel/v1/styles"));
  if (found)
    await open(t("styles.title"), (body, close) => fillEditor(body, close, tab, found.styles), {
      wide: true,
    });
}

function fillEditor(body, close, tab, styles) {
  const chosen = form.values(tab).styles?.[0] ?? "";
  const list = h("datalist", { id: "easel_style_names" });
  const name = h("input", {
    type: "text",
    id: "easel_style_name",
    list: "easel_style_names",
    autocomplete: "off",
  });
  const prompt = h("textarea", { rows: "4", id: "easel_style_prompt" });
  const negative = h("textarea", { rows: "3", id: "easel_style_negative" });
  const remove = button("trash", t("styles.delete"), () => erase());
  const known = () => styles.find((style) => style.name === name.value.trim());

  const offer = () => list.replaceChildren(...styles.map((style) => h("option", { value: style.name })));
  const show = () => {
    const style = known();
    remove.disabled = !style;
    if (!style) return;
    prompt.value = style.prompt ?? "";
    negative.value = style.negative_prompt ?? "";
  };
  const copy = () => {
    const { prompt: p, negative_prompt: n } = form.values(tab);
    prompt.value = p ?? "";
    negative.value = n ?? "";
  };
  const save = async () => {
    const title = name.value.trim();
    if (!title) {
      toast.warning(t("styles.needs_name"));
      name.focus();
      return;
    }
    const kept = { prompt: prompt.value, negative_prompt: negative.value };
    await toast.guard(async () => {
      await api.put(`/easel/v1/styles/${encodeURIComponent(title)}`, kept);
      await reload(tab);
      toast.success(t("styles.saved", { name: title }));
      close();
    });
  };
  const erase = async () => {
    const title = name.value.trim();
    if (!(await confirm(t("styles.delete_question", { name: title }), t("styles.delete")))) return;
    await toast.guard(async () => {
      await api.remove(`/easel/v1/styles/${encodeURIComponent(title)}`);
      await reload(tab, title);
      toast.success(t("styles.deleted", { name: title }));
      close();
    });
  };

  name.value = chosen;
  name.addEventListener("input", show);
  offer();
  show();
  body.append(
    h("p", { class: "hint" }, t("styles.hint")),
    field(t("styles.name"), name, list),
    field(t("styles.prompt"), prompt),
    field(t("styles.negative_prompt"), negative),
    h(
      "div",
      { class: "easel-dialog-actions" },
      button("copy", t("styles.from_prompt"), copy),
      remove,
      button("save", t("styles.save"), save, { kind: "primary" }),
    ),
  );
}

function field(text, input, ...more) {
  return h("div", { class: "easel-field" }, h("label", { for: input.id }, text), input, ...more);
}

/** The list of styles changed: show it in the form. */
async function reload(tab, gone = null) {
  await page.state({ fresh: true });
  form.apply(tab, { styles: (form.values(tab).styles ?? []).filter((name) => name !== gone) });
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.('[id$="_styles_edit_button"]');
  if (pressed) edit(pressed.id.replace("_styles_edit_button", ""));
});
