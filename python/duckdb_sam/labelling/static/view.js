/** Where the picture is on the stage: zoomed and moved. Places in the picture are fractions, on the stage CSS pixels. */
export class View {
  /** Size of the stage. */
  width = 1;
  height = 1;
  /** Size of the picture. */
  columns = 1;
  rows = 1;
  /** CSS pixels for a pixel of the picture, and where its upper left corner is. */
  scale = 1;
  left = 0;
  top = 0;

  get #margin() {
    return Math.min(12, this.width / 20, this.height / 20);
  }

  get fitting() {
    const margin = 2 * this.#margin;
    return Math.max(1e-6, Math.min((this.width - margin) / this.columns, (this.height - margin) / this.rows));
  }

  /** Longer side of the picture on the screen, in its own pixels. */
  get side() {
    return Math.max(this.columns, this.rows) * this.scale * (globalThis.devicePixelRatio || 1);
  }

  /** Show the whole picture. */
  fit() {
    this.scale = this.fitting;
    this.left = (this.width - this.columns * this.scale) / 2;
    this.top = (this.height - this.rows * this.scale) / 2;
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    const whole = Math.abs(this.scale - this.fitting) < 1e-9;
    const [x, y] = this.toPicture(this.width / 2, this.height / 2);
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    if (whole) return this.fit();
    this.left = this.width / 2 - x * this.columns * this.scale;
    this.top = this.height / 2 - y * this.rows * this.scale;
    this.#hold();
  }

  /** @param {number} factor @param {number} x @param {number} y the place on the stage that stays */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const least = Math.min(this.fitting, 1);
    const scale = Math.min(Math.max(this.scale * factor, least), Math.max(40, this.fitting * 4));
    const real = scale / this.scale;
    this.left = x - (x - this.left) * real;
    this.top = y - (y - this.top) * real;
    this.scale = scale;
    this.#hold();
  }

  /** @param {number} x @param {number} y */
  pan(x, y) {
    this.left += x;
    this.top += y;
    this.#hold();
  }

  /** Bring a place in the picture onto the stage. @param {number} x @param {number} y */
  reveal(x, y) {
    const [right, below] = this.toStage(x, y);
    const edge = Math.min(40, this.width / 4, this.height / 4);
    this.pan(
      Math.max(0, edge - right) - Math.max(0, right - (this.width - edge)),
      Math.max(0, edge - below) - Math.max(0, below - (this.height - edge)),
    );
  }

  /** @param {number} x @param {number} y @returns {[number, number]} */
  toStage(x, y) {
    return [this.left + x * this.columns * this.scale, this.top + y * this.rows * this.scale];
  }

  /** @param {number} x @param {number} y @returns {[number, number]} */
  toPicture(x, y) {
    return [(x - this.left) / (this.columns * this.scale), (y - this.top) / (this.rows * this.scale)];
  }

  /** Keep a small picture in the middle, and let a large one leave no gap. */
  #hold() {
    const margin = this.#margin;
    const held = (at, size, room) =>
      size <= room - 2 * margin ? (room - size) / 2 : Math.min(margin, Math.max(room - size - margin, at));
    this.left = held(this.left, this.columns * this.scale, this.width);
    this.top = held(this.top, this.rows * this.scale, this.height);
  }
}
