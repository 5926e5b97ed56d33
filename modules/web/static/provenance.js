// Where a picture says that it comes from, and the picture without what it says.
import * as api from "./api.js";
import * as toast from "./toast.js";
import { h, icon } from "./dom.js";

const { t, has, config } = window.Easel;
const ICONS = { own: "check", intact: "info", broken: "warning", none: "info" };

/** A section that fills itself: credentials and watermark of a picture's file. */
export function provenanceOf(file) {
  const section = h("section", { class: "provenance", id: "pnginfo_provenance" });
  section.append(h("h3", {}, t("provenance.title")), h("p", { class: "hint" }, t("info.reading")));
  fill(section, file);
  return section;
}

async function fill(section, file) {
  let rows;
  try {
    rows = told(await api.sendPicture("/easel/v1/verify", file));
  } catch (problem) {
    rows = [h("p", { class: "bad" }, problem.message)];
  }
  section.replaceChildren(h("h3", {}, t("provenance.title")), ...rows);
}

function told({ credentials, watermark }) {
  const { state } = credentials;
  const verdict = h("p", { class: `verdict ${state}`, dataset: { state } }, icon(ICONS[state]), t(`provenance.${state}`));
  const mark = watermark
    ? t("provenance.watermark_found", {
        name: [watermark.name, watermark.text].filter(Boolean).join(" · "),
        share: Math.round(watermark.agreement * 100),
      })
    : t("provenance.watermark_none");
  const rows = [["watermark", mark]];
  if (state !== "none")
    rows.unshift(
      ["ai", t(credentials.ai ? "provenance.ai_yes" : "provenance.ai_no")],
      ["generator", credentials.generator],
      ["signer", credentials.signer],
      ["signed", credentials.signed],
      ["model", [credentials.model, credentials.model_hash].filter(Boolean).join(" ")],
      ["actions", credentials.actions.map(action).join(", ")],
      ["problems", credentials.problems.join(", ")],
    );
  const shown = rows.filter(([, value]) => value);
  const pairs = shown.flatMap(([name, value]) => [
    h("dt", {}, t(`provenance.row_${name}`)),
    h("dd", { dataset: { name } }, value),
  ]);
  return [verdict, h("dl", {}, ...pairs)];
}

function action(name) {
  const key = `provenance.action_${name.replace("c2pa.", "")}`;
  return has(key) ? t(key) : name;
}

/** Download a picture of the gallery without its metadata. */
export function downloadClean(image) {
  h("a", { href: `${config.root}${image.download}?metadata=false`, download: "" }).click();
}

/** The same for a file that the server does not know. */
export async function downloadCleanFile(file) {
  const answer = await fetch(`${config.root}/easel/v1/strip`, {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  }).catch(() => null);
  if (!answer?.ok) {
    const payload = await answer?.json().catch(() => null);
    return toast.error(new api.ApiError(answer?.status ?? 0, payload).message);
  }
  const name = answer.headers.get("Content-Disposition")?.match(/filename="([^"]+)"/)?.[1] ?? "picture";
  const address = URL.createObjectURL(await answer.blob());
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
