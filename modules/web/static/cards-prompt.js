// What a card does to the prompt: its text goes in, or comes out again when it is there.
import { box, setValue } from "./dom.js";

/** The box that was written in last, by tab: embeddings go there, so that they work in both. */
const lastBox = {};

document.addEventListener("focusin", (event) => {
  const found = event.target.closest?.(".easel-prompt")?.id.match(/^(.*?)_(prompt|neg_prompt)$/);
  if (found) lastBox[found[1]] = found[2];
});

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Finds a card's text in a prompt: `<lora:name:any weight>`, or an embedding's name as a word. */
function pattern(card) {
  const network = card.insert.match(/^<(\w+):([^:>]+)/);
  if (network) return new RegExp(`<${network[1]}:${escaped(network[2])}(?::[^>]*)?>`, "g");
  return new RegExp(`(?<![\\p{L}\\p{N}_-])${escaped(card.insert)}(?![\\p{L}\\p{N}_-])`, "gu");
}

const boxesOf = (card) => (card.insert.startsWith("<") ? ["prompt"] : ["prompt", "neg_prompt"]);
const read = (tab, name) => box(`${tab}_${name}`)?.value ?? "";

/** Whether a card's text stands in a tab's prompt. */
export function isIn(tab, card) {
  if (!card.insert) return false;
  return boxesOf(card).some((name) => pattern(card).test(read(tab, name)));
}

/** Put a card's text into the prompt, or take it out; true when it is in afterwards. */
export function toggle(tab, card, separator) {
  if (isIn(tab, card)) {
    takeOut(tab, card);
    return false;
  }
  const target = boxesOf(card).length > 1 ? (lastBox[tab] ?? "prompt") : "prompt";
  const text = [card.insert, card.activation].filter(Boolean).join(" ");
  put(tab, target, join(read(tab, target), text, separator));
  if (card.negative && !read(tab, "neg_prompt").includes(card.negative))
    put(tab, "neg_prompt", join(read(tab, "neg_prompt"), card.negative, ", "));
  return true;
}

/** Add words, such as trigger words, to a tab's prompt unless they are there. */
export function addWords(tab, words) {
  const now = read(tab, "prompt");
  if (!now.includes(words)) put(tab, "prompt", join(now, words, ", "));
}

function takeOut(tab, card) {
  for (const name of boxesOf(card)) {
    const before = read(tab, name);
    let after = before.replace(pattern(card), "\u0000");
    if (after === before) continue;
    if (card.activation) after = after.replace(`\u0000 ${card.activation}`, "\u0000");
    put(tab, name, tidy(after));
  }
  if (card.negative) {
    const negative = read(tab, "neg_prompt");
    if (negative.includes(card.negative))
      put(tab, "neg_prompt", tidy(negative.replace(card.negative, () => "\u0000")));
  }
}

/** Close the gap that a text leaves: at most one separator stays. */
const tidy = (text) =>
  text
    .replace(/[ \t]*,[ \t]*\u0000[ \t]*(?=,|$)/gm, "")
    .replace(/^[ \t]*\u0000[ \t]*,?[ \t]*/gm, "")
    .replace(/[ \t]*\u0000/g, "");

function join(text, more, separator) {
  const before = text.trimEnd();
  return before ? before + separator + more : more;
}

function put(tab, name, text) {
  setValue(box(`${tab}_${name}`), text);
}
