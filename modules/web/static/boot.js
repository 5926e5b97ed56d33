// Runs before anything else on the page: language, texts, colours. A classic script, so that it blocks.
(() => {
  const config = window.EASEL_CONFIG;
  const own = document.currentScript;
  config.root = own?.dataset.root ?? "";

  const says = (name, value) =>
    Object.defineProperty(window.navigator, name, { get: () => value, configurable: true });
  says("language", config.locale);
  says("languages", [config.locale]);

  const t = (key, values = {}) =>
    (config.texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  const has = (key) => Object.hasOwn(config.texts, key);

  const KEY = "easel.theme";
  const remembered = () => {
    try {
      return window.localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const asked = new URL(window.location.href).searchParams.get("__theme");
  const system = window.matchMedia.bind(window);
  const known = (name) => {
    if (name === "system") return system("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    return name === "dark" || name === "light" ? name : null;
  };
  let current = known(asked) ?? known(remembered()) ?? known(own?.dataset.theme) ?? "dark";

  const show = () => {
    document.documentElement.dataset.theme = current;
    document.documentElement.style.colorScheme = current;
    document.body?.classList.toggle("dark", current === "dark");
  };
  const theme = {
    get: () => current,
    set(name) {
      current = name;
      try {
        window.localStorage.setItem(KEY, name);
      } catch {
        // A browser without storage forgets the choice at the next visit.
      }
      show();
      document.dispatchEvent(new CustomEvent("easel:theme"));
    },
    /** The setting changed: it holds again until the next press on the button. */
    follow(setting) {
      current = known(setting) ?? current;
      try {
        window.localStorage.removeItem(KEY);
      } catch {
        // Nothing was remembered.
      }
      show();
      document.dispatchEvent(new CustomEvent("easel:theme"));
    },
    toggle: () => theme.set(current === "dark" ? "light" : "dark"),
  };

  // Gradio asks the system for its colours; the answer is ours, so that a choice holds.
  window.matchMedia = (query) => {
    if (!/prefers-color-scheme:\s*dark/.test(query)) return system(query);
    const silent = () => undefined;
    return {
      matches: current === "dark",
      media: query,
      onchange: null,
      addEventListener: silent,
      removeEventListener: silent,
      addListener: silent,
      removeListener: silent,
      dispatchEvent: () => false,
    };
  };

  window.Easel = { config, t, has, theme };
  window.gradioApp = () => document;
  show();
  document.addEventListener("DOMContentLoaded", show);
})();
