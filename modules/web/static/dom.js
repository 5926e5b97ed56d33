// Building elements and reaching Gradio's fields.

/** An element: `h("button", {class: "x", onclick: f, "aria-label": "y"}, "text", child)`. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A small picture from icons.css that screen readers pass over. */
export function icon(name) {
  return h("span", { class: `easel-icon icon-${name}`, "aria-hidden": "true" });
}

/** A button with an icon and a text; with `quiet` the text is for screen readers and the tooltip. */
export function button(name, text, onclick, { quiet = false, kind = "" } = {}) {
  const attributes = { type: "button", class: `easel-button ${kind}${quiet ? " quiet" : ""}`, onclick };
  if (quiet) Object.assign(attributes, { "aria-label": text, title: text });
  return h("button", attributes, name && icon(name), quiet ? null : h("span", {}, text));
}

/** Put a value into a text box or number box so that Gradio notices. */
export function setValue(field, value) {
  if (!field) return;
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

/** The text box of a Gradio component, if it is on the page now. */
export const box = (id) => document.querySelector(`#${id} textarea, #${id} input`);

/** The tab that is open: "txt2img", "pnginfo" … */
export function activeTab() {
  const chosen = document.querySelector('#tabs [role="tab"][aria-selected="true"]');
  return chosen?.dataset.tabId ?? "txt2img";
}

/** Open a tab by its id. */
export function openTab(name) {
  document.getElementById(`tab_${name}-button`)?.click();
}

/** Call `action` once `delay` ms have passed without another call. */
export function debounce(action, delay) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), delay);
  };
}

/** Copy text; also where the clipboard API is closed because the page came over plain HTTP. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "easel-offscreen" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export const storage = {
  read(key, fallback) {
    try {
      const text = localStorage.getItem(key);
      return text === null ? fallback : JSON.parse(text);
    } catch {
      return fallback;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // Full or closed storage: the form is not kept, nothing else is lost.
    }
  },
};
