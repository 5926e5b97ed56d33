// In the Settings tab: tries every capability on tiny models made for it, and shows what works.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { live } from "./live.js";
import { button, h } from "./dom.js";

const { t } = window.Easel;
const PATH = "/easel/v1/selftest";

class SelfTest extends HTMLElement {
  connectedCallback() {
    if (this.body) return;
    this.words = h("p", { role: "status" });
    this.begin = button("play", t("selftest.start"), () => this.#ask(PATH));
    this.begin.id = "selftest_start";
    this.end = button("close", t("selftest.stop"), () => this.#ask(`${PATH}/stop`));
    this.bar = h("progress", { "aria-label": t("selftest.title") });
    this.body = h("tbody", {});
    const heads = ["what", "result", "seconds"].map((name) => h("th", { scope: "col" }, t(`selftest.${name}`)));
    this.table = h("table", { id: "selftest_table" }, h("thead", {}, h("tr", {}, ...heads)), this.body);
    this.replaceChildren(
      h("p", { class: "hint" }, t("selftest.hint")),
      h("div", { class: "pair" }, this.begin, this.end, this.words),
      this.bar,
      this.table,
    );
    live.on("snapshot selftest", () => this.#look());
    this.#look();
  }

  async #ask(path) {
    await toast.guard(() => api.post(path));
    this.#look();
  }

  async #look() {
    if (!this.isConnected) return;
    const found = await api.get(PATH).catch(() => null);
    if (found) this.#draw(found);
  }

  #draw({ state, total, rows, error }) {
    const running = state === "running";
    const count = (wanted) => rows.filter((row) => row.state === wanted).length;
    const numbers = { ok: count("ok"), failed: count("failed"), skipped: count("skipped"), done: rows.length, total };
    this.words.textContent = error || t(`selftest.state_${state}`, numbers);
    this.words.classList.toggle("bad", Boolean(error) || numbers.failed > 0);
    this.begin.disabled = running;
    this.end.hidden = !running;
    this.bar.hidden = !running;
    if (total) Object.assign(this.bar, { max: total, value: rows.length });
    else this.bar.removeAttribute("value");
    this.table.hidden = rows.length === 0;
    this.body.replaceChildren(...rows.map(line));
  }
}
customElements.define("easel-selftest", SelfTest);

function line(row) {
  return h(
    "tr",
    { dataset: { state: row.state } },
    h("th", { scope: "row" }, `${t(`selftest.group_${row.group}`)}: ${row.name}`),
    h("td", {}, h("b", {}, t(`selftest.${row.state}`)), row.reason ? h("p", {}, row.reason) : null),
    h("td", {}, row.seconds.toFixed(2)),
  );
}
