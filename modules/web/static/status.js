// Brand at the left of the bar; state of the engine, theme and help at its right.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { help } from "./keys.js";
import { live } from "./live.js";
import { button, h } from "./dom.js";

const { t, theme, config } = window.Easel;

class Brand extends HTMLElement {
  connectedCallback() {
    const logo = h("img", {
      src: `${config.root}/easel/static/${config.assets}/easel.svg`,
      alt: "",
      width: 26,
      height: 26,
    });
    this.replaceChildren(logo, h("h1", {}, "Easel"));
  }
}
customElements.define("easel-brand", Brand);

class Status extends HTMLElement {
  connectedCallback() {
    this.dot = h("span", { class: "dot", "aria-hidden": "true" });
    this.words = h("span", { class: "words" });
    this.light = button("moon", t("status.theme"), () => theme.toggle(), { quiet: true });
    this.light.id = "easel_theme";
    const state = h("span", { class: "state", role: "status", id: "easel_engine" }, this.dot, this.words);
    this.cancel = button("close", t("status.cancel_loading"), cancelLoading, { quiet: true });
    this.cancel.id = "easel_cancel_loading";
    this.replaceChildren(state, this.cancel, this.light, button("keyboard", t("keys.title"), help, { quiet: true }));
    live.on("snapshot engine model connection queue progress job", () => this.#draw());
    live.on("options", ({ changed }) => changed.gradio_theme && theme.follow(changed.gradio_theme));
    document.addEventListener("easel:theme", () => this.#draw());
    this.#draw();
  }

  #draw() {
    const [kind, text] = this.#state();
    this.dot.dataset.kind = kind;
    if (this.words.textContent !== text) this.words.textContent = text;
    this.words.parentElement.title = live.engine?.message ?? "";
    this.cancel.hidden = !live.connected || live.model?.state !== "loading";
    const lit = theme.get() === "dark" ? "sun" : "moon";
    this.light.firstElementChild.className = `easel-icon icon-${lit}`;
  }

  #state() {
    const { engine, model, connected } = live;
    if (!connected) return ["off", t("status.disconnected")];
    if (live.paused || live.held) return ["wait", t("status.paused")];
    if (engine?.state === "stopped") return ["bad", t("status.stopped")];
    if (engine?.state === "restarting") return ["wait", t("status.restarting")];
    if (engine?.state === "starting") return ["wait", t("status.starting")];
    if (model?.state === "loading") {
      const percent = model.fraction > 0 ? ` ${Math.round(100 * model.fraction)}%` : "";
      return ["wait", t("status.loading") + percent];
    }
    if (live.runningBrief)
      return ["busy", t("status.working", { percent: Math.round(100 * (live.running?.progress ?? 0)) })];
    if (model?.state === "failed") return ["bad", t("status.model_failed")];
    return ["good", engine?.device ? t("status.ready_on", { device: engine.device }) : t("status.ready")];
  }
}
customElements.define("easel-status", Status);

/** The checkpoint before stays; a job that waits for this one is interrupted. */
function cancelLoading() {
  toast.guard(() => api.post("/easel/v1/models/cancel"));
}
