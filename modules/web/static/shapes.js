// Common picture shapes as buttons, and "640x960" pasted into a size field.
import * as form from "./form.js";
import * as page from "./page.js";
import { box, h, setValue } from "./dom.js";

const { t } = window.Easel;
const SHAPES = [
  [1, 1],
  [4, 3],
  [3, 4],
  [3, 2],
  [2, 3],
  [16, 9],
  [9, 16],
];

/** Sides of a shape with about the pixels of a square of `side`, in multiples of 64 (8 when small). */
export function sides(side, across, down) {
  const unit = side < 512 ? 8 : 64;
  const near = (length) => Math.max(64, Math.round(length / unit) * unit);
  return [near(side * Math.sqrt(across / down)), near(side * Math.sqrt(down / across))];
}

class Shapes extends HTMLElement {
  connectedCallback() {
    this.tab = this.getAttribute("tab");
    const buttons = SHAPES.map(([across, down]) =>
      h(
        "button",
        {
          type: "button",
          onclick: () => this.#choose(across, down),
          title: t("shapes.title", { shape: `${across}:${down}` }),
          dataset: { shape: `${across}:${down}` },
        },
        h("i", {
          style: `aspect-ratio:${across}/${down};${across >= down ? "width" : "height"}:12px`,
          "aria-hidden": "true",
        }),
        `${across}:${down}`,
      ),
    );
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", t("shapes.group"));
    this.replaceChildren(...buttons);
    document.addEventListener(
      "easel:form",
      (event) => event.detail.tab === this.tab && this.#mark(event.detail.values),
    );
  }

  async #choose(across, down) {
    const state = await page.state();
    const native = { ...state.defaults, ...state.model_defaults_by_tab.txt2img };
    const side = Math.sqrt(native.width * native.height);
    const [width, height] = sides(side, across, down);
    form.apply(this.tab, { width, height });
  }

  #mark({ width, height }) {
    for (const button of this.children) {
      const [across, down] = button.dataset.shape.split(":").map(Number);
      button.setAttribute("aria-pressed", String(Math.abs(width / height - across / down) < 0.04));
    }
  }
}
customElements.define("easel-shapes", Shapes);

document.addEventListener(
  "paste",
  (event) => {
    const field = event.target.closest?.('[id$="_width"] input, [id$="_height"] input');
    const text = event.clipboardData?.getData("text/plain").trim() ?? "";
    const found = text.match(/^(\d{2,5})\s*[x×*,]\s*(\d{2,5})$/i);
    if (!field || !found) return;
    event.preventDefault();
    const tab = field.closest('[id$="_width"], [id$="_height"]').id.replace(/_(width|height)$/, "");
    if (box(`${tab}_width`)) form.apply(tab, { width: Number(found[1]), height: Number(found[2]) });
    else setValue(field, found[1]);
  },
  true,
);
