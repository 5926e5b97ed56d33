// Small pieces of text: durations, and infotext made readable.
import { h } from "./dom.js";

const { t } = window.Easel;
const LAST_LINE = /^\s*[A-Za-z][\w \-/]+:\s*("(?:\\.|[^\\"])*"|[^,]*)(,|$)/;

/** Seconds for people: "0.8 s", "12 s", "3 min 5 s". */
export function duration(seconds) {
  if (seconds < 10) return t("time.seconds", { n: seconds.toFixed(1) });
  if (seconds < 60) return t("time.seconds", { n: Math.round(seconds) });
  if (seconds < 3600) return t("time.minutes", { m: Math.floor(seconds / 60), n: Math.round(seconds % 60) });
  return t("time.hours", { h: Math.floor(seconds / 3600), m: Math.round((seconds % 3600) / 60) });
}

/** Infotext as paragraphs: prompt, negative prompt, parameters. */
export function infotext(text) {
  const lines = (text ?? "").split("\n");
  const last = lines.length && LAST_LINE.test(lines.at(-1)) ? lines.pop() : "";
  const at = lines.findIndex((line) => line.startsWith("Negative prompt:"));
  const positive = (at < 0 ? lines : lines.slice(0, at)).join("\n").trim();
  const negative = at < 0 ? "" : lines.slice(at).join("\n").replace("Negative prompt:", "").trim();
  const box = h("div", { class: "infotext" });
  if (positive) box.append(h("p", { class: "positive" }, positive));
  if (negative) box.append(h("p", { class: "negative" }, h("b", {}, `${t("words.negative")} `), negative));
  if (last) box.append(h("p", { class: "parameters" }, ...pairs(last)));
  return box;
}

/** "Key: value, Key: value" as marked-up pairs. */
function pairs(line) {
  const found = [];
  const pattern = /\s*([A-Za-z][\w \-/]+):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)/g;
  for (const [, key, value] of line.matchAll(pattern)) {
    found.push(h("span", { class: "pair" }, h("b", {}, key), ` ${value.trim()}`), " ");
  }
  return found;
}

/** A file's size for people: "0.9 MB", "4.27 GB". */
export function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  const digits = at === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[at]}`;
}

/** How long ago, for lists. */
export function clock(unix) {
  return new Date(unix * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
