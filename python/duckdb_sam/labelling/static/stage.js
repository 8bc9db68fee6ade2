import { h } from "./dom.js";
import { colour, paint } from "./paint.js";
import { View } from "./view.js";

const SIDES = [1024, 2048, 4096, 8192];
const DOT = 7;

/** The picture with its masks and prompts, on a canvas. */
export class Stage {
  view = new View();
  /** Where the keyboard's cursor is, in fractions; shown once a key has moved it. */
  cursor = { x: 0.5, y: 0.5, shown: false };
  /** A box that is being drawn, in fractions. @type {number[] | null} */
  drawing = null;
  /** A point that is being dragged. @type {{place: number, x: number, y: number} | null} */
  dragging = null;
  hidden = false;
  /** @type {ImageBitmap | null} */
  #image = null;
  #side = 0;
  #wanted = 0;
  /** @type {WeakMap<object, {strong: boolean, limit: number, number: number, drawn: ReturnType<typeof paint>}>} */
  #painted = new WeakMap();
  #drawn = 0;
  #next = { place: -1, side: 0, blob: /** @type {Promise<Blob> | null} */ (null) };

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.canvas = h("canvas", { "aria-hidden": true });
    this.message = h("p", { class: "message", hidden: true });
    this.element = h(
      "div",
      { class: "stage", tabindex: "0", role: "application", "aria-label": "Picture", "aria-roledescription": "picture" },
      this.canvas,
      this.message,
    );
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(this.element);
    session.on("opening", () => this.element.setAttribute("aria-busy", "true"));
    session.on("opened", () => this.#opened());
    session.on("objects", () => this.draw());
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#drawn);
  }

  draw() {
    cancelAnimationFrame(this.#drawn);
    this.#drawn = requestAnimationFrame(() => this.#draw());
  }

  /** Draw after zooming or moving; a larger picture is asked for where this one has too few pixels. */
  moved() {
    this.draw();
    if (this.#wantedSide() > this.#side) void this.#load();
  }

  fit() {
    this.view.fit();
    this.moved();
  }

  /** The point of the current object near a place on the stage, or -1. @param {number} x @param {number} y @param {number} reach */
  pointAt(x, y, reach) {
    let best = -1;
    let least = reach;
    this.session.current.points.forEach((point, place) => {
      const [left, top] = this.view.toStage(point[0], point[1]);
      const distance = Math.hypot(left - x, top - y);
      if (distance <= least) [best, least] = [place, distance];
    });
    return best;
  }

  #opened() {
    const { width, height, error, name } = /** @type {any} */ (this.session.picture);
    this.#image?.close();
    this.#image = null;
    this.#side = 0;
    this.drawing = null;
    this.dragging = null;
    this.cursor = { x: 0.5, y: 0.5, shown: false };
    this.element.setAttribute("aria-label", `${name}. Arrow keys move a cursor, Enter marks a point. ? lists all keys.`);
    this.#say(error ? `${name} cannot be shown: ${error}` : "");
    if (error) this.element.setAttribute("aria-busy", "false");
    this.view.columns = width || 1;
    this.view.rows = height || 1;
    this.view.fit();
    this.draw();
    if (!error) void this.#load();
  }

  /** @param {string} text */
  #say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  #wantedSide() {
    const needed = Math.min(this.view.side, Math.max(this.view.columns, this.view.rows));
    return SIDES.find((side) => side >= needed * 0.9) ?? SIDES[SIDES.length - 1];
  }

