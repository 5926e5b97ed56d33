// A picture dropped or pasted on the form gives its parameters to it.
import * as api from "./api.js";
import * as form from "./form.js";
import * as toast from "./toast.js";
import { hasParameters } from "./prompt.js";

const { t } = window.Easel;
const ZONES = '[id$="_toprow"], [id$="_settings"]';
const zoneOf = (target) =>
  target.closest?.(".easel-workspace")?.querySelector(".easel-prompts") && target.closest(ZONES);
const tabOf = (zone) => zone.closest(".easel-workspace").id.replace("_workspace", "");

const carries = (transfer) =>
  [...(transfer?.types ?? [])].some((type) => type === "Files" || type === "text/uri-list");

document.addEventListener("dragover", (event) => {
  const zone = zoneOf(event.target);
  if (!zone || !carries(event.dataTransfer)) return;
  event.preventDefault();
  zone.closest(".easel-workspace").querySelector(".easel-prompts").classList.add("dropping");
});
for (const kind of ["dragleave", "drop", "dragend"]) {
  document.addEventListener(kind, () => {
    for (const zone of document.querySelectorAll(".dropping")) zone.classList.remove("dropping");
  });
}
document.addEventListener("drop", async (event) => {
  const zone = zoneOf(event.target);
  if (!zone || !carries(event.dataTransfer)) return;
  event.preventDefault();
  const file = await picture(event.dataTransfer);
  if (file) read(tabOf(zone), file);
});
document.addEventListener("paste", (event) => {
  const area = event.target.closest?.(".easel-prompt textarea");
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (area && file) {
    event.preventDefault();
    read(tabOf(area), file);
  }
});

/** The dropped file, or a picture of this page that was dragged. */
export async function picture(transfer) {
  const file = transfer.files?.[0];
  if (file) return file;
  const address = transfer.getData("text/uri-list").split("\n")[0];
  if (!address || new URL(address, location.href).origin !== location.origin) return null;
  const answer = await fetch(address).catch(() => null);
  return answer?.ok ? answer.blob() : null;
}

async function read(tab, file) {
  await toast.guard(async () => {
    const found = await api.imageInfo(file);
    if (!hasParameters(found)) toast.info(t("prompt.no_parameters_image"));
    else await form.fill(tab, found.fields, found.override_settings);
  });
}
