import { Lost, Refusal } from "./transport.js";

/** Requests over HTTP, to where the page came from. Its address holds the token. */
export class FetchTransport {
  patience = 1500;

  /** @param {string} base the address of the page */
  constructor(base) {
    this.base = base;
  }

  /** @param {string} request @param {object} given */
  async ask(request, given) {
    const answer = await this.#send(request, given);
    const values = await this.#read(answer, () => answer.json());
    if (values.refused !== undefined) throw new Refusal(values.refused);
    return values;
  }

  /** @param {string} request @param {object} given */
  async picture(request, given) {
    const answer = await this.#send(request, given);
    if (answer.headers.get("content-type") === "image/jpeg") {
      const blob = await this.#read(answer, () => answer.blob());
      return Object.assign(blob, { version: answer.headers.get("x-version") });
    }
    throw new Refusal((await this.#read(answer, () => answer.json())).refused);
  }

  /** @param {string} request @param {object} given */
  async #send(request, given) {
    let answer;
    try {
      answer = await fetch(new URL(`ask/${request}`, this.base), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(given),
        cache: "no-store",
        signal: AbortSignal.timeout(120_000),
      });
    } catch {
      throw new Lost("The server does not answer.");
    }
    if (answer.status === 403) {
      throw new Lost("The server was started anew. Open the address that its terminal shows.", true);
    }
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    throw new Lost(said.error ?? `The server fails (${answer.status}).`);
  }

  /** @param {Response} answer @param {() => Promise<any>} read */
  async #read(answer, read) {
    try {
      return await read();
    } catch {
      throw new Lost("The answer of the server broke off.");
    }
  }
}
