// Editing weights and order in a prompt. Pure functions: text and selection in, text and selection out.

const NUMBER = /^:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)/;

/**
 * Change the weight of the selection, of the bracket round the caret or of the word at the caret.
 * @returns {{text: string, start: number, end: number} | null} null when there is nothing to change
 */
export function weigh(text, start, end, direction, { attention = 0.1, extra = 0.05, delimiters = "" } = {}) {
  const network = networkAt(text, start, end);
  if (network) return weighNetwork(text, network, direction * extra);
  let range =
    start === end ? (bracketAt(text, start) ?? wordAt(text, start, delimiters)) : trim(text, start, end);
  if (!range) return null;
  range = inside(text, range);
  const wrapped = wrapping(text, range);
  const weight = round((wrapped?.weight ?? 1) + direction * attention);
  const outer = wrapped ?? { from: range.start, to: range.end };
  const words = text.slice(range.start, range.end);
  const plain = Math.abs(weight - 1) < 1e-9;
  const written = plain ? words : `(${words}:${weight})`;
  const shift = plain ? 0 : 1;
  return {
    text: text.slice(0, outer.from) + written + text.slice(outer.to),
    start: outer.from + shift,
    end: outer.from + shift + words.length,
  };
}

/** Move the comma-separated item at the caret one place to the left (-1) or right (1). */
export function move(text, start, end, direction) {
  const items = text.split(",");
  let at = 0;
  let position = 0;
  const starts = items.map((item) => {
    const from = position;
    position += item.length + 1;
    return from;
  });
  while (at + 1 < items.length && starts[at + 1] <= start) at += 1;
  const other = at + direction;
  if (other < 0 || other >= items.length) return null;
  const bare = items.map((item) => item.trim());
  const lead = items.map((item) => item.slice(0, item.length - item.trimStart().length));
  const tail = items.map((item, i) => item.slice(lead[i].length + bare[i].length));
  const offset = Math.max(0, start - starts[at] - lead[at].length);
  const length = end - start;
  [bare[at], bare[other]] = [bare[other], bare[at]];
  const moved = bare.map((item, i) => lead[i] + item + tail[i]);
  const before = moved.slice(0, other).reduce((sum, item) => sum + item.length + 1, 0);
  const caret = before + lead[other].length + Math.min(offset, bare[other].length);
  return { text: moved.join(","), start: caret, end: Math.min(caret + length, before + moved[other].length) };
}

function round(number) {
  return Number(number.toFixed(4));
}

function trim(text, start, end) {
  while (start < end && /\s/.test(text[start])) start += 1;
  while (end > start && /\s/.test(text[end - 1])) end -= 1;
  return start < end ? { start, end } : null;
}

/** The content of the innermost round bracket that holds the caret, without its weight. */
function bracketAt(text, caret) {
  const open = matching(text, caret, -1);
  if (open < 0) return null;
  const close = matching(text, caret, 1);
  if (close < 0) return null;
  const content = text.slice(open + 1, close);
  const number = content.match(/:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*$/);
  const end = number ? open + 1 + number.index : close;
  return end > open + 1 ? { start: open + 1, end } : null;
}

function matching(text, caret, step) {
  const [stop, deeper] = step < 0 ? ["(", ")"] : [")", "("];
  let depth = 0;
  for (let i = step < 0 ? caret - 1 : caret; i >= 0 && i < text.length; i += step) {
    if (text[i - 1] === "\\") continue;
    if (text[i] === deeper) depth += 1;
    else if (text[i] === stop) {
      if (depth === 0) return i;
      depth -= 1;
    }
  }
  return -1;
}

function wordAt(text, caret, delimiters) {
  const ends = (character) =>
    character === undefined || /[\s()[\]<>]/.test(character) || delimiters.includes(character);
  let start = caret;
  let end = caret;
  while (start > 0 && !ends(text[start - 1])) start -= 1;
  while (end < text.length && !ends(text[end])) end += 1;
  return start < end ? { start, end } : null;
}

/** When a whole bracket was selected, its content. */
function inside(text, { start, end }) {
  if (text[start] !== "(" || text[end - 1] !== ")") return { start, end };
  if (matching(text, start + 1, 1) !== end - 1) return { start, end };
  const number = text.slice(start + 1, end).match(/:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)$/);
  return { start: start + 1, end: number ? start + 1 + number.index : end - 1 };
}

/** The brackets directly round a range and the weight that they give together. */
function wrapping(text, { start, end }) {
  let from = start;
  let to = end;
  let weight = 1;
  let found = false;
  for (;;) {
    const left = text[from - 1];
    if (from === 0 || text[from - 2] === "\\") break;
    const number = left === "(" && text.slice(to).match(NUMBER);
    if (number) {
      weight *= Number(number[1]);
      to += number[0].length;
    } else if (left === "(" && text[to] === ")") {
      weight *= 1.1;
      to += 1;
    } else if (left === "[" && text[to] === "]") {
      weight /= 1.1;
      to += 1;
    } else break;
    from -= 1;
    found = true;
    if (number) break;
  }
  return found ? { from, to, weight } : null;
}

function networkAt(text, start, end) {
  const open = text.lastIndexOf("<", Math.max(0, start - (text[start] === "<" ? 0 : 1)));
  const from = text[start] === "<" ? start : open;
  if (from < 0) return null;
  const close = text.indexOf(">", from);
  if (close < 0 || close + 1 < end || close < start) return null;
  const found = text.slice(from, close + 1).match(/^<([^<>:]+):([^<>:]+)(?::([+-]?[\d.]+))?([^<>]*)>$/);
  return found
    ? { from, to: close + 1, kind: found[1], name: found[2], weight: found[3], rest: found[4] }
    : null;
}

function weighNetwork(text, { from, to, kind, name, weight, rest }, change) {
  const next = round(Number(weight ?? 1) + change);
  const written = `<${kind}:${name}:${next}${rest}>`;
  return { text: text.slice(0, from) + written + text.slice(to), start: from, end: from + written.length };
}
