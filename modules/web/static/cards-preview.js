// Making a finished picture the preview of a model that made it, or of any other.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { open } from "./dialogs.js";
import { button, debounce, h, icon } from "./dom.js";

const { t, config } = window.Easel;
const PAGES = ["lora", "textual_inversion", "hypernetworks", "checkpoints"];
const NETWORK = /<(lora|lyco|hypernet):([^:>]+)/g;
const MANY = 12;

/** Ask whose preview a picture becomes, and set it. */
export async function saveAsPreview(image) {
  const suggested = await toast.guard(() => suggestions(image));
  if (!suggested) return;
  await open(t("preview.title"), (body, close) => fill(body, close, image, suggested));
}

/** The models that the picture's parameters name, as cards. */
async function suggestions({ infotext = "" }) {
  const wanted = [];
  for (const [, kind, name] of infotext.matchAll(NETWORK))
    wanted.push([kind === "hypernet" ? "hypernetworks" : "lora", name]);
  const inversions = infotext.match(/TI hashes: "?([^"\n]+)/)?.[1] ?? "";
  for (const part of inversions.split(",")) if (part.includes(":")) wanted.push(["textual_inversion", part.split(":")[0].trim()]);
  const model = infotext.match(/(?:^|, )Model: "?([^",\n]+)/)?.[1];
  if (model) wanted.push(["checkpoints", model.trim()]);
  const cards = wanted.map(([page, name]) =>
    api.get(`/easel/v1/cards/${page}/card?name=${encodeURIComponent(name)}`).then(
      (card) => ({ ...card, page }),
      () => null,
    ),
  );
  const found = (await Promise.all(cards)).filter(Boolean);
  return [...new Map(found.map((card) => [`${card.page}/${card.name}`, card])).values()];
}

function fill(body, close, image, suggested) {
  const list = h("ul", { class: "easel-choose" });
  const search = h("input", { type: "search", id: "easel_preview_search", placeholder: t("preview.search"), "aria-label": t("preview.search") });
  const choose = async (card) => {
    const address = `/easel/v1/cards/${card.page}/preview?name=${encodeURIComponent(card.name)}`;
    const done = await toast.guard(() => api.put(address, { image_id: image.id }));
    if (!done) return;
    toast.success(t("preview.saved", { name: card.label }));
    close();
  };
  const show = (cards) => list.replaceChildren(...cards.map((card) => row(card, () => choose(card))));
  const find = debounce(async () => {
    const words = search.value.trim();
    if (!words) return show(suggested);
    const query = new URLSearchParams({ search: words, limit: String(MANY) });
    const answers = await toast.guard(() => Promise.all(PAGES.map((page) => api.get(`/easel/v1/cards/${page}?${query}`))));
    if (answers) show(answers.flatMap(({ page, cards }) => cards.filter((card) => !card.problem).map((card) => ({ ...card, page }))).slice(0, MANY));
  }, 150);
  search.addEventListener("input", find);
  body.append(
    h("div", { class: "easel-preview-of" }, h("img", { src: config.root + image.thumb, alt: "" }), h("p", {}, t(suggested.length ? "preview.hint" : "preview.hint_search"))),
    h("div", { class: "easel-field" }, search),
    list,
  );
  show(suggested);
}

function row(card, onclick) {
  const picture = card.preview ? h("img", { src: `${config.root}${card.preview}&size=96`, alt: "" }) : h("span", { class: "blank" }, icon("picture"));
  return h(
    "li",
    {},
    h("button", { type: "button", onclick }, picture, h("span", { class: "words" }, h("b", {}, card.label), h("span", {}, t(`cards.page_${card.page}`)))),
  );
}
