// Keep the screen awake while a job runs, if the setting says so and the browser can.
import { options } from "./page.js";
import { live } from "./live.js";

let lock = null;

async function draw() {
  const wanted = live.queue.length > 0 && options.prevent_screen_sleep_during_generation && !document.hidden;
  if (wanted && !lock && navigator.wakeLock) {
    lock = await navigator.wakeLock.request("screen").catch(() => null);
    lock?.addEventListener("release", () => (lock = null));
  } else if (!wanted && lock) lock.release();
}

live.on("snapshot queue job", draw);
document.addEventListener("visibilitychange", draw);
