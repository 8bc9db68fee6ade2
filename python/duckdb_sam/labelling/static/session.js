import { Events } from "./dom.js";
import { Item } from "./item.js";
import { Saving } from "./saving.js";
import { Lost } from "./transport.js";

const MOST = 1_000_000;

/**
 * What a person does with the pictures of a table, without anything that is seen.
 *
 * Events: `opening` (place), `opened`, `objects` (prompts, masks or selection), `answered` (item), `classes`, `count`
 * ({place, objects}), `notice` (text), `state` (connection), `listed` (all counts may be others), `changed` (place of a
 * picture that is another one now).
 */
export class Session extends Events {
  /** @type {{title: string, into: string, model: string, count: number, begin: number} | null} */
  info = null;
  /** @type {string[]} */
  classes = [];
  /** @type {{place: number, key: string[], name: string, width: number, height: number, error: string | null, version: string} | null} */
  picture = null;
  /** @type {Item[]} by their numbers */
  items = [];
  /** @type {Item} which clicks belong to; it may not be among the items yet */
  current = new Item(1);
  /** @type {string | null} the class that the person chose last: new objects have it */
  #chosen = null;
  /** @type {{item: Item, before: any, after: any}[]} */
  #done = [];
  /** @type {{item: Item, before: any, after: any}[]} */
  #undone = [];
  #state = "";
  #opening = 0;
  #looking = false;
  /** Milliseconds from what a person did to the mask, the latest ones. @type {number[]} */
  times = [];
  /** @type {WeakMap<Item, number>} */
  #asked = new WeakMap();
  lost = "";

  /** @param {import("./transport.js").Transport} transport */
  constructor(transport) {
    super();
    this.transport = transport;
    this.saving = new Saving(transport);
    this.saving.on("saved", (what) => this.#saved(what));
    this.saving.on("refused", ({ item, message }) => {
      this.emit("notice", `Not done: ${message}`);
      if (!this.items.includes(item) && item !== this.current && !item.gone) return;
      item.changed ??= "";
      item.doubtful = true;
      this.reload().catch((error) => this.#failed(error));
    });
    this.saving.on("status", (status) => {
      this.lost = status === "lost" ? this.saving.message : "";
      this.emit("state");
    });
  }

  /** @param {number} [place] the picture to begin with */
  async start(place) {
    const info = await this.transport.ask("open", {});
    this.info = info;
    this.#state = info.state;
    this.classes = info.classes;
    this.emit("classes");
    if (info.count) await this.open(Math.min(place ?? info.begin, info.count - 1));
    if (info.notes.length) this.emit("notice", `${info.notes.join(". ")}.`);
  }

  /**
   * Show a picture. One that cannot be read is shown as such, or passed over on the way to others.
   *
   * @param {number} place
   * @param {number} step in which direction others follow; 0 for none
   */
  async open(place, step = 0) {
    if (!this.info || place < 0 || place >= this.info.count) return;
    const ticket = (this.#opening += 1);
    this.emit("opening", place);
    let found;
    try {
      found = await this.transport.ask("objects", { place });
    } catch (error) {
      return this.#failed(error);
    }
    if (ticket !== this.#opening) return; // another one was asked for meanwhile
    this.#answers();
    if (found.error && step && place + step >= 0 && place + step < this.info.count) {
      this.emit("notice", `${found.name} is passed over: ${found.error}`);
      return this.open(place + step, step);
    }
    const same = this.picture?.place === place;
    this.picture = found;
    this.#take(found, same);
    this.emit("opened", found);
    this.emit("objects");
  }

  /** @param {number} step */
  next(step = 1) {
    if (this.picture) return this.open(this.picture.place + step, step);
  }

  /** Read the objects of the picture anew. @returns {Promise<boolean>} whether they are others */
  async reload() {
    const { place } = this.picture ?? {};
    const found = await this.transport.ask("objects", { place, again: true });
    if (this.picture?.place !== place || this.saving.waiting) return false;
    if (found.version !== this.picture?.version) return this.anew();
    const shown = this.items.map((item) => [item.number, item.doubtful ? null : item.changed]);
    const same = JSON.stringify(shown) === JSON.stringify(found.objects.map((row) => [row.object, row.changed]));
    if (same) this.#state = found.state;
    else this.#take(found, true);
    this.emit("objects");
    this.emit("listed");
    return !same;
  }

  /** Show the picture as it is now: it has changed in the table. @returns {Promise<boolean>} */
  async anew() {
    const { place } = /** @type {any} */ (this.picture);
    this.emit("changed", place);
    await this.open(place);
    this.emit("listed");
    const wrong = this.picture?.place === place && this.picture?.error;
    if (wrong) this.emit("notice", `The picture can no longer be shown: ${wrong}.`);
    else this.emit("notice", "The picture has changed in the table: this is how it is now. Masks of the one before are not shown.");
    return false;
  }

  /** Look whether somebody else has changed something. */
  async look() {
    if (this.saving.waiting || !this.picture || this.#looking) return;
    this.#looking = true;
    try {
      const { place, version } = this.picture;
      const { state, version: now } = await this.transport.ask("state", { place });
      this.#answers();
      if (this.picture?.place !== place) return;
      if (now !== version && this.picture.version === version && !this.saving.waiting) {
        await this.anew();
        return;
      }
      if (state === this.#state || this.saving.waiting) return;
      if (await this.reload()) this.emit("notice", "Changed elsewhere: this is how it is now.");
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#looking = false;
    }
  }

  // What a person does.

  /** @param {number} x @param {number} y @param {number} label */
  addPoint(x, y, label) {
    this.#edit((item) => {
      item.points.push([x, y]);
      item.labels.push(label);
    });
  }

  /** @param {number} place @param {number} x @param {number} y */
  movePoint(place, x, y) {
    this.#edit((item) => {
      item.points[place] = [x, y];
    });
  }

  /** @param {number} place */
  removePoint(place) {
    this.#edit((item) => {
      item.points.splice(place, 1);
      item.labels.splice(place, 1);
    });
  }

