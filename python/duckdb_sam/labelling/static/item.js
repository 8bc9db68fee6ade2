/**
 * An object in a picture as it is on the screen.
 *
 * @typedef {object} Prompt
 * @property {number[][]} points fractions, x first
 * @property {number[]} labels   1 in the object, 0 not
 * @property {number[] | null} box
 * @property {string | null} class
 * @property {any} mask          the record of sam_annotate
 */

/** An object: its prompt, and what is known of its row in the table. */
export class Item {
  /** @param {number} number @param {string | null} kind */
  constructor(number, kind = null) {
    this.number = number;
    /** @type {number[][]} */
    this.points = [];
    /** @type {number[]} */
    this.labels = [];
    /** @type {number[] | null} */
    this.box = null;
    this.class = kind;
    /** @type {any} */
    this.mask = null;
    /** @type {string | null} what is wrong with a prompt or mask that came from the table; it stays there until it is replaced */
    this.wrong = null;
    /** @type {string | null} of the row as this page knows it; null where there is none */
    this.changed = null;
    /** Whether the table has refused what the person did to it, so that it is to be read anew. */
    this.doubtful = false;
    /** @type {string | null} of the picture that was shown when the person did something to it last */
    this.version = null;
    /** Counts what the person does to it. */
    this.edits = 0;
    /** Whether it has been taken away. */
    this.gone = false;
  }

  /** @param {any} row */
  static of(row) {
    const item = new Item(row.object, row.class);
    item.points = (row.points ?? []).map((point) => [...point]);
    item.labels = row.labels ? row.labels.map(Number) : item.points.map(() => 1);
    item.box = row.box;
    item.mask = row.mask;
    item.changed = row.changed;
    item.wrong = row.wrong;
    return item;
  }

  get prompted() {
    return this.points.length > 0 || this.box !== null;
  }

  /** Whether it has, or should have, a row: a mask that came without a prompt has one too. */
  get kept() {
    return !this.gone && (this.prompted || this.mask !== null || this.wrong !== null);
  }

  /** @returns {Prompt & {gone: boolean}} */
  copy() {
    const { points, labels, box, mask, gone } = this;
    return { points: points.map((point) => [...point]), labels: [...labels], box, class: this.class, mask, gone };
  }

  /** @param {Prompt & {gone: boolean}} given */
  restore(given) {
    Object.assign(this, given, { points: given.points.map((point) => [...point]), labels: [...given.labels] });
  }
}
