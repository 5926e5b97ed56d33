// Full-screen viewer: arrows, zoom, download; Escape closes.
import { button, h } from "./dom.js";
import { replayImage } from "./replay.js";
import { options } from "./page.js";
import { downloadClean } from "./provenance.js";

const { t, config } = window.Easel;

/** Show `images` beginning with number `at`; `chosen(at)` hears which one was left open. */
export function view(images, at, chosen) {
  let now = at;
  const picture = h("img", { class: "picture", alt: "" });
  const frame = h("div", { class: "frame" }, picture);
  const words = h("p", { class: "words", role: "status" });
  const dialog = h("dialog", { class: "easel-viewer", "aria-label": t("viewer.title") });

  const show = () => {
    const image = images[now];
    dialog.classList.toggle("zoomed", Boolean(options.js_modal_lightbox_initially_zoomed));
    picture.src = config.root + image.url;
    replay.hidden = image.kind !== "image" || Boolean(image.postprocessing);
    picture.alt = image.kind === "grid" ? t("output.grid") : t("output.picture", { seed: image.seed });
    words.textContent = t("viewer.place", {
      now: now + 1,
      all: images.length,
      width: image.width,
      height: image.height,
    });
  };
  const go = (step) => {
    now = (now + step + images.length) % images.length;
    show();
  };
  const zoom = () => dialog.classList.toggle("zoomed");
  const save = () =>
    h("a", { href: config.root + images[now].download, download: images[now].name ?? "" }).click();
  const close = () => dialog.close();

  const replay = button("repeat", t("replay.button"), () => replayImage(images[now]), { quiet: true });
  const bar = h(
    "header",
    {},
    words,
    replay,
    button("zoom", t("viewer.zoom"), zoom, { quiet: true }),
    button("download", t("output.download"), save, { quiet: true }),
    button("shield", t("provenance.clean"), () => downloadClean(images[now]), { quiet: true }),
    button("close", t("dialog.close"), close, { quiet: true }),
  );
  dialog.append(bar, frame);
  if (images.length > 1) {
    dialog.append(
      button("left", t("viewer.previous"), () => go(-1), { quiet: true, kind: "previous" }),
      button("right", t("viewer.next"), () => go(1), { quiet: true, kind: "next" }),
    );
  }
  picture.addEventListener("click", zoom);
  frame.addEventListener("click", (event) => event.target === frame && close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === "s") save();
    else if (event.key === "z") zoom();
    else return;
    event.preventDefault();
  });
  let from = null;
  frame.addEventListener("touchstart", (event) => (from = event.touches[0].clientX), { passive: true });
  frame.addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - (from ?? 0);
    if (from !== null && Math.abs(moved) > 60 && !dialog.classList.contains("zoomed")) go(moved > 0 ? -1 : 1);
    from = null;
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    chosen?.(now);
  });
  document.body.append(dialog);
  show();
  dialog.showModal();
}
