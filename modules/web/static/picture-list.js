// <easel-pictures>: several picture files for one job, with those that cannot be read set aside.
import { button, h } from "./dom.js";
import { dropZone, takesDrops, takesPaste } from "./picture-input.js";
import { upload } from "./uploads.js";

const { t } = window.Easel;
const SHOWN = 60;

class Pictures extends HTMLElement {
  files = [];

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    const take = (file) => this.#add(file);
    this.zone = dropZone(this.id, take, { multiple: true, text: "picture.drop_many" });
    this.list = h("ul", { class: "list" });
    this.facts = h("span", { class: "facts", role: "status" });
    this.bar = h(
      "div",
      { class: "easel-source-bar" },
      this.facts,
      button("trash", t("picture.remove_all"), () => this.#clear(), { quiet: true }),
    );
    takesDrops(this, take);
    takesPaste(this, take);
    this.append(this.zone, this.list, this.bar);
    this.#draw();
  }

  /** Send all files; resolves to what can be worked on and what cannot. */
  async upload(told = () => undefined) {
    const sent = [];
    const skipped = [];
    for (const [at, file] of this.files.entries()) {
      told(at, this.files.length);
      try {
        sent.push({ name: file.name, ref: (await upload(file)).ref });
      } catch (problem) {
        skipped.push({ name: file.name, reason: problem.message });
      }
    }
    return { sent, skipped };
  }

  #add(file) {
    this.files.push(file);
    this.#draw();
  }

  #clear() {
    this.files = [];
    this.#draw();
  }

  #draw() {
    for (const address of this.addresses ?? []) URL.revokeObjectURL(address);
    this.addresses = this.files.slice(0, SHOWN).map((file) => URL.createObjectURL(file));
    const drop = (at) => {
      this.files.splice(at, 1);
      this.#draw();
    };
    const items = this.addresses.map((address, at) => {
      const { name } = this.files[at];
      const away = button("close", t("picture.remove_name", { name }), () => drop(at), { quiet: true });
      return h("li", { title: name }, h("img", { src: address, alt: name, loading: "lazy" }), away);
    });
    const more = this.files.length - items.length;
    if (more > 0) items.push(h("li", { class: "more" }, `+${more}`));
    this.list.replaceChildren(...items);
    this.facts.textContent = this.files.length ? t("picture.count", { count: this.files.length }) : "";
    this.classList.toggle("filled", this.files.length > 0);
    this.bar.hidden = !this.files.length;
  }
}
customElements.define("easel-pictures", Pictures);
