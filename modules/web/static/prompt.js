// The prompt boxes: token counter, warnings, weights by keyboard, reading parameters from a text.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import { move, weigh } from "./attention.js";
import { confirm } from "./dialogs.js";
import { box, debounce, h } from "./dom.js";

const { t, has } = window.Easel;
const PARAMETERS = /(^|\n)\s*Steps: \d+, .*\bSeed: \d+/;

/** The counter and the warnings under a prompt box. */
class PromptStatus extends HTMLElement {
  connectedCallback() {
    this.count = h("span", { class: "count", id: this.getAttribute("counter") }, "0/75");
    this.list = h("ul", { class: "warnings", role: "status" });
    this.replaceChildren(this.list, this.count);
    page.onOptions(() => this.count.classList.toggle("easel-hidden", !!page.options.disable_token_counters));
    check(this.getAttribute("tab"));
  }

  show(result) {
    const { tokens, limit, t5, warnings, translation } = result;
    const counts = tokens === null ? [] : [[`${tokens}/${limit}`, t("prompt.tokens", { tokens, limit })]];
    if (t5) counts.push([`T5 ${t5.tokens}/${t5.limit}`, t("prompt.t5_tokens", t5)]);
    this.count.textContent = counts.map(([short]) => short).join(" · ");
    this.count.title = counts.map(([, said]) => said).join("\n");
    this.classList.toggle("warned", warnings.length > 0);
    const items = warnings.slice(0, 6).map((warning) => this.#item(warning));
    this.list.replaceChildren(...translated(translation), ...items);
  }

  #item({ start, end, message, code, params }) {
    const text = has(`notice.${code}`) ? t(`notice.${code}`, params) : message;
    const select = () => {
      const area = box(`${this.getAttribute("tab")}_${this.getAttribute("box")}`);
      area?.focus();
      area?.setSelectionRange(start, Math.max(end, start + 1));
    };
    return h("li", {}, h("button", { type: "button", onclick: select, title: t("prompt.show_place") }, text));
  }
}
customElements.define("easel-prompt-status", PromptStatus);

/** What the model reads instead of a Chinese prompt. */
function translated(translation) {
  if (!translation) return [];
  const { text, changed, unknown } = translation;
  const lines = [];
  if (changed) lines.push(h("li", { class: "translation" }, t("prompt.translated", { text })));
  if (unknown.length) {
    const said = changed ? "prompt.left_out" : "prompt.not_translated";
    lines.push(h("li", { class: "translation" }, t(said, { words: unknown.join("、") })));
  }
  return lines;
}

const lastAsked = {};
const check = debounce(async (tab) => {
  const { prompt = "", negative_prompt = "", styles = [], steps = 20 } = form.values(tab);
  const asked = JSON.stringify([prompt, negative_prompt, styles, steps]);
  const elements = document.querySelectorAll(`easel-prompt-status[tab="${tab}"]`);
  const fresh = [...elements].some((element) => !element.dataset.checked);
  if (!elements.length || (lastAsked[tab] === asked && !fresh)) return;
  lastAsked[tab] = asked;
  let answer;
  try {
    answer = await api.post("/easel/v1/prompt/check", {
      prompt,
      negative_prompt,
      styles,
      steps: steps || 20,
    });
  } catch {
    return;
  }
  if (lastAsked[tab] !== asked) return;
  for (const element of elements) {
    element.dataset.checked = "yes";
    element.show(element.getAttribute("box") === "prompt" ? answer.prompt : answer.negative_prompt);
  }
}, 250);
document.addEventListener("easel:form", (event) => check(event.detail.tab));

/** Empty both boxes after a question. */
export async function clear(prompt, negative) {
  if (!prompt && !negative) return ["", ""];
  const yes = await confirm(t("prompt.clear_question"), t("prompt.clear"));
  return yes ? ["", ""] : [prompt, negative];
}

/** Read the parameters in the prompt box, or those of the last picture when it is empty. */
export async function readParameters(tab) {
  const text = (box(`${tab}_prompt`)?.value ?? "").trim();
  await toast.guard(async () => {
    const found = text ? await api.textInfo(text) : await lastParameters();
    if (!found) toast.info(t("prompt.no_last"));
    else if (!hasParameters(found)) toast.info(t("prompt.no_parameters"));
    else await form.fill(tab, found.fields, found.override_settings);
  });
}

/** Whether a text or picture says more than a prompt. */
export const hasParameters = (found) => ["steps", "seed"].some((name) => name in (found?.fields ?? {}));

async function lastParameters() {
  const { jobs } = await api.get("/easel/v1/jobs?state=done,interrupted&limit=1");
  if (!jobs.length) return null;
  const job = await api.get(`/easel/v1/jobs/${encodeURIComponent(jobs[0].id)}`);
  const image = job.images.find((one) => one.kind === "image") ?? job.images[0];
  return image?.infotext ? api.textInfo(image.infotext) : null;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.('[id$="_paste"]');
  if (button) readParameters(button.id.replace("_paste", ""));
});

document.addEventListener("paste", (event) => {
  const area = event.target.closest?.(".easel-prompt textarea");
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (!area || !PARAMETERS.test(text)) return;
  const tab = area.closest(".easel-prompt").id.replace(/_(neg_)?prompt$/, "");
  const read = () =>
    toast.guard(async () => {
      const found = await api.textInfo(text);
      await form.fill(tab, found.fields, found.override_settings);
    });
  toast.info(t("prompt.pasted_parameters"), { text: t("prompt.read"), run: read });
});

document.addEventListener("keydown", (event) => {
  const area = event.target.closest?.(".easel-prompt textarea");
  if (!area) return;
  const vertical = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const { options } = page;
  let edited = null;
  if (vertical && (event.ctrlKey || event.metaKey)) {
    edited = weigh(area.value, area.selectionStart, area.selectionEnd, vertical, {
      attention: options.keyedit_precision_attention,
      extra: options.keyedit_precision_extra,
      delimiters: options.keyedit_delimiters,
    });
  } else if (sideways && event.altKey && options.keyedit_move !== false) {
    edited = move(area.value, area.selectionStart, area.selectionEnd, sideways);
  }
  if (!edited) return;
  event.preventDefault();
  write(area, edited);
});

/** Replace a box's text so that the browser's undo still works. */
function write(area, { text, start, end }) {
  area.focus();
  area.setSelectionRange(0, area.value.length);
  if (!document.execCommand("insertText", false, text)) {
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
  area.setSelectionRange(start, end);
}
