// What there is to say of a finished job under its pictures: faults, warnings, how long it took.
import { h, icon } from "./dom.js";
import { duration } from "./words.js";

const { t } = window.Easel;
/** Scores of seams that nobody sees, and of those that everybody does. */
const UNSEEN = 1.15;
const PLAIN = 1.6;

/** Paragraphs for `job`; `warnings` came while it ran. */
export function jobNotes(job, warnings, { running, pictures }) {
  const lines = [];
  const { timings, error, state } = job ?? {};
  if (error && pictures) lines.push(h("p", { class: "bad" }, error));
  for (const text of new Set([...(job?.warnings ?? []), ...warnings])) {
    lines.push(h("p", { class: "warn" }, icon("warning"), text));
  }
  for (const path of job?.files ?? []) lines.push(h("p", { class: "place" }, icon("save"), h("span", {}, path)));
  if (timings?.run_s > 0 && !running) lines.push(h("p", { class: "time" }, times(timings, state)));
  return lines;
}

/** What an infotext says of the pixels that inpainting had to keep; nothing when it says nothing. */
export function keptPixels(text) {
  const found = text?.match(/Pixels changed outside the mask: (\d+)/);
  if (!found) return [];
  const count = Number(found[1]);
  const kind = count === 0 ? "kept" : "kept changed";
  return [h("p", { class: kind }, icon(count === 0 ? "check" : "warning"), t("img2img.kept", { count }))];
}

/** How well the new parts of an outpainted picture join the old one, side by side; about 1 is unseen. */
export function seams(text) {
  const found = text?.match(/Outpaint seam score: "?([^"\n]*?)"?(?:, [A-Z]|$)/m);
  const sides = [...(found?.[1] ?? "").matchAll(/(left|right|up|down) ([\d.]+)/g)];
  if (!sides.length) return [];
  const chips = sides.map(([, side, score]) => {
    const kind = score <= UNSEEN ? "good" : score <= PLAIN ? "fair" : "poor";
    const said = t(`outpaint.seam_${kind}`);
    return h("span", { class: `seam ${kind}`, title: said }, t(`outpaint.${side}`), h("b", {}, score), said);
  });
  return [h("p", { class: "seams" }, icon("seam"), t("outpaint.seams"), ...chips)];
}

function times(timings, state) {
  const said = state === "interrupted" ? "output.time_interrupted" : "output.time";
  const parts = [t(said, { time: duration(timings.run_s) })];
  if (timings.load_s >= 0.5) parts.push(t("output.time_load", { time: duration(timings.load_s) }));
  if (timings.queued_s >= 1) parts.push(t("output.time_queue", { time: duration(timings.queued_s) }));
  return parts.join(" · ");
}
