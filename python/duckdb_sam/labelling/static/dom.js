/**
 * Make an element. Texts become text nodes, never HTML.
 *
 * @param {string} tag
 * @param {Record<string, any>} [given] attributes; `on...` are listeners, `class` and others as in HTML
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SHAPES = {
  undo: "M7 5 3 9l4 4M3 9h8a5 5 0 0 1 0 10H7",
  redo: "M13 5l4 4-4 4M17 9H9a5 5 0 0 0 0 10h4",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
  left: "M12 4l-6 6 6 6",
  right: "M8 4l6 6-6 6",
  bin: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  help: "M7.5 7.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M10 14.6v.1",
  eye: "M2 10s3-5 8-5 8 5 8 5-3 5-8 5-8-5-8-5ZM10 12a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
};

/** @param {keyof typeof SHAPES} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with an icon; its name is read out, and shown with its key when the mouse rests on it.
 *
 * @param {keyof typeof SHAPES} shape
 * @param {string} name
 * @param {string} key
 * @param {() => void} onclick
 */
export function iconButton(shape, name, key, onclick) {
  const title = key ? `${name} (${key})` : name;
  return h("button", { type: "button", class: "icon", "aria-label": name, title, onclick }, icon(shape));
}

/** Listeners by the names of events. */
export class Events {
  #listeners = new Map();

  /** @param {string} event @param {(value?: any) => void} listener */
  on(event, listener) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  /** @param {string} event @param {any} [value] */
  emit(event, value) {
    for (const listener of this.#listeners.get(event) ?? []) listener(value);
  }
}
