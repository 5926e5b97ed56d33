// What the form needs of the program: lists, options, the model's own defaults. Fetched once, then on change.
import * as api from "./api.js";
import { live } from "./live.js";

let known = null;

/** The state; asks the server only when it is not known or `fresh` is wanted. */
export function state({ fresh = false } = {}) {
  if (known === null || fresh) {
    known = api.get("/easel/page/state").catch((problem) => {
      known = null;
      throw problem;
    });
  }
  return known;
}

/** A setting that the scripts read, or `fallback` while nothing is known. */
export async function option(key, fallback) {
  const { options } = await state();
  return options[key] ?? fallback;
}

live.on("options", async (message) => {
  const current = await state();
  Object.assign(current.options, message.changed);
});
