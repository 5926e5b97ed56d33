// The second pass of hires. fix on a finished picture, with the hires settings of the form.
import * as api from "./api.js";
import * as form from "./form.js";
import * as page from "./page.js";
import * as sources from "./sources.js";
import * as toast from "./toast.js";

const TAB = "txt2img";
const HIRES = /^(hr_|denoising_strength$)/;

/** Queue a job that only enlarges `image`: its own prompt, sampler and seed, the form's hires section. */
export const secondPass = (image) =>
  toast.guard(async () => {
    const { ref, width, height } = await sources.take(image.id);
    const found = await api.textInfo(image.infotext);
    const { overrides } = await page.state();
    const own = form.request(TAB, form.values(TAB), overrides);
    const made = Object.fromEntries(
      Object.entries(found.fields).filter(([name, value]) => value !== null && !HIRES.test(name)),
    );
    const answer = await api.post("/easel/v1/jobs", {
      ...own,
      ...made,
      enable_hr: true,
      firstpass_image: ref,
      width,
      height,
      n_iter: 1,
      batch_size: 1,
      styles: [],
      override_settings: found.override_settings ?? {},
    });
    for (const text of answer.warnings ?? []) toast.warning(text);
    document.dispatchEvent(new CustomEvent("easel:submitted", { detail: { tab: TAB, answer } }));
  });
