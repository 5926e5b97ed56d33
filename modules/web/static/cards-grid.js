// A grid of any number of cards that holds only those in sight: rows of equal height, parts fetched as needed.
import { h } from "./dom.js";

const PART = 60;
const GAP = 10;
const SPARE_ROWS = 2;
const COMFORTABLE = 132;

/**
 * `fetchPart(offset, limit)` resolves to cards, `draw(card, at)` gives an element with a `.face` button.
 */
export class CardGrid {
  total = 0;
  cards = new Map();
  nodes = new Map();
  active = 0;
  #asked = new Set();
  #serial = 0;
  #size = { width: 0, height: 0 };
  #frame = 0;
  /** The card that gets the focus when it has been fetched, or null. */
  #awaited = null;

  constructor({ id, label, fetchPart, draw }) {
    this.fetchPart = fetchPart;
    this.draw = draw;
    this.sheet = h("div", { class: "sheet" });
    this.element = h("div", { class: "extra-network-cards", id, role: "list", "aria-label": label }, this.sheet);
    this.element.addEventListener("scroll", () => this.#soon(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.#keys(event));
    this.element.addEventListener("focusin", (event) => {
      const at = event.target.closest(".card")?.dataset.at;
      if (at === undefined) return;
      this.#awaited = null;
      this.#activate(Number(at));
    });
    new ResizeObserver(() => this.#soon()).observe(this.element);
  }

  /** Another list: `first` are its first cards, `total` how many there are. `keep` stays at the place. */
  show(first, total, { keep = false } = {}) {
    this.#serial += 1;
    this.total = total;
    this.#awaited = null;
    this.cards = new Map(first.map((card, at) => [at, card]));
    this.#asked = new Set(first.length ? [0] : []);
    if (!keep) {
      this.active = 0;
      this.element.scrollTop = 0;
    }
    this.active = Math.max(0, Math.min(this.active, total - 1));
    const focused = this.element.contains(document.activeElement);
    this.#clear();
    this.#layout();
    if (focused) this.#focus(this.active);
  }

  /** Sizes that a person set; 0 for the usual ones. */
  resize(width, height) {
    this.#size = { width, height };
    this.#clear();
    this.#layout();
  }

  /** Draw the cards in sight again, after something about them changed. */
  redraw() {
    const focused = this.element.contains(document.activeElement);
    const part = document.activeElement?.className;
    this.#clear();
    this.#layout();
    if (focused) this.#focus(this.active, part);
  }

  /** Call `action(card, node)` for each card in sight. */
  each(action) {
    for (const [at, node] of this.nodes) if (this.cards.has(at)) action(this.cards.get(at), node);
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#layout();
    });
  }

  #clear() {
    this.nodes.clear();
    this.sheet.replaceChildren();
  }

  #measure() {
    const inside = this.element.clientWidth - 2;
    const least = this.#size.width || COMFORTABLE;
    const columns = Math.max(1, Math.floor((inside + GAP) / (least + GAP)));
    const width = this.#size.width || (inside - GAP * (columns - 1)) / columns;
    return { columns, width, height: this.#size.height || Math.round((width * 4) / 3) };
  }

  #layout() {
    if (!this.element.clientWidth) return;
    const { columns, width, height } = this.#measure();
    this.columns = columns;
    const rows = Math.ceil(this.total / columns);
    const step = height + GAP;
    this.sheet.style.height = `${Math.max(0, rows * step - GAP + 2)}px`;
    const top = Math.floor(this.element.scrollTop / step) - SPARE_ROWS;
    const seen = Math.ceil(this.element.clientHeight / step) + 2 * SPARE_ROWS + 1;
    const from = Math.max(0, top) * columns;
    const to = Math.min(this.total, (Math.max(0, top) + seen) * columns);
    for (const [at, node] of this.nodes) {
      const leaving = (at < from || at >= to) && !node.contains(document.activeElement);
      if (leaving) {
        node.remove();
        this.nodes.delete(at);
      }
    }
    for (let at = from; at < to; at += 1) {
      const node = this.#node(at);
      node.style.width = `${width}px`;
      node.style.height = `${height}px`;
      node.style.transform = `translate(${1 + (at % columns) * (width + GAP)}px, ${1 + Math.floor(at / columns) * step}px)`;
    }
    this.#want(from, to);
    const free = document.activeElement === document.body || this.element.contains(document.activeElement);
    if (this.#awaited !== null && free) this.#focus(this.#awaited);
  }

  #node(at) {
    const known = this.nodes.get(at);
    if (known && (known.dataset.blank !== "yes" || !this.cards.has(at))) return known;
    const card = this.cards.get(at);
    const node = card ? this.draw(card, at) : h("div", { class: "card blank", dataset: { blank: "yes" } });
    node.dataset.at = String(at);
    node.setAttribute("role", "listitem");
    node.setAttribute("aria-posinset", String(at + 1));
    node.setAttribute("aria-setsize", String(this.total));
    this.#reach(node, at === this.active);
    // In the order of the list, whatever was drawn first: screen readers read it so.
    const after = [...this.sheet.children].find((other) => Number(other.dataset.at) > at);
    if (known) known.replaceWith(node);
    else this.sheet.insertBefore(node, after ?? null);
    this.nodes.set(at, node);
    return node;
  }

  #want(from, to) {
    for (let part = Math.floor(from / PART); part * PART < to; part += 1) {
      if (this.#asked.has(part)) continue;
      this.#asked.add(part);
      this.#fetch(part, this.#serial);
    }
  }

  async #fetch(part, serial) {
    const found = await this.fetchPart(part * PART, PART);
    if (serial !== this.#serial) return;
    if (!found) {
      this.#asked.delete(part);
      return;
    }
    found.forEach((card, at) => this.cards.set(part * PART + at, card));
    this.#layout();
  }

  #activate(at) {
    if (at === this.active) return;
    const before = this.nodes.get(this.active);
    if (before) this.#reach(before, false);
    this.active = at;
    const node = this.nodes.get(at);
    if (node) this.#reach(node, true);
  }

  /** Only one card takes part in the order of Tab; arrows go on from there. */
  #reach(node, active) {
    for (const part of node.querySelectorAll("button")) part.tabIndex = active ? 0 : -1;
  }

  #focus(at, part = "") {
    const node = this.nodes.get(at);
    const same = part && node?.getElementsByClassName(part)[0];
    const found = same || node?.querySelector(".face");
    this.#awaited = found ? null : at;
    found?.focus({ preventScroll: true });
  }

  #keys(event) {
    if (!event.target.closest(".card") || event.altKey || event.ctrlKey || event.metaKey) return;
    const columns = this.columns ?? 1;
    const page = columns * Math.max(1, Math.floor(this.element.clientHeight / (this.#measure().height + GAP)));
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      PageUp: -page,
      PageDown: page,
      Home: -this.total,
      End: this.total,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    const wished = this.active + steps[event.key];
    const sideways = Math.abs(steps[event.key]) < this.total && (wished < 0 || wished >= this.total);
    if (sideways && event.key.startsWith("Arrow")) return;
    const at = Math.max(0, Math.min(this.total - 1, wished));
    this.#reveal(at);
    this.#layout();
    this.#activate(at);
    this.#focus(at);
  }

  #reveal(at) {
    const { columns, height } = this.#measure();
    const top = Math.floor(at / columns) * (height + GAP);
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.element.scrollTop = top + height - clientHeight + 2;
  }
}
