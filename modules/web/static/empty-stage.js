// What stands where pictures will be: an invitation, or why there are none.
import * as page from "./page.js";
import { h, icon } from "./dom.js";

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
