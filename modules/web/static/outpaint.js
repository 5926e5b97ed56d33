// The Outpaint tab: from its frame and form to a job, and on from a result.
import * as form from "./form.js";
import * as sources from "./sources.js";
import * as toast from "./toast.js";
import { SIDES } from "./outpaint-frame.js";

const { t } = window.Easel;
const TAB = "outpaint";
/** Steps back that are kept. */
const HISTORY = 20;
let uncrop = false;

form.prepare(TAB, async (asked) => {
  const wanted = uncrop;
  uncrop = false;
  const source = sources.get(TAB);
  if (!source) return ask("outpaint.need_picture");
  const grows = SIDES.some((side) => asked.outpaint[side] > 0);
  if (!grows && !wanted) return ask("outpaint.need_side");
  const sides = wanted ? Object.fromEntries(SIDES.map((side) => [side, 0])) : {};
  return {
    ...asked,
    kind: "img2img",
    init_images: [source.ref],
    outpaint: { ...asked.outpaint, ...sides, uncrop: wanted },
  };
});

function ask(text) {
  toast.info(t(text));
  return null;
}

document.addEventListener("uncrop", () => {
  uncrop = true;
  document.getElementById(`${TAB}_generate`)?.click();
});

/** Go on with a result: it becomes the picture to grow, and there is a way back. */
export const continueFrom = (image) =>
  toast.guard(async () => {
    const last = sources.get(TAB);
    const stored = await sources.take(image.id, image.name ?? "");
    const { before: older = [], ...previous } = last ?? {};
    const before = last ? [previous, ...older].slice(0, HISTORY) : [];
    sources.set(TAB, { ...stored, before });
    form.apply(TAB, Object.fromEntries(SIDES.map((side) => [`outpaint.${side}`, 0])));
  });
