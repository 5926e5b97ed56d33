// Runs in the page once everything is there: marks the example's accordion.
onUiLoaded(() => {
  const part = gradioApp().querySelector("#script_txt2img_easel_example_accordion");
  if (part) part.dataset.example = opts.easel_example_greeting ?? "";
});
