// Hires. fix: the size of the finished picture beside its checkbox, and which of its fields are shown.
import * as form from "./form.js";
import { options, onOptions } from "./page.js";

const { t } = window.Easel;
const grid = (length) => Math.floor(length / 8) * 8;

/** Width and height after the second pass. */
export function finalSize({ width, height, hr_scale: scale, hr_resize_x: x, hr_resize_y: y }) {
  if (!x && !y) return [grid(width * scale), grid(height * scale)];
  if (!y) return [grid(x), grid((x * height) / width)];
  if (!x) return [grid((y * width) / height), grid(y)];
  return [grid(x), grid(y)];
}

class HiresSize extends HTMLElement {
  connectedCallback() {
    this.tab = this.getAttribute("tab");
    this.id = "txtimg_hr_finalres";
    document.addEventListener("easel:form", this.#hear);
    this.#draw(form.values(this.tab));
  }

  disconnectedCallback() {
    document.removeEventListener("easel:form", this.#hear);
  }

  #hear = ({ detail }) => detail.tab === this.tab && this.#draw(detail.values);

  #draw(values) {
    this.hidden = !values.enable_hr || !(values.width > 0 && values.height > 0);
    if (this.hidden) return;
    const [width, height] = finalSize(values);
    const from = `${values.width} × ${values.height}`;
    this.title = t("hires.result");
    this.textContent = t("hires.from_to", { from, to: `${width} × ${height}` });
    const still = values.hr_resize_x > 0 || values.hr_resize_y > 0;
    document.getElementById(`${this.tab}_hr_scale`)?.classList.toggle("easel-idle", still);
  }
}
customElements.define("easel-hires-size", HiresSize);

onOptions(() => {
  const show = document.documentElement.classList;
  show.toggle("hires-sampler", Boolean(options.hires_fix_show_sampler));
  show.toggle("hires-prompts", Boolean(options.hires_fix_show_prompts));
});
