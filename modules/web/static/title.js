// The percentage in the page's title while a job runs.
import * as page from "./page.js";
import { live } from "./live.js";

const PLAIN = "Easel";

function draw() {
  const wanted = live.runningBrief && page.options.show_progress_in_title !== false;
  const done = Math.round(100 * (live.running?.progress ?? 0));
  document.title = wanted ? `[${done}%] ${PLAIN}` : PLAIN;
}

live.on("snapshot progress job queue connection", draw);
