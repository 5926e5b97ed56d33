// Mouse, pen and fingers on a canvas: strokes, shapes, panning, pinching, the wheel.
const SHAPES = ["lasso", "rectangle"];
const PAN_BUTTONS = [1, 2];
let control = false;

// A pinch on a touchpad arrives as a wheel with Ctrl that nobody pressed.
addEventListener("keydown", (event) => event.key === "Control" && (control = true), true);
addEventListener("keyup", (event) => event.key === "Control" && (control = false), true);
addEventListener("blur", () => (control = false));

export class Pointer {
  #fingers = new Map();
  #pinch = null;
  #action = null;
  #points = [];
  panning = false;

  /** `host` is the canvas element: gives `drawing`, `view`, `stage` and hears `pointed(x, y, event)`. */
  constructor(host) {
    this.host = host;
    const { stage } = host;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"])
      stage.addEventListener(kind, (event) => this.#up(event, kind === "pointercancel"));
    stage.addEventListener("pointerleave", () => host.pointed(null));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("contextmenu", (event) => host.drawing.picture && event.preventDefault());
    stage.addEventListener("auxclick", (event) => event.button === 1 && event.preventDefault());
  }

  get busy() {
    return this.#action !== null;
  }

  #at(event) {
    const { stage } = this.host;
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left - stage.clientLeft, y: event.clientY - box.top - stage.clientTop };
  }

  #point(event) {
    const { x, y } = this.#at(event);
    const pressure = event.pointerType === "pen" ? 0.15 + 0.85 * event.pressure : 1;
    return { ...this.host.view.toPicture(x, y), pressure };
  }

  #down(event) {
    const { host } = this;
    if (!host.drawing.picture || event.target.closest("button, input, label")) return;
    host.stage.focus({ preventScroll: true });
    if (event.pointerType === "touch") {
      this.#fingers.set(event.pointerId, this.#at(event));
      if (this.#fingers.size === 2) return this.#startPinch();
      if (this.#fingers.size > 2) return;
      if (host.drawing.mode === "view") return; // the page scrolls
    }
    event.preventDefault();
    host.stage.setPointerCapture(event.pointerId);
    const move = PAN_BUTTONS.includes(event.button) || this.panning || host.drawing.brush.tool === "move";
    if (move || !host.drawing.layer) this.#action = { kind: "pan", from: this.#at(event) };
    else this.#startTool(event);
    host.stage.classList.toggle("grabbing", this.#action?.kind === "pan");
  }

  #startTool(event) {
    const { drawing } = this.host;
    const { tool } = drawing.brush;
    const point = this.#point(event);
    const erase = tool === "eraser" || event.altKey || Boolean(event.buttons & 32);
    drawing.begin({ erase });
    if (tool === "fill") {
      drawing.flood(point);
      drawing.finish();
      return;
    }
    this.#action = { kind: SHAPES.includes(tool) ? tool : "stroke" };
    this.#points = [point];
    const from = event.shiftKey ? (drawing.last ?? point) : point;
    if (this.#action.kind === "stroke") drawing.draw(from, point);
    else this.#outline();
  }

  #move(event) {
    const { host } = this;
    const at = this.#at(event);
    if (this.#fingers.has(event.pointerId)) this.#fingers.set(event.pointerId, at);
    host.pointed(at, event);
    if (this.#pinch) return this.#pinched();
    if (!this.#action) return;
    if (this.#action.kind === "pan") {
      host.view.pan(at.x - this.#action.from.x, at.y - this.#action.from.y);
      this.#action.from = at;
      return;
    }
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      const point = this.#point(one);
      if (this.#action.kind === "stroke") host.drawing.draw(this.#points.at(-1), point);
      this.#points.push(point);
    }
    if (SHAPES.includes(this.#action.kind)) this.#outline();
  }

  #up(event, cancelled) {
    this.#fingers.delete(event.pointerId);
    if (this.#pinch) {
      if (this.#fingers.size < 2) this.#pinch = null;
      return;
    }
    const action = this.#action;
    this.#action = null;
    this.host.stage.classList.remove("grabbing");
    if (!action || action.kind === "pan") return;
    const { drawing, view } = this.host;
    view.sketchOver = null;
    if (SHAPES.includes(action.kind)) {
      drawing.polygon(action.kind === "lasso" ? this.#points : this.#corners());
      view.redraw();
    }
    if (cancelled) drawing.abort();
    else drawing.finish();
    this.#points = [];
  }

  /** The rectangle between the first and the last point. */
  #corners() {
    const [a, b] = [this.#points[0], this.#points.at(-1)].map(({ x, y }) => ({
      x: Math.round(x),
      y: Math.round(y),
    }));
    return [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }];
  }

  #outline() {
    const { view } = this.host;
    const points = this.#action.kind === "lasso" ? this.#points : this.#corners();
    view.sketchOver = (pen) => {
      pen.beginPath();
      for (const point of points) {
        const { x, y } = view.toFrame(point.x, point.y);
        pen.lineTo(x, y);
      }
      pen.closePath();
      pen.fillStyle = "rgb(255 64 160 / 0.18)";
      pen.fill();
      for (const [colour, dash] of [
        ["#000", []],
        ["#fff", [5, 5]],
      ]) {
        pen.strokeStyle = colour;
        pen.setLineDash(dash);
        pen.lineWidth = 1.25;
        pen.stroke();
      }
    };
    view.redraw();
  }

  #startPinch() {
    this.host.drawing.abort();
    this.host.view.sketchOver = null;
    this.#action = null;
    this.#pinch = this.#spread();
  }

  #pinched() {
    const next = this.#spread();
    const { view } = this.host;
    view.pan(next.x - this.#pinch.x, next.y - this.#pinch.y);
    if (this.#pinch.apart > 0) view.zoom(next.apart / this.#pinch.apart, next.x, next.y);
    this.#pinch = next;
  }

  #spread() {
    const [a, b] = [...this.#fingers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
  }

  #wheel(event) {
    const { host } = this;
    if (!host.drawing.picture) return;
    const pinch = event.ctrlKey && !control;
    const brush = event.ctrlKey && control && host.drawing.layer;
    const zoom = pinch || event.ctrlKey || event.altKey || event.shiftKey || host.wide;
    if (!brush && !zoom) return; // the page scrolls
    event.preventDefault();
    const amount = event.deltaY || event.deltaX;
    if (brush) return host.resizeBrush(amount < 0 ? 1 : -1);
    const { x, y } = this.#at(event);
    const speed = pinch ? 0.01 : event.deltaMode === 1 ? 0.05 : 0.0016;
    host.view.zoom(Math.exp(-amount * speed), x, y);
  }
}
