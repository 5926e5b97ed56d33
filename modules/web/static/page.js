// What the form needs of the program: lists, options, the model's own defaults. Fetched once, then on change.
import * as api from "./api.js";
import { live } from "./live.js";

let known = null;

/** Settings that the scripts read, as last heard; empty until the first answer. */
export const options = {};

/** The state; asks the server only when it is not known or `fresh` is wanted. */
export function state({ fresh = false } = {}) {
  if (known === null || fresh) {
    known = api.get("/easel/page/state").then(
      (found) => {
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

live.on("options", async ({ changed }) => {
  adopt(changed);
  const current = await state().catch(() => null);
  if (current) Object.assign(current.options, changed);
});
