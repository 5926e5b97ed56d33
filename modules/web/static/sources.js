// The picture that a tab works on; it is kept over changes of tab and reloads, wherever it came from.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { storage } from "./dom.js";
import { upload } from "./uploads.js";

const KEY = "easel.sources.v1";
const known = storage.read(KEY, {});

/** `{ref, url, width, height, name}` of a tab's picture, or null. */
export const get = (tab) => known[tab] ?? null;

/** Give a tab another picture (an answer of /easel/v1/inputs), or none. */
export function set(tab, source) {
  if (source) known[tab] = source;
  else delete known[tab];
  storage.write(KEY, known);
  document.dispatchEvent(new CustomEvent("easel:source", { detail: { tab, source: get(tab) } }));
}

/** Hear of every change of a tab's picture, and of the one that is there now. */
export function follow(tab, action) {
  const hear = ({ detail }) => detail.tab === tab && action(detail.source);
  document.addEventListener("easel:source", hear);
  action(get(tab));
  return () => document.removeEventListener("easel:source", hear);
}

/** The server's record of a picture: a file, the id of a finished picture, or a record that we have. */
export async function take(what, name = "") {
  if (what instanceof Blob) return { ...(await upload(what)), name: name || what.name || "" };
  if (typeof what === "string") return { ...(await api.post("/easel/v1/inputs/from-image", { image_id: what })), name };
  return { name, ...what };
}

/** Make the picture of a reference, as a stored job names it, a tab's picture. */
export async function recall(tab, ref, name = "") {
  const url = `/easel/v1/inputs/${ref.slice("input:".length)}`;
  const picture = new Image();
  picture.src = window.Easel.config.root + url;
  await picture.decode();
  set(tab, { ref, url, width: picture.naturalWidth, height: picture.naturalHeight, name });
}

/** Send a file to the server and make it a tab's picture; a fault becomes a note. */
export const adopt = (tab, what, name) =>
  toast.guard(async () => {
    const source = await take(what, name);
    set(tab, source);
    return source;
  });
