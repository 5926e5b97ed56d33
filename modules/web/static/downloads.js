// Fetching model files: an address, what it leads to, and the list of downloads with speed and time left.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { copyText, button, h, icon } from "./dom.js";
import { duration, size } from "./words.js";
import { live } from "./live.js";

const { t } = window.Easel;
const ICONS = { waiting: "pause", running: "download", done: "check", failed: "error", stopped: "stop" };
const SITES = { huggingface: "Hugging Face", civitai: "CivitAI" };

class Downloads extends HTMLElement {
  rows = new Map();

  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.#build();
    this.seen();
    live.on("downloads", ({ downloads }) => this.#show(downloads));
    live.on("snapshot", () => this.seen());
  }

  #build() {
    this.address = h("input", {
      type: "text",
      id: "download_address",
      inputmode: "url",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: t("downloads.address_hint"),
      oninput: () => this.#forgetFound(),
    });
    this.look = button("search", t("downloads.look"), () => this.#inspect(), { kind: "primary" });
    this.look.id = "download_inspect";
    this.look.type = "submit";
    this.look.onclick = null;
    const form = h(
      "form",
      {
        class: "ask",
        onsubmit: (event) => {
          event.preventDefault();
          this.#inspect();
        },
      },
      h("label", { for: "download_address" }, t("downloads.address")),
      h("div", { class: "line" }, h("span", { class: "find" }, icon("link"), this.address), this.look),
    );
    this.found = h("div", { class: "found", role: "status" });
    this.list = h("ul", { class: "list", id: "download_list" });
    this.none = h("p", { class: "none" }, t("downloads.none"));
    this.tokens = h("details", { class: "tokens" }, h("summary", {}, t("downloads.tokens")));
    this.folders = h("details", { class: "folders" }, h("summary", {}, t("downloads.folders")));
    this.append(
      h("div", { class: "easel-card ask-card" }, form, this.found, h("div", { class: "more" }, this.tokens, this.folders)),
      h("div", { class: "easel-card" }, h("h2", {}, t("downloads.list")), this.list, this.none),
    );
  }

  /** Ask for the list again. */
  async seen() {
    const known = await toast.guard(() => api.get("/easel/v1/downloads"));
    if (!known) return;
    this.kinds = known.kinds;
    this.#drawTokens(known.tokens);
    this.#drawFolders();
    this.#show(known.downloads);
  }

  #kindName = (key) => t(`models.kind_${key}`);

  #drawTokens(tokens) {
    const rows = Object.entries(tokens).map(([site, there]) => {
      const field = h("input", { type: "password", id: `token_${site}`, autocomplete: "off", placeholder: there ? t("downloads.token_kept") : t("downloads.token_none") });
      const keep = button("save", t("downloads.token_save"), () => this.#token(site, field.value));
      const drop = there ? button("trash", t("downloads.token_drop"), () => this.#token(site, ""), { quiet: true }) : null;
      return h("div", { class: "easel-field" }, h("label", { for: `token_${site}` }, SITES[site]), h("div", { class: "line" }, field, keep, drop ?? ""));
    });
    this.tokens.replaceChildren(this.tokens.firstElementChild, h("p", {}, t("downloads.tokens_hint")), ...rows);
  }

  async #token(site, token) {
    const known = await toast.guard(() => api.put("/easel/v1/downloads/token", { site, token }));
    if (!known) return;
    this.#drawTokens(known.tokens);
    toast.success(token ? t("downloads.token_saved", { site: SITES[site] }) : t("downloads.token_dropped", { site: SITES[site] }));
  }

  #drawFolders() {
    const rows = this.kinds.flatMap(({ key, folder }) => [
      h("dt", {}, this.#kindName(key)),
      h("dd", {}, h("code", {}, folder), button("copy", t("cards.copy_path"), async () => (await copyText(folder)) && toast.success(t("cards.copied")), { quiet: true })),
    ]);
    this.folders.replaceChildren(this.folders.firstElementChild, h("p", {}, t("downloads.folders_hint")), h("dl", {}, ...rows));
  }

