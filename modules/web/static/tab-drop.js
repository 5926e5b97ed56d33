// Pictures dragged over the names of the tabs: wait there to open a tab, drop to send the picture to it.
import * as api from "./api.js";
import * as form from "./form.js";
import * as send from "./send.js";
import * as toast from "./toast.js";
import { openTab } from "./dom.js";
import { picture } from "./drop.js";
import { hasParameters } from "./prompt.js";

const { t } = window.Easel;
const OPENS_AFTER = 650;
const PLACES = ["txt2img", "img2img", "outpaint", "extras", "pnginfo"];

let over = null;
let timer = 0;

const tabAt = (event) => {
  const tab = event.target.closest?.('#tabs > .tab-wrapper [role="tab"]');
  return tab && PLACES.includes(tab.dataset.tabId) ? tab : null;
};
const carries = ({ dataTransfer }) =>
  [...(dataTransfer?.types ?? [])].some((type) => type === "Files" || type === "text/uri-list");

function leave() {
  over?.classList.remove("dropping");
  over = null;
  clearTimeout(timer);
}

document.addEventListener("dragover", (event) => {
  const tab = tabAt(event);
  if (!tab || !carries(event)) return leave();
  event.preventDefault();
  if (tab === over) return;
  leave();
  over = tab;
  tab.classList.add("dropping");
  timer = setTimeout(() => tab.click(), OPENS_AFTER);
});
document.addEventListener("dragend", leave);
document.addEventListener("drop", async (event) => {
  const tab = tabAt(event);
  leave();
  if (!tab || !carries(event)) return;
  event.preventDefault();
  const file = await picture(event.dataTransfer);
  if (file) toast.guard(() => bring(tab.dataset.tabId, file));
});

/** What a tab does with a picture that is dropped on its name. */
async function bring(tab, file) {
  if (tab === "pnginfo") {
    openTab(tab);
    document.dispatchEvent(new CustomEvent("easel:show-image", { detail: file }));
  } else if (tab === "txt2img") {
    openTab(tab);
    const found = await api.imageInfo(file);
    if (hasParameters(found)) await form.fill(tab, found.fields, found.override_settings);
    else toast.info(t("prompt.no_parameters_image"));
  } else await send.picture(file, tab, { name: file.name ?? "" });
}
