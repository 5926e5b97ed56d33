// What the form needs of the program: lists, options, the model's own defaults. Fetched once, then on change.
import * as api from "./api.js";
import { live } from "./live.js";
import { warning } from "./toast.js";

let known = null;

/** Settings that the scripts read, as last heard; empty until the first answer. */
export const options = {};

/** What the chosen model says about itself. */
export const model = { description: "", variant: "" };

/** The state; asks the server only when it is not known or `fresh` is wanted. */
export function state({ fresh = false } = {}) {
  if (known === null || fresh) {
    known = api.get("/easel/page/state").then(
      (found) => {
        model.description = found.description;
        model.variant = found.variant;
        document.documentElement.classList.toggle("easel-guided-model", found.guided);
        adopt(found.options);
        return found;
      },
      (problem) => {
        known = null;
        throw problem;
      },
    );
  }
  return known;
}

/** Run `action` now and whenever settings change. */
export function onOptions(action) {
  document.addEventListener("easel:options", action);
  action();
}

function adopt(changed) {
  Object.assign(options, changed);
  document.dispatchEvent(new CustomEvent("easel:options"));
}

// After an update of the program the scripts of this page are the old ones.
live.on("snapshot", async ({ restarted }) => {
  if (!restarted) return;
  const { assets } = await state({ fresh: true }).catch(() => ({}));
  if (assets && assets !== window.Easel.config.assets) {
    warning(window.Easel.t("page.updated"), {
      text: window.Easel.t("page.reload"),
      run: () => location.reload(),
    });
  }
});

live.on("options", async ({ changed }) => {
  adopt(changed);
  const current = await state().catch(() => null);
  if (current) Object.assign(current.options, changed);
});
