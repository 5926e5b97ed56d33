// The one live connection: what the server tells of jobs, progress, previews and models.
import * as api from "./api.js";

const { config } = window.Easel;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

/**
 * Events: "snapshot", "queue", "job", "progress", "preview", "image", "warning", "model", "engine",
 * "options", "notices", "connection"; `event.detail` is the message.
 */
class Live extends EventTarget {
  connected = false;
  paused = false;
  held = null;
  queue = [];
  aside = [];
  running = null;
  recent = [];
  model = null;
  engine = null;
  notices = [];
  preview = null;
  ready = false;
  #wait = FIRST_WAIT;
  #boot = null;

  /** Listen, and hear the snapshot at once when it has come already. */
  on(kinds, action) {
    for (const kind of kinds.split(" ")) {
      this.addEventListener(kind, (event) => action(event.detail, kind));
    }
    if (this.ready && kinds.split(" ").includes("snapshot")) action(this.#snapshot(), "snapshot");
  }

  start() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${config.root}/live/ws`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#wait = FIRST_WAIT;
      this.connected = true;
      this.#tell("connection", { connected: true });
    };
    socket.onmessage = (event) => {
      if (typeof event.data === "string") this.#take(JSON.parse(event.data));
      else this.#takePreview(event.data);
    };
    socket.onclose = () => {
      if (this.connected) {
        this.connected = false;
        this.#tell("connection", { connected: false });
      } else if (config.login) {
        api.get("/internal/pending-tasks").catch(() => undefined); // asks for the login if need be
      }
      setTimeout(() => this.start(), this.#wait);
      this.#wait = Math.min(this.#wait * 1.6, LONGEST_WAIT);
    };
  }

  /** The running job's brief, or null. */
  get runningBrief() {
    return this.queue.find((job) => job.state === "running") ?? null;
  }

  job = (id) => api.get(`/easel/v1/jobs/${encodeURIComponent(id)}`);

  #take(message) {
    const { type } = message;
    if (type === "snapshot") {
      const restarted = this.#boot !== null && this.#boot !== message.boot;
      this.#boot = message.boot;
      this.paused = message.paused;
      this.held = message.held ?? null;
      this.queue = message.queue;
      this.aside = message.aside;
      this.running = message.running;
      this.recent = message.recent;
      this.model = message.model;
      this.engine = message.engine;
      this.notices = message.notices ?? [];
      this.ready = true;
      this.#tell("snapshot", { ...message, restarted });
      return;
    }
    if (type === "queue") {
      this.paused = message.paused;
      this.held = message.held ?? null;
      this.queue = message.jobs;
      this.aside = message.aside;
    } else if (type === "progress") {
      this.running = message.job ? message : null;
    } else if (type === "job") {
      this.#takeJob(message.job);
      this.#tell("job", message.job);
      return;
    } else if (type === "model" || type === "engine") {
      this[type] = message;
    } else if (type === "notices") {
      this.notices = message.notices;
    }
    this.#tell(type, message);
  }

  #takeJob(job) {
    const at = this.queue.findIndex((other) => other.id === job.id);
    const active = job.state === "running" || job.state === "queued";
    if (active && at >= 0) this.queue[at] = job;
    else if (active) this.queue.push(job);
    else if (at >= 0) this.queue.splice(at, 1);
    if (!active) {
      if (this.running?.job === job.id) this.running = null;
      if (this.preview?.job === job.id) this.#dropPreview();
      this.recent = [job, ...this.recent.filter((other) => other.id !== job.id)].slice(0, 20);
    }
  }

  #takePreview(data) {
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const blob = new Blob([new Uint8Array(data, 4 + length)], { type: header.mime });
    const old = this.preview?.url;
    this.preview = { ...header, url: URL.createObjectURL(blob) };
    this.#tell("preview", this.preview);
    if (old) setTimeout(() => URL.revokeObjectURL(old), 2000);
  }

  #dropPreview() {
    URL.revokeObjectURL(this.preview.url);
    this.preview = null;
  }

  #snapshot() {
    const { paused, queue, running, recent, model, engine, notices } = this;
    return { paused, queue, running, recent, model, engine, notices, restarted: false };
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

export const live = new Live();
