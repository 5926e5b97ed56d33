// Under the pictures of img2img: copy the picture to another sub-tab, describe it in words, take its size.
import * as api from "./api.js";
import * as form from "./form.js";
import * as toast from "./toast.js";
import * as uploads from "./uploads.js";
import { captions } from "./img2img-batch.js";
import { TAB, drawingOf, mode, openMode, pictureSize } from "./img2img.js";
import { button, h } from "./dom.js";

const { t } = window.Easel;
const COPIES = ["img2img", "sketch", "inpaint", "inpaint_sketch"];
const FOLLOWED = ["easel:form", "easel:img2img", "change"];
const LARGEST = 2048;
const SMALLEST = 64;

class PictureActions extends HTMLElement {
  connectedCallback() {
    this.copies = COPIES.map((name) => {
      const made = button("", t(`form.mode_${name}`), () => copyTo(name), { kind: "chip" });
      made.dataset.to = name;
      return made;
    });
    this.copy = h(
      "div",
      { class: "copies", role: "group", "aria-label": t("img2img.copy_to") },
      h("span", {}, t("img2img.copy_to")),
      ...this.copies,
    );
    const words = (id, icon, model) => {
      const made = button(icon, t(`img2img.${id}`), () => interrogate(model, made), { kind: "chip" });
      made.id = id;
      made.title = t(`img2img.${id}_hint`);
      return made;
    };
    this.replaceChildren(
      this.copy,
      h(
        "div",
        { class: "words", id: "interrogate_col", role: "group", "aria-label": t("img2img.describe") },
        words("interrogate", "clip", "clip"),
        words("deepbooru", "box", "deepdanbooru"),
      ),
    );
    this.follow = () => this.#draw();
    document.addEventListener("easel:img2img", this.follow);
    document.addEventListener("change", this.follow);
    this.#draw();
  }

  disconnectedCallback() {
    document.removeEventListener("easel:img2img", this.follow);
    document.removeEventListener("change", this.follow);
  }

  #draw() {
    const now = mode();
    const picture = drawingOf(now)?.picture;
    this.copy.id = `img2img_copy_to_${now}`;
    this.copy.hidden = now === "batch";
    for (const one of this.copies) {
      one.hidden = one.dataset.to === now;
      one.disabled = !picture;
    }
    for (const one of this.querySelectorAll(".words button")) one.disabled = !picture && now !== "batch";
  }
}
customElements.define("easel-picture-actions", PictureActions);

/** The picture with what is painted on it goes to another sub-tab, which opens. */
async function copyTo(name) {
  const from = drawingOf();
  if (!from?.picture) return;
  await toast.guard(async () => {
    const file = await from.flat();
    const to = drawingOf(name);
    const back = to.picture && to.snapshot();
    await to.load(file, from.picture.name);
    openMode(name);
    if (back) toast.info(t("canvas.replaced"), { text: t("fill.undo"), run: back });
  });
}

/** Put a description of the picture into the prompt, with a way back; on Batch, describe all its files. */
async function interrogate(model, pressed) {
  pressed.classList.add("busy");
  pressed.disabled = true;
  await toast.guard(async () => {
    if (mode() === "batch") return captions(model);
    const drawn = drawingOf();
    const image = await uploads.reference(await drawn.flat());
    const { caption } = await api.post("/easel/v1/interrogate", { image, model });
    const before = form.values(TAB).prompt ?? "";
    form.apply(TAB, { prompt: caption });
    toast.success(t("img2img.described"), {
      text: t("fill.undo"),
      run: () => form.apply(TAB, { prompt: before }),
    });
  });
  pressed.classList.remove("busy");
  pressed.disabled = false;
}

// ---- size

/** A side of a picture as the size sliders can show it. */
const side = (length) => Math.min(LARGEST, Math.max(SMALLEST, Math.floor(length / 8) * 8));

document.addEventListener("click", (event) => {
  if (!event.target.closest?.("#img2img_detect_image_size_btn")) return;
  const size = pictureSize();
  if (!size) return toast.info(t("img2img.no_picture"));
  form.apply(TAB, { width: side(size.width), height: side(size.height) });
});

/** Under "Resize by": "from 512×512 to 1024×1024". */
class ScaledSize extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "status");
    this.follow = (event) => (event.detail?.tab ?? TAB) === TAB && this.#draw();
    for (const kind of FOLLOWED) document.addEventListener(kind, this.follow);
    this.#draw();
  }

  disconnectedCallback() {
    for (const kind of FOLLOWED) document.removeEventListener(kind, this.follow);
  }

  #draw() {
    const size = pictureSize();
    const by = Number(form.values(TAB).scale_by ?? 1);
    const down = (length) => Math.floor((length * by) / 8) * 8;
    const write = ({ width, height }) => `${width}×${height}`;
    const to = size && { width: down(size.width), height: down(size.height) };
    this.textContent = size
      ? t("img2img.from_to", { from: write(size), to: write(to) })
      : t("img2img.from_to_none");
  }
}
customElements.define("easel-scaled-size", ScaledSize);
