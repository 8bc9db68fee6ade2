/**
 * Mouse, pen and fingers on the stage: a click is a point, a drag a box; a drag of a point moves it, a click on one takes
 * it away. Two fingers, the wheel and the middle button zoom and move.
 */
const CLICK = { mouse: 4, pen: 6, touch: 10 };
const REACH = { mouse: 10, pen: 14, touch: 20 };
const LONG = 500;

/** @param {number} value */
const within = (value) => Math.min(1, Math.max(0, value));

export class Pointer {
  /** What a plain click means: 1 in the object, 0 beside it. */
  label = 1;
  /** @type {Map<number, {x: number, y: number}>} */
  #down = new Map();
  /** @type {any} what one pointer is about to do */
  #gesture = null;

  /** @param {import("./stage.js").Stage} stage @param {import("./session.js").Session} session */
  constructor(stage, session) {
    this.stage = stage;
    this.session = session;
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.#pressed(event));
    element.addEventListener("pointermove", (event) => this.#moved(event));
    element.addEventListener("pointerup", (event) => this.#released(event));
    element.addEventListener("pointercancel", (event) => this.#cancelled(event));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** @param {{clientX: number, clientY: number}} event @returns {[number, number]} */
  #at(event) {
    const { left, top } = this.stage.element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  /** @param {PointerEvent} event */
  #pressed(event) {
    const { picture } = this.session;
    if (!picture || picture.error) return;
    this.stage.element.focus({ preventScroll: true });
    const [x, y] = this.#at(event);
    this.#down.set(event.pointerId, { x, y });
    this.stage.element.setPointerCapture(event.pointerId);
    if (this.#down.size > 1) return this.#drop();
    if (this.stage.cursor.shown) {
      this.stage.cursor.shown = false;
      this.stage.draw();
    }
    const type = event.pointerType in CLICK ? event.pointerType : "mouse";
    const pan = event.button === 1 || (event.button === 0 && event.altKey);
    const place = this.stage.pointAt(x, y, REACH[type]);
    const other = event.button === 2 || event.shiftKey || event.ctrlKey;
    this.#gesture = { x, y, type, pan, place, label: other ? 1 - this.label : this.label, box: !pan && event.button === 0 };
    if (event.button === 1) event.preventDefault();
    if (type === "touch" && place < 0) {
      const gesture = this.#gesture;
      gesture.timer = setTimeout(() => {
        if (this.#gesture !== gesture || gesture.moved) return;
        this.#gesture = null;
        this.#point(gesture, 1 - this.label);
      }, LONG);
    }
  }

  /** @param {PointerEvent} event */
  #moved(event) {
    const before = this.#down.get(event.pointerId);
    if (!before) return;
    const [x, y] = this.#at(event);
    if (this.#down.size === 2) {
      const [other] = [...this.#down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const stretch = Math.hypot(x - other.x, y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
      this.stage.view.zoom(stretch, (before.x + other.x) / 2, (before.y + other.y) / 2);
      this.stage.view.pan((x - before.x) / 2, (y - before.y) / 2);
      this.stage.moved();
    }
    this.#down.set(event.pointerId, { x, y });
    const gesture = this.#gesture;
    if (!gesture || this.#down.size > 1) return;
    if (!gesture.moved && Math.hypot(x - gesture.x, y - gesture.y) < CLICK[gesture.type]) return;
    gesture.moved = true;
    if (gesture.pan) {
      this.stage.view.pan(x - before.x, y - before.y);
      return this.stage.moved();
    }
    const { view } = this.stage;
    const [right, below] = view.toPicture(x, y).map(within);
    if (gesture.place >= 0) this.stage.dragging = { place: gesture.place, x: right, y: below };
    else if (gesture.box) {
      const [left, above] = view.toPicture(gesture.x, gesture.y).map(within);
      const { min, max } = Math;
      this.stage.drawing = [min(left, right), min(above, below), max(left, right), max(above, below)];
    }
    this.stage.draw();
  }

  /** @param {PointerEvent} event */
  #released(event) {
    this.#down.delete(event.pointerId);
    const gesture = this.#gesture;
    if (!gesture) return;
    const { drawing, dragging } = this.stage;
    this.#drop();
    if (gesture.pan) return;
    if (dragging) this.session.movePoint(dragging.place, dragging.x, dragging.y);
    else if (drawing) {
      const sides = [(drawing[2] - drawing[0]) * this.stage.view.columns, (drawing[3] - drawing[1]) * this.stage.view.rows];
      if (Math.min(...sides) >= 1) this.session.setBox(drawing);
    } else if (!gesture.moved && gesture.place >= 0) this.session.removePoint(gesture.place);
    else if (!gesture.moved) this.#point(gesture, gesture.label);
  }

  /** @param {{x: number, y: number}} at @param {number} label */
  #point(at, label) {
    const [x, y] = this.stage.view.toPicture(at.x, at.y);
    if (x >= 0 && x <= 1 && y >= 0 && y <= 1) this.session.addPoint(x, y, label);
  }

  /** @param {PointerEvent} event */
  #cancelled(event) {
    this.#down.delete(event.pointerId);
    this.#drop();
  }

  /** Forget what was begun. */
  #drop() {
    clearTimeout(this.#gesture?.timer);
    this.#gesture = null;
    this.stage.drawing = null;
    this.stage.dragging = null;
    this.stage.draw();
  }

  /** @param {WheelEvent} event the page of a notebook scrolls until the stage is clicked on */
  #wheel(event) {
    if (!event.ctrlKey && !this.stage.element.contains(document.activeElement) && !this.stage.element.matches(":focus")) return;
    event.preventDefault();
    const [x, y] = this.#at(event);
    const lines = event.deltaMode === 1 ? 16 : 1;
    if (event.shiftKey) this.stage.view.pan(-(event.deltaY || event.deltaX) * lines, 0);
    else this.stage.view.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), x, y);
    this.stage.moved();
  }
}
