// What stands where pictures will be: an invitation, or why there are none.
import * as page from "./page.js";
import * as pausing from "./pausing.js";
import { button, h, icon } from "./dom.js";

const { t, has } = window.Easel;

/** The element for a tab without pictures; `job` is its last job or null. */
export function emptyStage(job, tab) {
  if (job?.state === "failed" || job?.state === "parked") {
    return h(
      "div",
      { class: "nothing failed", role: "alert" },
      icon("error"),
      h("p", {}, job.error || t("output.failed")),
    );
  }
  if (job?.state === "paused") return putAside(job);
  if (job?.state === "interrupted" || job?.state === "cancelled") {
    return h("div", { class: "nothing" }, icon("stop"), h("p", {}, t("output.stopped")));
  }
  return h(
    "div",
    { class: "nothing" },
    icon("picture"),
    h("p", {}, t("output.empty")),
    h("p", { class: "small" }, t(has(`${tab}.empty_hint`) ? `${tab}.empty_hint` : "output.empty_hint")),
    tab !== "extras" &&
      page.model.description &&
      h("p", { class: "small model" }, page.model.description),
  );
}

function putAside(job) {
  const percent = Math.round(100 * (job.progress ?? 0));
  return h(
    "div",
    { class: "nothing" },
    icon("pause"),
    h("p", {}, t("output.put_aside", { percent })),
    h("p", { class: "small" }, t("output.put_aside_hint")),
    button("play", t("actions.go_on"), () => pausing.resume(job.id)),
  );
}
