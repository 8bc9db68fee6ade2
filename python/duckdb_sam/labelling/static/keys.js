/** The keyboard: all that the mouse can do. Keys without Ctrl count only where no text is typed. */

export const KEYS = [
  ["Arrow keys", "move the cursor; with Shift in large steps, with Alt by a pixel"],
  ["Enter or Space", "point in the object; on a point, take it away"],
  ["X, or Shift+Enter", "point beside the object"],
  ["B", "one corner of a box; again for the other. Escape gives it up"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
  ["N", "new object"],
  ["[ and ]", "previous and next object"],
  ["Delete", "delete the object"],
  ["1 to 9", "class of the object; 0 for none"],
  ["Page up, page down", "previous and next picture; also , and ."],
  ["+ and −, F", "zoom; whole picture"],
  ["W A S D", "move the picture"],
  ["H", "hide masks, and show them again"],
  ["T", "what a click means: in the object, or beside it"],
  ["?", "this list"],
];

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PANS = { a: [1, 0], d: [-1, 0], w: [0, 1], s: [0, -1] };

export class Keys {
  /** @type {[number, number] | null} */
  #corner = null;

  /**
   * @param {HTMLElement} root
   * @param {import("./stage.js").Stage} stage
   * @param {import("./session.js").Session} session
   * @param {{help: () => void, say: (text: string) => void, mode: () => void}} desk
   */
  constructor(root, stage, session, desk) {
    this.stage = stage;
    this.session = session;
    this.desk = desk;
    root.addEventListener("keydown", (event) => this.#pressed(event));
    session.on("opened", () => {
      this.#corner = null;
    });
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("dialog")) return;
    const typing = target.matches("input, textarea, select");
    const command = event.ctrlKey || event.metaKey;
    if (typing) {
      event.stopPropagation(); // the keys of a notebook are not meant
      return;
    }
    const done = command ? this.#command(event) : this.#plain(event, target === this.stage.element);
    if (done) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /** @param {KeyboardEvent} event */
  #command(event) {
    const key = event.key.toLowerCase();
    if (key === "z") event.shiftKey ? this.session.redo() : this.session.undo();
    else if (key === "y") this.session.redo();
    else return false;
    return true;
  }

  /** @param {KeyboardEvent} event @param {boolean} onStage */
  #plain(event, onStage) {
    const { session, stage } = this;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (onStage) {
      if (key in ARROWS) return this.#move(ARROWS[key], event);
      if (key === "Enter" || key === " ") return this.#mark(event.shiftKey ? 0 : 1);
    }
    if (event.altKey) return false;
    if (key in PANS) {
      stage.view.pan(PANS[key][0] * 80, PANS[key][1] * 80);
      stage.moved();
      return true;
    }
    if (/^[0-9]$/.test(key)) {
      if (key === "0") session.setClass(null);
      else if (session.classes[Number(key) - 1] !== undefined) session.setClass(session.classes[Number(key) - 1]);
      return true;
    }
    const known = {
      x: () => this.#mark(0),
      b: () => this.#box(),
      n: () => session.newObject(),
      "[": () => session.turn(-1),
      "]": () => session.turn(1),
      Delete: () => session.remove(),
      PageDown: () => session.next(1),
      PageUp: () => session.next(-1),
      ".": () => session.next(1),
      ",": () => session.next(-1),
      "+": () => this.#zoom(1.4),
      "=": () => this.#zoom(1.4),
      "-": () => this.#zoom(1 / 1.4),
      f: () => stage.fit(),
      h: () => {
        stage.hidden = !stage.hidden;
        this.desk.say(stage.hidden ? "Masks are hidden." : "Masks are shown.");
        stage.draw();
      },
      t: () => this.desk.mode(),
      "?": () => this.desk.help(),
      Escape: () => this.#escape(),
    }[key];
    if (!known) return false;
    known();
    return true;
  }

  /** @param {number} factor */
  #zoom(factor) {
    const { cursor, view } = this.stage;
    if (cursor.shown) view.zoom(factor, ...view.toStage(cursor.x, cursor.y));
    else view.zoom(factor);
    this.stage.moved();
  }

  /** @param {number[]} direction @param {KeyboardEvent} event */
  #move([right, down], event) {
    const { cursor, view } = this.stage;
    const step = event.altKey ? 1 : (event.shiftKey ? 60 : 12) / view.scale; // pixels of the picture
    const bound = (value) => Math.min(1, Math.max(0, value));
    cursor.x = bound(cursor.x + (right * step) / view.columns);
    cursor.y = bound(cursor.y + (down * step) / view.rows);
    cursor.shown = true;
    view.reveal(cursor.x, cursor.y);
    if (this.#corner) this.stage.drawing = this.#between();
    this.stage.moved();
    return true;
  }

  #between() {
    const { x, y } = this.stage.cursor;
    const [left, top] = /** @type {[number, number]} */ (this.#corner);
    return [Math.min(left, x), Math.min(top, y), Math.max(left, x), Math.max(top, y)];
  }

  /** @param {number} label */
  #mark(label) {
    const { cursor, view } = this.stage;
    const place = this.stage.pointAt(...view.toStage(cursor.x, cursor.y), 8);
    cursor.shown = true;
    if (place >= 0) this.session.removePoint(place);
    else this.session.addPoint(cursor.x, cursor.y, label);
    return true;
  }

  #box() {
    const { cursor } = this.stage;
    cursor.shown = true;
    if (!this.#corner) {
      this.#corner = [cursor.x, cursor.y];
      this.desk.say("First corner of a box. Move the cursor, and press B again.");
    } else {
      const box = this.#between();
      this.#corner = null;
      this.stage.drawing = null;
      if (box[2] > box[0] && box[3] > box[1]) this.session.setBox(box);
    }
    this.stage.draw();
  }

  #escape() {
    this.#corner = null;
    this.stage.drawing = null;
    this.stage.cursor.shown = false;
    this.stage.draw();
  }
}
