// Generate forever: right-click on Generate; goes on until stopped or interrupted.
import * as toast from "./toast.js";
import { h, icon } from "./dom.js";
import { live } from "./live.js";

const { t } = window.Easel;
let tab = null;

const generate = (name) => document.getElementById(`${name}_generate`);

function start(name) {
  tab = name;
  generate(tab)?.classList.add("forever");
  toast.info(t("forever.started"), { text: t("forever.stop"), run: stop });
  next();
}

function stop() {
  if (tab) generate(tab)?.classList.remove("forever");
  tab = null;
}

function next() {
  if (tab && !live.queue.length && !live.paused) generate(tab)?.click();
}

live.on("job", (job) => {
  if (tab && !["queued", "running"].includes(job.state)) {
    if (["failed", "parked", "paused"].includes(job.state)) stop();
    else setTimeout(next, 150);
  }
});
document.addEventListener("easel:interrupt", stop);
document.addEventListener("easel:refused", stop);

document.addEventListener("contextmenu", (event) => {
  const button = event.target.closest?.('button[id$="_generate"]');
  if (!button) return;
  event.preventDefault();
  menu(event.clientX, event.clientY, button.id.replace("_generate", ""));
});

/** A long press does on a touch screen what the right button does elsewhere; browsers send contextmenu. */
function menu(x, y, name) {
  document.querySelector(".easel-menu")?.remove();
  const running = tab !== null;
  const item = h(
    "button",
    { type: "button", role: "menuitem", onclick: () => (running ? stop() : start(name)) },
    icon(running ? "stop" : "repeat"),
    t(running ? "forever.stop" : "forever.start"),
  );
  const list = h("div", { class: "easel-menu", role: "menu", style: `left:${x}px;top:${y}px` }, item);
  document.body.append(list);
  const box = list.getBoundingClientRect();
  list.style.left = `${Math.min(x, innerWidth - box.width - 8)}px`;
  list.style.top = `${Math.min(y, innerHeight - box.height - 8)}px`;
  item.focus();
  const close = (event) => {
    if (event.type === "keydown" && event.key !== "Escape") return;
    list.remove();
    for (const kind of ["click", "keydown", "scroll"]) document.removeEventListener(kind, close);
  };
  for (const kind of ["click", "keydown", "scroll"]) document.addEventListener(kind, close);
}
