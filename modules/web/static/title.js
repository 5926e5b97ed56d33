// The percentage in the page's title while a job runs.
import * as page from "./page.js";
import { live } from "./live.js";

const PLAIN = "Easel";

async function draw() {
  const running = live.runningBrief;
  const wanted = running && (await page.option("show_progress_in_title", true).catch(() => true));
  const done = Math.round(100 * (live.running?.progress ?? 0));
  document.title = wanted ? `[${done}%] ${PLAIN}` : PLAIN;
}

live.on("snapshot progress job queue connection", draw);
