// Lines above the page that everybody should read: what was set aside, why the queue waits.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { live } from "./live.js";
import { button, h, icon } from "./dom.js";

const { t, has } = window.Easel;
const ICONS = { info: "info", warning: "warning", error: "error" };
/** Buttons that a line may have, by the name that the server gives: what it says, what it does. */
const ACTIONS = {
  leave_safe_mode: ["banner.leave_safe_mode", () => api.post("/easel/v1/safe-mode/leave")],
  restart: ["banner.restart", () => api.post("/easel/v1/extensions/restart")],
  resume: ["queue.resume", () => api.post("/easel/v1/queue/resume")],
  go_on: ["banner.go_on", () => api.post("/easel/v1/queue/resume")],
};

function draw() {
  let shelf = document.getElementById("easel_banner");
  if (!shelf) {
    shelf = h("div", { id: "easel_banner", role: "region", "aria-label": t("banner.region") });
    document.body.prepend(shelf);
  }
  shelf.replaceChildren(...live.notices.map(line));
}

function line(notice) {
  const known = notice.code && has(`banner.${notice.code}`);
  const text = known ? t(`banner.${notice.code}`, notice.params) : notice.text;
  const node = h(
    "div",
    { class: `easel-notice ${notice.kind}`, role: notice.kind === "error" ? "alert" : "status" },
    icon(ICONS[notice.kind] ?? "info"),
    h("p", {}, text),
  );
  node.dataset.id = notice.id;
  const [words, run] = ACTIONS[notice.action] ?? [];
  if (run) node.append(button("", t(words), () => toast.guard(run), { kind: "link" }));
  if (!notice.lasting) node.append(button("close", t("toast.close"), () => dismiss(notice.id), { quiet: true }));
  return node;
}

function dismiss(id) {
  toast.guard(() => api.post(`/easel/v1/notices/${encodeURIComponent(id)}/dismiss`));
}

live.on("snapshot notices", draw);
