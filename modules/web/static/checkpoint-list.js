// The list of checkpoints says more than names: family, size and a small picture beside each.
import * as api from "./api.js";
import * as quick from "./quick.js";
import { debounce } from "./dom.js";
import { live } from "./live.js";
import { size } from "./words.js";

const { config } = window.Easel;
const LISTS = '#setting_sd_model_checkpoint [role="listbox"], [id$="_checkpoint"] [role="listbox"], [id$="_hr_checkpoint_name"] [role="listbox"]';
let known = null;

function models() {
  known ??= api.get("/easel/v1/models").then(
    ({ checkpoints }) => new Map(checkpoints.map((one) => [one.title, one])),
    () => {
      known = null;
      return new Map();
    },
  );
  return known;
}

async function dress() {
  const lists = document.querySelectorAll(LISTS);
  if (!lists.length) return;
  const found = await models();
  for (const option of [...lists].flatMap((list) => [...list.querySelectorAll('[role="option"]')])) {
    const model = found.get(option.getAttribute("aria-label"));
    const facts = model ? [[model.family_label, model.variant].filter(Boolean).join(" "), model.size ? size(model.size) : ""] : [];
    const text = facts.filter(Boolean).join(" · ");
    // Drawn by the style sheet, so that nothing inside Gradio's own element changes.
    if (option.dataset.facts !== text) option.dataset.facts = text;
    if (model?.preview) option.style.setProperty("--preview", `url("${config.root}${model.preview}&size=64")`);
    option.classList.toggle("pictured", Boolean(model?.preview));
  }
}

new MutationObserver((changes) => {
  const opened = (node) => node.nodeType === 1 && (node.matches('[role="option"]') || node.querySelector?.('[role="option"]'));
  if (changes.some((change) => [...change.addedNodes].some(opened))) dress();
}).observe(document.documentElement, { childList: true, subtree: true });

const forget = () => {
  known = null;
};
live.on("catalog", debounce(() => {
  forget();
  quick.refresh();
}, 500));
live.on("cards", forget);
