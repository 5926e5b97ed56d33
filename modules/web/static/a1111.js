// AUTOMATIC1111's page as its extensions know it: functions, ids and events. A classic script, there only
// while an extension is on. `onUiLoaded` waits until every tab and every accordion of scripts was drawn
// once: Gradio puts what nobody has opened nowhere.
(() => {
  const config = JSON.parse(document.getElementById("a1111_config").textContent);
  const uiUpdate = [];
  const uiAfterUpdate = [];
  const uiLoaded = [];
  const uiTabChange = [];
  const optionsChanged = [];
  const optionsAvailable = [];
  const timers = {};
  let loaded = false;
  let hydrating = false;
  let tab = null;
  let available = false;

  window.opts = {};
  window.localization = config.localization ?? {};
  window.gradio_config ??= {};

  // ---- finding things: what A1111's page has under other selectors
  const rewritten = (selector) =>
    typeof selector === "string"
      ? selector
          .replace(/> label > (textarea|input)/g, "> label $1")
          .replace(/#tabs\s*>\s*(?:\.tab-nav|div:first-child)/g, "#tabs .tab-nav")
      : selector;
  for (const name of ["querySelector", "querySelectorAll"]) {
    const own = Document.prototype[name];
    document[name] = (selector) => own.call(document, rewritten(selector));
  }
  window.gradioApp = () => document;

  const first = (selector) => document.querySelector(selector);
  const buttons = () => [...document.querySelectorAll('#tabs .tab-nav > button[role="tab"]')];
  const current = () => buttons().find((one) => one.ariaSelected === "true" || one.classList.contains("selected"));
  window.get_uiCurrentTab = () => current() ?? null;
  window.get_uiCurrentTabContent = () =>
    [...document.querySelectorAll('#tabs > [role="tabpanel"], #tabs > .tabitem')].find(
      (one) => one.offsetParent !== null,
    ) ?? null;

  // ---- registering
  const call = (callback, ...given) => {
    try {
      callback(...given);
    } catch (error) {
      console.error("an extension's callback failed:", error);
    }
  };
  window.onUiUpdate = (callback) => uiUpdate.push(callback);
  window.onAfterUiUpdate = (callback) => uiAfterUpdate.push(callback);
  window.onUiLoaded = (callback) => (loaded ? call(callback) : uiLoaded.push(callback));
  window.onUiTabChange = (callback) => uiTabChange.push(callback);
  window.onOptionsChanged = (callback) => optionsChanged.push(callback);
  window.onOptionsAvailable = (callback) => (available ? call(callback) : optionsAvailable.push(callback));

  // ---- small helpers that extensions call
  window.updateInput = (target) => {
    const event = new Event("input", { bubbles: true });
    Object.defineProperty(event, "target", { value: target });
    target.dispatchEvent(event);
  };
  window.randomId = () => `task(${Math.random().toString(36).slice(2, 9)}${Math.random().toString(36).slice(2, 9)})`;
  window.args_to_array = (args) => [...args];
  window.create_submit_args = (args) => [...args];
  window.submit = (...args) => args;
  window.submit_img2img = (...args) => args;
  window.requestProgress = () => undefined;
  window.rememberGallerySelection = () => undefined;
  window.registerTextarea = () => undefined;
  window.inputAccordionChecked = (id, checked) => {
    const box = first(`#${id}-checkbox input`);
    if (box && box.checked !== checked) box.click();
  };
  window.titles ??= {};
  const storage = (name) => (...given) => {
    try {
      return window.localStorage[name](...given);
    } catch {
      return null; // a browser without storage
    }
  };
  window.localSet = storage("setItem");
  window.localGet = (key, otherwise) => storage("getItem")(key) ?? otherwise;
  window.localRemove = storage("removeItem");
  window.all_gallery_buttons = () => [
    ...document.querySelectorAll('[style="display: block;"].tabitem div[id$=_gallery].gradio-gallery .thumbnail-item'),
  ];
  window.selected_gallery_button = () => window.all_gallery_buttons().find((one) => one.classList.contains("selected")) ?? null;
  window.selected_gallery_index = () => window.all_gallery_buttons().findIndex((one) => one.classList.contains("selected"));
  window.extract_image_from_gallery = (gallery) => [gallery?.[Math.max(window.selected_gallery_index(), 0)] ?? null];
  const open = (id) => document.getElementById(`${id}-button`)?.click() ?? first(`#tabs [data-tab-id="${id.replace("tab_", "")}"]`)?.click();
  const to = (id) => (...args) => {
    open(id);
    return args;
  };
  window.switch_to_txt2img = to("tab_txt2img");
  window.switch_to_img2img = to("tab_img2img");
  window.switch_to_img2img_tab = to("tab_img2img");
  window.switch_to_sketch = to("tab_img2img");
  window.switch_to_inpaint = to("tab_img2img");
  window.switch_to_inpaint_sketch = to("tab_img2img");
  window.switch_to_extras = to("tab_extras");
  window.get_tab_index = (id) => {
    const all = [...document.querySelectorAll(`#${id} .tab-nav button[role="tab"]`)];
    return Math.max(0, all.findIndex((one) => one.classList.contains("selected")));
  };
  window.get_img2img_tab_index = (...args) => [window.get_tab_index("mode_img2img"), ...args.slice(1)];
  window.popup = (content) => {
    window.closePopup();
    const dialog = document.createElement("dialog");
    dialog.className = "easel-a1111-popup";
    dialog.append(content);
    document.body.append(dialog);
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  };
  window.closePopup = () => first("dialog.easel-a1111-popup")?.close();
  window.restart_reload = () => window.location.reload();

  // ---- settings
  const adopt = (values) => {
    Object.assign(window.opts, values);
    const changed = available;
    available = true;
    if (!changed) for (const callback of optionsAvailable.splice(0)) call(callback);
    for (const callback of optionsChanged) call(callback);
  };
  const read = async () => {
    const found = {};
    const state = await native(`${config.root}/easel/page/state`);
    if (state.ok) Object.assign(found, (await state.json()).options);
    const rows = await native(`${config.root}/easel/v1/settings`);
    const groups = rows.ok ? (await rows.json()).groups : [];
    for (const { options } of groups) for (const { key, value } of options) found[key] = value;
    adopt(found);
  };
  document.addEventListener("easel:options", () => adopt(window.Easel?.page?.options ?? {}));
  // A1111's scripts fetch files relative to the page.
  const native = window.fetch.bind(window);
  window.fetch = (what, ...rest) =>
    native(typeof what === "string" && /^\.?\/?file=/.test(what) ? `${config.root}/${what.replace(/^\.?\//, "")}` : what, ...rest);

  // ---- drawing everything once
  const frames = (count) =>
    new Promise((done) => {
      const wait = (left) => (left ? requestAnimationFrame(() => wait(left - 1)) : done());
      wait(count);
    });
  const marked = () => {
    for (const list of document.querySelectorAll('[role="tablist"]')) list.classList.add("tab-nav");
  };
  const accordions = async () => {
    for (const label of document.querySelectorAll("[id$=_script_container] .label-wrap")) {
      if (label.classList.contains("open")) continue;
      label.click();
      await frames(2);
      label.click();
    }
  };
  async function hydrate() {
    hydrating = true;
    const start = current();
    for (const button of buttons()) {
      if (button === start || button.hidden) continue;
      button.click();
      await frames(3);
      await accordions();
    }
    start?.click();
    await frames(3);
    await accordions();
    marked();
    hydrating = false;
  }

  // ---- telling what changed
  const later = (name, action, wait) => {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(action, wait);
  };
  function mutated(records) {
    if (!loaded) return;
    for (const callback of uiUpdate) call(callback, records);
    later("after", () => uiAfterUpdate.forEach((callback) => call(callback)), 200);
    const now = current();
    if (now && now !== tab) {
      tab = now;
      for (const callback of uiTabChange) call(callback);
    }
  }
  async function begin() {
    marked();
    await Promise.all([hydrate(), read().catch(() => undefined)]);
    loaded = true;
    tab = current();
    document.documentElement.dataset.a1111 = "loaded";
    for (const callback of uiLoaded.splice(0)) call(callback);
    mutated([]);
  }
  // Parts of A1111's img2img that this page draws otherwise: scripts that wait for them find an empty place.
  const absent = ["img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base", "img_inpaint_mask"];
  document.addEventListener("DOMContentLoaded", () => {
    for (const id of absent) {
      if (document.getElementById(id)) continue;
      const box = document.createElement("div");
      box.id = id;
      box.hidden = true;
      box.append(document.createElement("div"));
      const input = document.createElement("input");
      input.type = "file";
      box.firstChild.append(input);
      document.body.append(box);
    }
  });
  let begun = false;
  const watch = new MutationObserver((records) => {
    if (!begun && first("#txt2img_prompt textarea") && buttons().length + document.querySelectorAll('#tabs [role="tab"]').length) {
      begun = true;
      setTimeout(begin, 50);
    }
    if (!hydrating) mutated(records);
  });
  watch.observe(document, { childList: true, subtree: true });
})();
