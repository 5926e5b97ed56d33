// Lets Gradio run the page's own event scripts without `unsafe-eval`. A classic script: it must come
// before Gradio, which takes the function constructors when it loads.
//
// Gradio makes a function from the text of each `js=` event and from each `gr.HTML` template. The
// server has written the same texts as real functions below (`Easel.scripts`); here the constructors
// look them up. A text that is not among them never runs: the policy of the page forbids it.
(() => {
  const scripts = new Map();
  const refuse = (body) => {
    throw new EvalError(`not one of the page's own scripts: ${String(body).slice(0, 200)}`);
  };

  const WHOLE = /^return \(\n([\s\S]*)\n\);$/;
  const AsyncFunctionPrototype = Object.getPrototypeOf(async () => undefined);
  function TrustedAsyncFunction(...given) {
    const body = String(given.pop() ?? "");
    const found = scripts.get(WHOLE.exec(body)?.[1] ?? body);
    return found ? async () => found() : refuse(body);
  }
  TrustedAsyncFunction.prototype = AsyncFunctionPrototype;
  Object.defineProperty(AsyncFunctionPrototype, "constructor", { value: TrustedAsyncFunction });

  const TEXT = /^\s*return ("(?:[^"\\]|\\.)*");?\s*$/;
  const TEMPLATE = /^return `(?:\$\{(\w+)\})?`;$/;
  /** The bodies that come from a template without expressions, and scripts given by their text. */
  function TrustedFunction(...given) {
    const body = String(given.pop() ?? "");
    if (body === "return this") return () => window;
    const text = TEXT.exec(body);
    if (text) {
      const value = JSON.parse(text[1]);
      return () => value;
    }
    const names = given.flatMap((name) => String(name).split(",")).map((name) => name.trim());
    const template = TEMPLATE.exec(body);
    if (template) {
      const place = names.indexOf(template[1]);
      return (...values) => (place < 0 ? "" : String(values[place]));
    }
    const found = scripts.get(`(${names.join(",")})${body}`);
    return found ? found() : refuse(body);
  }
  TrustedFunction.prototype = Function.prototype;
  Object.defineProperty(Function.prototype, "constructor", { value: TrustedFunction });
  window.Function = TrustedFunction;
  window.Easel.scripts = scripts;
})();