  /** @param {number[] | null} box */
  setBox(box) {
    this.#edit((item) => {
      item.box = box;
    });
  }

  /** @param {string | null} name */
  setClass(name) {
    this.#chosen = name;
    if (name && !this.classes.includes(name)) {
      this.classes = [...this.classes, name];
      this.emit("classes");
    }
    if (this.items.includes(this.current)) {
      this.#edit((item) => {
        item.class = name;
      });
    } else {
      this.current.class = name;
      this.emit("objects");
    }
  }

  remove(item = this.current) {
    if (!this.items.includes(item)) return;
    this.#edit((given) => {
      given.gone = true;
    }, item);
  }

  newObject() {
    this.current = this.#fresh();
    this.emit("objects");
  }

  /** @param {Item} item */
  select(item) {
    this.current = item;
    this.emit("objects");
  }

  /** Select the next object, or the one before. @param {number} step */
  turn(step) {
    if (!this.items.length) return;
    const at = this.items.indexOf(this.current);
    const place = at < 0 ? (step > 0 ? 0 : this.items.length - 1) : at + step;
    this.select(this.items[(place + this.items.length) % this.items.length]);
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  undo() {
    this.#repeat(this.#done, this.#undone, "before");
  }

  redo() {
    this.#repeat(this.#undone, this.#done, "after");
  }

  // How it is kept.

  /** @param {(item: Item) => void} change @param {Item} item */
  #edit(change, item = this.current) {
    if (!this.picture || this.picture.error) return;
    const before = item.copy();
    change(item);
    if (!item.prompted && before.mask && (before.points.length || before.box)) item.mask = null;
    this.#done.push({ item, before, after: item.copy() });
    this.#undone.length = 0;
    this.#touched(item);
  }

  /** @param {any[]} from @param {any[]} to @param {"before" | "after"} which */
  #repeat(from, to, which) {
    const step = from.pop();
    if (!step) return;
    step[which === "before" ? "after" : "before"].mask = step.item.mask;
    step.item.restore(step[which]);
    to.push(step);
    if (!step.item.gone) this.current = step.item;
    this.#touched(step.item);
  }

  /** @param {Item} item */
  #touched(item) {
    if (item.kept) {
      if (!this.items.includes(item)) {
        if (this.items.some((other) => other.number === item.number)) item.number = this.#free();
        this.items = [...this.items, item].sort((one, other) => one.number - other.number);
      }
    } else {
      this.items = this.items.filter((other) => other !== item);
      if (item.gone && this.current === item) this.current = this.#fresh();
    }
    this.#asked.set(item, performance.now());
    item.version = this.picture?.version ?? null;
    this.saving.change(/** @type {any} */ (this.picture).key, item);
    this.#counted();
    this.emit("objects");
  }

  /** @param {{item: Item, reply: any, latest: boolean}} what */
  #saved({ item, reply, latest }) {
    if (!reply) return;
    if (reply.object && latest) {
      item.mask = reply.object.mask;
      this.times = [...this.times.slice(-99), performance.now() - (this.#asked.get(item) ?? 0)];
    }
    if (reply.other) this.emit("notice", "Somebody else had changed this object meanwhile; your version is kept.");
    const shown = this.items.includes(item);
    if (reply.before === this.#state) this.#state = reply.state;
    if (shown) {
      this.items = [...this.items].sort((one, other) => one.number - other.number);
      this.emit("answered", item);
      this.emit("objects");
    }
  }

  /** @param {any} found @param {boolean} same whether it is the picture that was shown before */
  #take(found, same) {
    const number = this.items.includes(this.current) && same ? this.current.number : -1;
    this.#state = found.state;
    const unsaved = this.saving.of(found.key);
    const stored = found.objects.map(Item.of).filter((row) => !unsaved.some((item) => item.number === row.number));
    this.items = [...stored, ...unsaved.filter((item) => item.kept)].sort((one, other) => one.number - other.number);
    this.#done.length = 0;
    this.#undone.length = 0;
    const again = this.items.find((item) => item.number === number);
    this.current = again ?? this.#fresh();
    this.#counted();
    if (found.notice) this.emit("notice", found.notice);
  }

  #fresh() {
    return new Item(this.#free(), this.#chosen);
  }

  /** The number after the highest one, or the first that is free where others have numbered by rules of their own. */
  #free() {
    const taken = new Set(this.items.map((item) => item.number));
    let number = Math.max(0, ...taken) + 1;
    if (number > MOST) for (number = 1; taken.has(number); ) number += 1;
    return number;
  }

  #counted() {
    if (this.picture) this.emit("count", { place: this.picture.place, objects: this.items.length });
  }

  #answers() {
    if (this.lost && this.saving.status !== "lost") {
      this.lost = "";
      this.emit("state");
    } else if (this.lost) this.saving.retry();
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof Lost) {
      this.lost = error.message;
      this.emit("state");
    } else this.emit("notice", error instanceof Error ? error.message : String(error));
  }
}