  #forgetFound() {
    this.found.replaceChildren();
  }

  async #inspect() {
    const address = this.address.value.trim();
    if (!address) return this.address.focus();
    this.look.classList.add("sending");
    this.look.disabled = true;
    this.found.replaceChildren(h("p", { class: "hint" }, t("downloads.looking")));
    try {
      this.#drawFound(address, await api.post("/easel/v1/downloads/inspect", { address }));
    } catch (problem) {
      this.found.replaceChildren(h("p", { class: "bad", role: "alert" }, icon("error"), h("span", {}, problem.message.replace(/^address: /, ""))));
    } finally {
      this.look.classList.remove("sending");
      this.look.disabled = false;
    }
  }

  #drawFound(address, source) {
    const choices = source.choices.map((choice) =>
      h(
        "li",
        {},
        h("button", { type: "button", class: "choice", onclick: () => this.#take(choice.address) }, icon("box"), h("span", {}, choice.file)),
        choice.size ? h("span", { class: "number" }, size(choice.size)) : "",
      ),
    );
    if (!source.url) {
      this.found.replaceChildren(h("p", { class: "hint" }, t("downloads.choose", { title: source.title })), h("ul", { class: "choices" }, ...choices));
      return;
    }
    const kind = h("select", { id: "download_kind" }, ...this.kinds.map(({ key }) => h("option", { value: key }, this.#kindName(key))));
    kind.value = source.kind;
    const text = (id, value, hint = "") => {
      const input = h("input", { type: "text", id, autocomplete: "off", spellcheck: "false", placeholder: hint });
      input.value = value;
      return input;
    };
    const file = text("download_file", source.file);
    const folder = text("download_folder", "", t("downloads.folder_hint"));
    const digest = text("download_sha256", source.sha256 ?? "", t("downloads.sha256_hint"));
    const start = button("download", t("downloads.start"), () =>
      this.#start({ address, kind: kind.value, file: file.value.trim(), folder: folder.value.trim(), sha256: digest.value.trim() }), { kind: "primary" });
    start.id = "download_start";
    const facts = [source.title, source.size && size(source.size), source.licence].filter(Boolean).join(" · ");
    const field = (input, key) => h("div", { class: "easel-field" }, h("label", { for: input.id }, t(`downloads.${key}`)), input);
    this.found.replaceChildren(
      facts ? h("p", { class: "facts" }, facts) : "",
      h("div", { class: "fields" }, field(kind, "kind"), field(file, "file"), field(folder, "folder"), field(digest, "sha256")),
      choices.length ? h("details", {}, h("summary", {}, t("downloads.others", { count: choices.length })), h("ul", { class: "choices" }, ...choices)) : "",
      h("div", { class: "easel-dialog-actions" }, start),
    );
  }

  #take(address) {
    this.address.value = address;
    this.#inspect();
  }

  async #start(order) {
    const begun = await toast.guard(() => api.post("/easel/v1/downloads", order));
    if (!begun) return;
    this.address.value = "";
    this.found.replaceChildren();
    this.seen();
  }

  #show(downloads) {
    this.none.hidden = downloads.length > 0;
    const now = new Set(downloads.map((one) => one.id));
    for (const [id, row] of this.rows) {
      if (now.has(id)) continue;
      row.node.remove();
      this.rows.delete(id);
    }
    downloads.forEach((one, at) => {
      const row = this.rows.get(one.id) ?? this.#row(one.id);
      this.#drawRow(row, one);
      if (this.list.children[at] !== row.node) this.list.insertBefore(row.node, this.list.children[at] ?? null);
    });
  }

  #row(id) {
    const row = {
      icon: icon("download"),
      name: h("span", { class: "name" }),
      words: h("p", { class: "words" }),
      bar: h("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, h("i", {})),
      stop: button("stop", t("downloads.stop"), () => this.#steer(id, "cancel"), { quiet: true }),
      go: button("play", t("downloads.resume"), () => this.#steer(id, "resume"), { quiet: true }),
      drop: button("trash", t("downloads.forget"), () => this.#forget(id), { quiet: true }),
    };
    row.node = h("li", { dataset: { id } }, row.icon, h("div", { class: "middle" }, row.name, row.bar, row.words), row.stop, row.go, row.drop);
    this.rows.set(id, row);
    return row;
  }

  #drawRow(row, one) {
    row.node.dataset.state = one.state;
    row.icon.className = `easel-icon icon-${ICONS[one.state] ?? "info"}`;
    row.name.textContent = one.file;
    row.name.title = `${one.folder}/${one.file}`;
    const part = one.size ? Math.min(1, one.received / one.size) : 0;
    row.bar.hidden = one.state === "done";
    row.bar.setAttribute("aria-label", one.file);
    row.bar.setAttribute("aria-valuenow", String(Math.round(100 * part)));
    row.bar.firstElementChild.style.width = `${100 * part}%`;
    row.words.textContent = this.#words(one);
    const going = one.state === "running" || one.state === "waiting";
    row.stop.hidden = !going;
    row.go.hidden = !(one.state === "stopped" || one.state === "failed");
    row.drop.hidden = going;
  }

  #words(one) {
    const have = one.size ? t("downloads.have_of", { have: size(one.received), size: size(one.size) }) : size(one.received);
    const kind = this.#kindName(one.kind);
    if (one.state === "failed") return one.error;
    if (one.state === "done") return [kind, size(one.size), t(one.checked ? "downloads.checked" : "downloads.unchecked"), one.folder].join(" · ");
    if (one.state === "running") {
      const parts = [have];
      if (one.speed > 0) parts.push(t("downloads.speed", { speed: size(one.speed) }));
      if (one.eta) parts.push(t("downloads.left", { time: duration(one.eta) }));
      return parts.join(" · ");
    }
    return [t(`downloads.state_${one.state}`), one.received ? have : "", kind].filter(Boolean).join(" · ");
  }

  async #steer(id, action) {
    await toast.guard(() => api.post(`/easel/v1/downloads/${id}/${action}`));
    this.seen();
  }

  async #forget(id) {
    await toast.guard(() => api.remove(`/easel/v1/downloads/${id}`));
    this.seen();
  }
}
customElements.define("easel-downloads", Downloads);
