// Tabs that a setting hides. Settings itself stays, or nobody could undo it.
import { onOptions, options } from "./page.js";
import { activeTab, openTab } from "./dom.js";

const NAMES = { pnginfo: "png info", modelmerger: "checkpoint merger" };

function draw() {
  const hidden = (options.hidden_tabs ?? []).map((name) => String(name).toLowerCase());
  for (const button of document.querySelectorAll('#tabs [role="tab"]')) {
    const id = button.dataset.tabId;
    const away = id !== "settings" && (hidden.includes(id) || hidden.includes(NAMES[id] ?? id));
    button.hidden = away;
    if (away && activeTab() === id) openTab("settings");
  }
}

onOptions(draw);
document.addEventListener("easel:form", draw, { once: true });
