// What is in an extension, before anything of it is executed, and the two consents it needs.
import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { size } from "./words.js";

const { t } = window.Easel;
const KINDS = ["internals", "syntax", "install", "calls", "files", "guarded"];

/**
 * Show what was found in `place`, ask for consent and run `act(consent)`.
 * `done(answer)` hears of success.
 */
export function agree(place, found, words, act, done) {
  const boxes = {
    install: consent(t("extensions.consent_install", { name: found.name, commit: found.commit.slice(0, 8), host: found.host })),
    packages: found.requirements.length ? consent(t("extensions.consent_packages")) : null,
    installer: found.installer ? consent(t("extensions.consent_installer")) : null,
    build: found.requirements.length ? consent(t("extensions.consent_build")) : null,
  };
  const given = (name) => boxes[name]?.firstElementChild.checked ?? false;
  const said = h("div", { class: "said", role: "status" });
  const go = button("download", words, () => run(), { kind: "primary" });
  go.classList.add("agree");
  const ready = () => (go.disabled = !given("install"));
  place.addEventListener("change", ready);
  ready();
  const changes = h("div", { class: "changes" });
  const plan = found.requirements.length ? button("search", t("extensions.plan"), () => planned()) : null;
  place.replaceChildren(
    ...facts(found),
    found.refused
      ? h("p", { class: "bad", role: "alert" }, icon("error"), h("span", {}, found.refused))
      : h(
          "div",
          { class: "consents" },
          plan ? h("div", {}, plan, changes) : "",
          ...Object.values(boxes).filter(Boolean),
          h("p", { class: "hint" }, t("extensions.consent_hint")),
          h("div", { class: "easel-dialog-actions" }, go),
        ),
    said,
  );

  async function planned() {
    await busy(plan, changes, async () => {
      const answer = await api.post("/easel/v1/extensions/packages", { token: found.token, build: given("build") });
      const lines = answer.changes.map((one) => h("li", {}, `${one.name} ${one.before ? `${one.before} → ` : "+ "}${one.after}`));
      changes.replaceChildren(lines.length ? h("ul", {}, ...lines) : h("p", { class: "hint" }, t("extensions.no_packages")));
    });
  }

  async function run() {
    await busy(go, said, async () => {
      const answer = await act({ token: found.token, install: given("install"), packages: given("packages"), installer: given("installer"), build: given("build") });
      place.replaceChildren(h("p", { class: "good" }, icon("check"), h("span", {}, t("extensions.done", { name: answer.name }))));
      done(answer);
    });
  }
}

async function busy(knob, place, work) {
  knob.disabled = true;
  knob.classList.add("sending");
  place.replaceChildren(h("p", { class: "hint" }, t("extensions.working")));
  try {
    await work();
  } catch (problem) {
    place.replaceChildren(h("p", { class: "bad", role: "alert" }, icon("error"), h("span", {}, problem.message)));
  } finally {
    knob.disabled = false;
    knob.classList.remove("sending");
  }
}

function consent(words) {
  return h("label", { class: "consent" }, h("input", { type: "checkbox" }), h("span", {}, words));
}

function facts(found) {
  const list = (key, lines) => (lines.length ? h("details", {}, h("summary", {}, t(`extensions.${key}`, { count: lines.length })), h("ul", {}, ...lines.map((line) => h("li", {}, line)))) : "");
  const findings = KINDS.flatMap((kind) => found.findings.filter((one) => one.kind === kind));
  const line = (one) => `${one.file}${one.line ? `:${one.line}` : ""}${one.file ? " " : ""}${one.sentence}`;
  const grouped = KINDS.filter((kind) => found.finding_counts[kind]).map((kind) => t(`extensions.kind_${kind}`, { count: found.finding_counts[kind] }));
  return [
    h("h3", {}, found.name),
    h(
      "dl",
      {},
      ...pair("url", found.url),
      ...pair("version", [found.commit, found.branch, found.date.slice(0, 10)].filter(Boolean).join(" · ")),
      ...pair("subject", found.subject),
      ...pair("content", t("extensions.content_words", { count: found.file_count, size: size(found.size) })),
      ...pair("found", grouped.join(" · ") || t("extensions.nothing")),
    ),
    found.changed ? list("changed", found.changed) : "",
    list("findings", findings.map(line)),
    list("requirements", found.requirements),
    list("files", found.files),
  ];
}

const pair = (key, value) => (value ? [h("dt", {}, t(`extensions.fact_${key}`)), h("dd", {}, value)] : []);
