// Entry of the page's scripts: puts every part under one name, `Easel`, and starts the live connection.
import { live } from "./live.js";
import * as form from "./form.js";
import * as quick from "./quick.js";
import * as prompt from "./prompt.js";
import * as styles from "./styles.js";
import * as output from "./output.js";
import * as page from "./page.js";
import * as toast from "./toast.js";
import "./examples.js";
import "./shapes.js";
import "./status.js";
import "./queue.js";
import "./settings.js";
import "./image-info.js";
import "./drop.js";
import "./keys.js";
import "./forever.js";
import "./title.js";
import "./wake.js";
import "./tooltips.js";
import "./tabs.js";
import "./actions.js";
import "./hires.js";

Object.assign(window.Easel, { live, form, quick, prompt, styles, output, page, toast });
live.start();
