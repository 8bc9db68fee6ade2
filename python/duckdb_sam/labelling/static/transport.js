/**
 * How requests reach the desk. There are two: HTTP (fetch.js) for the page, messages (comm.js) for the notebook.
 *
 * @typedef {object} Transport
 * @property {(request: string, given: object) => Promise<any>} ask        answers with values
 * @property {(request: string, given: object) => Promise<Blob>} picture  answers with a JPEG, and as
 *   its `version` which picture it is of
 * @property {number} patience                                            milliseconds between looks for changes
 */

/** The desk says no, and would say it again. */
export class Refusal extends Error {}

/** No answer: the request may be sent again. */
export class Lost extends Error {
  /**
   * @param {string} message
   * @param {boolean} forGood whether it is of no use to go on trying
   */
  constructor(message, forGood = false) {
    super(message);
    this.forGood = forGood;
  }
}