  async #load() {
    const { place, version } = /** @type {any} */ (this.session.picture);
    const side = this.#wantedSide();
    const loading = `${place} ${version}`;
    if (this.#wanted === side && this.#side === 0 && this.element.dataset.loading === loading) return;
    this.#wanted = side;
    this.element.dataset.loading = loading;
    try {
      const known = this.#next.place === place && this.#next.side === side ? this.#next.blob : null;
      let blob = await (known ?? this.session.transport.picture("picture", { place, side }));
      if (blob.version !== version && known) blob = await this.session.transport.picture("picture", { place, side });
      if (blob.version !== version) return void this.session.look(); // it has changed meanwhile
      const image = await createImageBitmap(/** @type {Blob} */ (blob));
      if (this.session.picture?.version !== version || this.session.picture.place !== place || side <= this.#side) return image.close();
      this.#image?.close();
      this.#image = image;
      this.#side = side;
      this.element.setAttribute("aria-busy", "false");
      this.element.dataset.shown = String(place);
      this.#say("");
      this.draw();
      this.#ahead(place + 1, side);
    } catch (error) {
      if (this.session.picture?.place !== place || this.#image) return;
      this.element.setAttribute("aria-busy", "false");
      this.#say(`The picture cannot be shown: ${error instanceof Error ? error.message : error}`);
    } finally {
      if (this.element.dataset.loading === loading) delete this.element.dataset.loading;
    }
  }

  /** Fetch the picture that is likely to be next. @param {number} place @param {number} side */
  #ahead(place, side) {
    if (place >= (this.session.info?.count ?? 0) || this.#next.place === place) return;
    const blob = this.session.transport.picture("picture", { place, side });
    blob.catch(() => {
      if (this.#next.place === place) this.#next.place = -1;
    });
    this.#next = { place, side, blob };
  }

  #resize() {
    const { clientWidth, clientHeight } = this.element;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.view.resize(clientWidth, clientHeight);
    if (this.session.picture && !this.session.picture.error) this.moved();
    this.#draw();
  }

  #draw() {
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.view.width, this.view.height);
    const { picture, items, current } = this.session;
    if (!picture || picture.error) return;
    const { left, top, scale, columns, rows } = this.view;
    const area = /** @type {[number, number, number, number]} */ ([left, top, columns * scale, rows * scale]);
    context.imageSmoothingQuality = "high";
    context.imageSmoothingEnabled = this.#image === null || this.view.side < 3 * this.#image.width;
    if (this.#image) context.drawImage(this.#image, ...area);
    if (!this.hidden) {
      const ordered = [...items.filter((item) => item !== current), ...items.filter((item) => item === current)];
      for (const item of ordered) {
        if (!item.mask) continue;
        const { canvas, area: part } = this.#mask(item, item === current);
        context.drawImage(canvas, left + part[0] * scale, top + part[1] * scale, part[2] * scale, part[3] * scale);
      }
      for (const item of ordered) if (item !== current) this.#label(context, item);
    }
    this.#prompt(context, current);
    if (this.cursor.shown) this.#cross(context);
  }

  /** @param {import("./item.js").Item} item @param {boolean} strong */
  #mask(item, strong) {
    const limit = Math.min(4096, this.#wantedSide());
    const known = this.#painted.get(item.mask);
    if (known && known.strong === strong && known.limit === limit && known.number === item.number) return known.drawn;
    const drawn = paint(item.mask, colour(item.number), limit, strong);
    this.#painted.set(item.mask, { strong, limit, number: item.number, drawn });
    return drawn;
  }

  /** The number of an object beside those that are not worked on. @param {CanvasRenderingContext2D} context @param {import("./item.js").Item} item */
  #label(context, item) {
    if (!item.mask) return;
    const [x, y, width, height] = item.mask.bbox;
    const [left, top] = this.view.toStage((x + width / 2) / this.view.columns, (y + height / 2) / this.view.rows);
    const text = item.class ? `${item.number} ${item.class}` : String(item.number);
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const half = context.measureText(text).width / 2 + 6;
    context.fillStyle = "rgb(0 0 0 / 65%)";
    context.beginPath();
    context.roundRect(left - half, top - 10, 2 * half, 20, 10);
    context.fill();
    context.fillStyle = "white";
    context.fillText(text, left, top + 0.5);
  }

  /** @param {CanvasRenderingContext2D} context @param {import("./item.js").Item} item */
  #prompt(context, item) {
    const box = this.drawing ?? item.box;
    if (box) {
      const [left, top] = this.view.toStage(box[0], box[1]);
      const [right, bottom] = this.view.toStage(box[2], box[3]);
      const area = /** @type {[number, number, number, number]} */ ([left, top, right - left, bottom - top]);
      context.setLineDash([]);
      context.strokeStyle = "rgb(0 0 0 / 60%)";
      context.lineWidth = 3.5;
      context.strokeRect(...area);
      context.strokeStyle = "white";
      context.lineWidth = 1.5;
      if (this.drawing) context.setLineDash([6, 4]);
      context.strokeRect(...area);
      context.setLineDash([]);
    }
    item.points.forEach((point, place) => {
      const moved = this.dragging?.place === place ? this.dragging : { x: point[0], y: point[1] };
      this.#dot(context, ...this.view.toStage(moved.x, moved.y), item.labels[place] === 1);
    });
  }

  /** A point: + in the object, − beside it. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {boolean} inside */
  #dot(context, x, y, inside) {
    context.beginPath();
    context.arc(x, y, DOT + 1.5, 0, 7);
    context.fillStyle = "white";
    context.shadowColor = "rgb(0 0 0 / 60%)";
    context.shadowBlur = 4;
    context.fill();
    context.shadowBlur = 0;
    context.beginPath();
    context.arc(x, y, DOT, 0, 7);
    context.fillStyle = inside ? "#0a7d33" : "#c62828";
    context.fill();
    context.strokeStyle = "white";
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x - 3.5, y);
    context.lineTo(x + 3.5, y);
    if (inside) {
      context.moveTo(x, y - 3.5);
      context.lineTo(x, y + 3.5);
    }
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context */
  #cross(context) {
    const [x, y] = this.view.toStage(this.cursor.x, this.cursor.y);
    for (const [style, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 70%)", 4], ["white", 2]])) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 6 * right, y + 6 * down);
        context.lineTo(x + 18 * right, y + 18 * down);
      }
      context.stroke();
    }
  }
}
