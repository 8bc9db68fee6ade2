import { Events } from "./dom.js";
import { Lost } from "./transport.js";

const WAIT = [500, 1000, 2000, 4000];

/**
 * Sends what was changed, one request at a time, the latest state of an object only. What cannot be sent is kept and
 * sent again.
 *
 * Events: `saved` {item, reply, latest}, `refused` {item, message}, `status` ("saved", "saving" or "lost").
 */
export class Saving extends Events {
  /** @type {Map<import("./item.js").Item, string[]>} changed objects, and the keys of their pictures */
  #changed = new Map();
  #working = false;
  #failures = 0;
  #wake = () => {};
  status = "saved";
  message = "";
  forGood = false;

  /** @param {import("./transport.js").Transport} transport */
  constructor(transport) {
    super();
    this.transport = transport;
  }

  /** Objects that are not saved. */
  get waiting() {
    return this.#changed.size;
  }

  /** Objects of a picture that are not saved. @param {string[]} key */
  of(key) {
    const same = JSON.stringify(key);
    return [...this.#changed].filter(([, other]) => JSON.stringify(other) === same).map(([item]) => item);
  }

  /** @param {string[]} key @param {import("./item.js").Item} item */
  change(key, item) {
    item.edits += 1;
    this.#changed.set(item, key);
    if (!this.#working) void this.#work();
  }

  /** Try at once what has failed. */
  retry() {
    this.#wake();
  }

  async #work() {
    this.#working = true;
    while (this.#changed.size) {
      const [item, key] = /** @type {[import("./item.js").Item, string[]]} */ (this.#changed.entries().next().value);
      const edits = item.edits;
      if (this.status !== "lost") this.#tell("saving");
      try {
        const reply = await this.#send(key, item);
        this.#failures = 0;
        const latest = item.edits === edits;
        if (latest) this.#changed.delete(item);
        this.#tell(this.#changed.size ? "saving" : "saved");
        this.emit("saved", { item, reply, latest });
      } catch (error) {
        if (error instanceof Lost) await this.#wait(error);
        else {
          this.#changed.delete(item);
          this.#tell("saved");
          this.emit("refused", { item, message: error instanceof Error ? error.message : String(error) });
        }
      }
    }
    this.#working = false;
  }

  /** @param {string[]} key @param {import("./item.js").Item} item */
  async #send(key, item) {
    if (item.kept) {
      const { points, labels, box, changed, version } = item;
      const mask = item.prompted ? null : item.mask;
      const keep = item.wrong !== null && !item.prompted;
      const given = { keep, key, object: item.number, class: item.class, points, labels, box, mask, changed, version };
      const reply = await this.transport.ask("put", given);
      item.number = reply.object.object;
      item.changed = reply.object.changed;
      if (!keep) item.wrong = null;
      return reply;
    }
    if (item.changed === null) return null;
    const reply = await this.transport.ask("drop", { key, object: item.number, changed: item.changed });
    item.changed = null;
    return reply;
  }

  /** @param {Lost} error */
  async #wait(error) {
    this.forGood = error.forGood;
    this.message = error.message;
    this.#tell("lost");
    const wait = WAIT[Math.min(this.#failures, WAIT.length - 1)];
    this.#failures += 1;
    await new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
      setTimeout(resolve, wait);
    });
  }

  /** @param {string} status */
  #tell(status) {
    this.status = status;
    this.emit("status", status);
  }
}
