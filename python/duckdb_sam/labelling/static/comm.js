import { mount } from "./core.js";
import { Lost, Refusal } from "./transport.js";

/** Requests as messages to the kernel of a notebook, by anywidget's model. */
export class CommTransport {
  patience = 4000;
  #waiting = new Map();
  #next = 0;
  #view = Math.random().toString(36).slice(2);

  /** @param {any} model */
  constructor(model) {
    this.model = model;
    this.listen = (message, buffers) => {
      const waiting = this.#waiting.get(message?.id);
      if (!waiting) return; // another view's
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting.resolve({ values: message.values, data: buffers?.[0] });
      else waiting.reject(message.refused ? new Refusal(message.error) : new Lost(message.error));
    };
    model.on("msg:custom", this.listen);
  }

  /** @param {string} request @param {object} given */
  async ask(request, given) {
    return (await this.#send(request, given)).values;
  }

  /** @param {string} request @param {object} given */
  async picture(request, given) {
    const { values, data } = await this.#send(request, given);
    return Object.assign(new Blob([data], { type: "image/jpeg" }), { version: values.version });
  }

  close() {
    this.model.off("msg:custom", this.listen);
  }

  /** @param {string} request @param {object} given @returns {Promise<{values: any, data: any}>} */
  #send(request, given) {
    const id = `${this.#view}-${(this.#next += 1)}`;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      setTimeout(() => {
        if (this.#waiting.delete(id)) reject(new Lost("The kernel does not answer: it is busy, or was restarted."));
      }, 60_000);
      this.model.send({ id, ask: request, given });
    });
  }
}

/** What anywidget calls for each view. */
function render({ model, el }) {
  const transport = new CommTransport(model);
  el.style.height = `${model.get("height")}px`;
  const unmount = mount(el, transport);
  return () => {
    unmount();
    transport.close();
  };
}

export default { render };
