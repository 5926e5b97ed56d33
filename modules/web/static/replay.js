// Replay: make a picture again, compare the two pixel by pixel, and say why they differ.
import * as api from "./api.js";
import * as dialogs from "./dialogs.js";
import { h, icon } from "./dom.js";
import { live } from "./live.js";

const { t, config, has } = window.Easel;
const LOOK = 400;

/** Make a picture of this installation again. */
export const replayImage = (image) =>
  show(() => api.post(`/easel/v1/images/${encodeURIComponent(image.id)}/replay`), config.root + image.url);

/** Make the picture of a file again. */
export function replayFile(file) {
  const address = URL.createObjectURL(file);
  return show(() => api.replayFile(file), address).finally(() => URL.revokeObjectURL(address));
}

function show(begin, original) {
  let open = true;
  const done = dialogs.open(
    t("replay.title"),
    (body) => {
      body.classList.add("easel-replay");
      const words = h("p", { role: "status" }, t("replay.begins"));
      body.append(words);
      follow(begin, words, () => open)
        .then((found) => open && body.replaceChildren(...verdict(found, original)))
        .catch((problem) => open && body.replaceChildren(bad(problem.message)));
    },
    { wide: true },
  );
  return done.finally(() => (open = false));
}

async function follow(begin, words, wanted) {
  const { job } = await begin();
  for (;;) {
    const found = await api.get(`/easel/v1/jobs/${encodeURIComponent(job)}/replay`);
    if (found.finished || !wanted()) return found;
    const percent = live.running?.job === job ? Math.round(100 * live.running.progress) : 0;
    words.textContent = t(percent ? "replay.running" : "replay.waiting", { percent });
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

function verdict(found, original) {
  if (found.same === undefined) return [bad(found.error || t("replay.nothing"))];
  const pixels = found.pixels.toLocaleString(config.language);
  if (found.same)
    return [
      h("p", { class: "verdict good", role: "status" }, icon("check"), t("replay.same", { pixels })),
      h("img", { src: config.root + found.image.url, alt: t("replay.again") }),
    ];
  const differing = found.differing.toLocaleString(config.language);
  const told = t("replay.differs", { differing, pixels, largest: found.largest });
  const shape = `${found.image.width}/${found.image.height}`;
  return [
    h("p", { class: "verdict", role: "status" }, icon("warning"), told),
    h("h3", {}, t("replay.causes")),
    h("ul", {}, ...found.causes.map((cause) => h("li", {}, sentence(cause)))),
    h("easel-compare", { before: original, after: config.root + found.image.url, shape, replay: true }),
  ];
}

function sentence(cause) {
  const key = `replay.cause_${cause.kind}`;
  const word = (value) => (value === "none" ? t("replay.none") : value);
  return has(key) ? t(key, { name: cause.name, then: word(cause.then), now: word(cause.now) }) : cause.sentence;
}

const bad = (message) => h("p", { class: "bad", role: "alert" }, message);
