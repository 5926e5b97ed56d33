// Pictures that a job needs, sent to the server once; jobs name them by reference.
import * as api from "./api.js";

let sent = new WeakMap();
// A refused job may name a picture that the server has forgotten: the next try sends it again.
document.addEventListener("easel:refused", () => (sent = new WeakMap()));

/** Send a picture file; resolves to `{ref, width, height, has_alpha, url}`. Asks once for each Blob. */
export function upload(blob) {
  if (!sent.has(blob)) {
    const answer = api.putInput(blob);
    sent.set(blob, answer);
    answer.catch(() => sent.delete(blob));
  }
  return sent.get(blob);
}

/** The reference "input:…" of a picture file. */
export const reference = async (blob) => (await upload(blob)).ref;

/** The server has this file already, as `answer` says. */
export const know = (blob, answer) => sent.set(blob, Promise.resolve(answer));
