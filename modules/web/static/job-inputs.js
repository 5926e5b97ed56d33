// The pictures that a job was given.
const PREFIX = "input:";
const address = (ref) => `/easel/v1/inputs/${ref.slice(PREFIX.length)}`;

/** References to the pictures that a job works on. */
function inputsOf(job) {
  const { images = [], init_images: starts = [], firstpass_image: first } = job?.request ?? {};
  const found = first ? [first] : images.length ? images : starts;
  return found.filter((ref) => ref?.startsWith?.(PREFIX));
}

/** The address of the picture that a job works on after `done` others, or null. */
export function workedOn(job, done) {
  const inputs = inputsOf(job);
  const ref = inputs[done] ?? inputs[0];
  return ref ? address(ref) : null;
}

/** The address of the picture that `image` of a job was made from, or null. */
export function madeFrom(job, images, image) {
  const inputs = inputsOf(job);
  const single = images.filter((one) => one.kind === "image");
  let ref = inputs.length === 1 ? inputs[0] : null;
  if (inputs.length === single.length) ref = inputs[single.indexOf(image)];
  ref = image?.input ?? ref; // said by the job itself where one picture gives several
  return ref ? address(ref) : null;
}
