import { h } from "./dom.js";

const WIDTH = 92;
const AT_ONCE = 2;
const PAGE = 100;
const HELD = 600;

/** The pictures side by side. Only what is seen is there: names and thumbnails are asked for when they come into view. */
export class Strip {
  /** @type {Map<number, any>} buttons by place */
  #shown = new Map();
  /** @type {Map<number, {name: string, objects: number}>} */
  #known = new Map();
  /** @type {Set<number>} pages that were asked for */
  #pages = new Set();
  /** @type {Map<number, string | null>} addresses of thumbnails; null for what cannot be shown */
  #pictures = new Map();
  #loading = new Set();

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.list = h("ol", { class: "pictures" });
    this.done = h("span", { class: "done" });
    this.element = h("nav", { class: "strip", "aria-label": "Pictures" }, this.list);
    this.element.addEventListener("scroll", () => this.#show(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.#pressed(event));
    this.observer = new ResizeObserver(() => this.#show());
    this.observer.observe(this.element);
    session.on("opening", (place) => this.#mark(place));
    session.on("opened", (picture) => this.#mark(picture.place));
    session.on("count", ({ place, objects }) => this.#count(place, objects));
    session.on("listed", () => this.#refresh());
    session.on("changed", (place) => this.#forget(place));
  }

  close() {
    this.observer.disconnect();
    for (const address of this.#pictures.values()) if (address) URL.revokeObjectURL(address);
  }

  get #places() {
    return this.session.info?.count ?? 0;
  }

  /** @param {number} place the picture that is shown */
  #mark(place) {
    this.current = place;
    this.list.style.width = `${this.#places * WIDTH}px`;
    const { clientWidth, scrollLeft } = this.element;
    const left = place * WIDTH;
    if (left < scrollLeft + WIDTH || left + 2 * WIDTH > scrollLeft + clientWidth) {
      this.element.scrollLeft = left - (clientWidth - WIDTH) / 2;
    }
    this.#show();
    for (const [at, item] of this.#shown) this.#state(at, item.firstChild);
  }

  /** @param {number} place @param {HTMLElement} button */
  #state(place, button) {
    const here = place === this.current;
    if (here) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    button.tabIndex = here ? 0 : -1;
  }

  #show() {
    const { clientWidth, scrollLeft } = this.element;
    const begin = Math.max(0, Math.floor(scrollLeft / WIDTH) - 2);
    const end = Math.min(this.#places, Math.ceil((scrollLeft + clientWidth) / WIDTH) + 2);
    for (const [place, item] of this.#shown) {
      if ((place < begin || place >= end) && !item.contains(document.activeElement)) {
        item.remove();
        this.#shown.delete(place);
      }
    }
    for (let place = begin; place < end; place += 1) {
      if (!this.#shown.has(place)) this.#add(place);
      void this.#names(Math.floor(place / PAGE));
    }
    this.#load();
  }

  /** @param {number} place */
  #add(place) {
    const image = h("img", { alt: "", width: WIDTH - 12, height: 60, draggable: "false" });
    const button = h(
      "button",
      { type: "button", onclick: () => this.session.open(place) },
      image,
      h("span", { class: "name" }),
      h("span", { class: "count", hidden: true }),
    );
    const item = h("li", { "aria-setsize": this.#places, "aria-posinset": place + 1 }, button);
    item.style.left = `${place * WIDTH}px`;
    this.#state(place, button);
    const after = [...this.#shown.keys()].filter((other) => other > place).sort((one, other) => one - other)[0];
    this.list.insertBefore(item, after === undefined ? null : this.#shown.get(after));
    this.#shown.set(place, item);
    this.#name(place);
    this.#picture(place);
  }

  /** @param {number} place */
  #name(place) {
    const item = this.#shown.get(place);
    if (!item) return;
    const known = this.#known.get(place);
    const name = known?.name ?? `${place + 1}`;
    const count = known?.objects ?? 0;
    const button = item.firstChild;
    const objects = count === 1 ? "1 object" : `${count} objects`;
    const broken = this.#pictures.get(place) === null ? ", cannot be shown" : "";
    button.setAttribute("aria-label", `${name}, ${place + 1} of ${this.#places}, ${objects}${broken}`);
    button.title = name;
    item.querySelector(".name").textContent = name.split(/[\\/]/).at(-1);
    item.querySelector(".count").textContent = String(count);
    item.querySelector(".count").hidden = !count;
  }

  /** @param {number} place */
  #picture(place) {
    const item = this.#shown.get(place);
    const address = this.#pictures.get(place);
    if (!item || address === undefined) return;
    item.firstChild.classList.toggle("broken", address === null);
    if (address) item.querySelector("img").src = address;
    this.#name(place);
  }

  /** @param {number} page */
  async #names(page) {
    if (this.#pages.has(page)) return;
    this.#pages.add(page);
    try {
      const found = await this.session.transport.ask("list", { from: page * PAGE, count: PAGE });
      found.pictures.forEach((picture, index) => {
        this.#known.set(found.from + index, picture);
        this.#name(found.from + index);
      });
    } catch {
      this.#pages.delete(page);
    }
  }

  /** Ask for the thumbnails that are seen, from the middle outwards, a few at a time: clicks are not to wait for them. */
  #load() {
    const { clientWidth, scrollLeft } = this.element;
    const middle = (scrollLeft + clientWidth / 2) / WIDTH;
    const lacking = [...this.#shown.keys()].filter((place) => !this.#pictures.has(place) && !this.#loading.has(place));
    lacking.sort((one, other) => Math.abs(one - middle) - Math.abs(other - middle));
    for (const place of lacking.slice(0, AT_ONCE - this.#loading.size)) void this.#fetch(place);
  }

  /** @param {number} place */
  async #fetch(place) {
    this.#loading.add(place);
    /** @type {string | null} */
    let address = null;
    try {
      address = URL.createObjectURL(await this.session.transport.picture("thumbnail", { place }));
    } catch (error) {
      if (error instanceof Error && "forGood" in error) {
        setTimeout(() => {
          this.#loading.delete(place);
          this.#load();
        }, 2000);
        return;
      }
    }
    this.#loading.delete(place);
    this.#pictures.set(place, address);
    this.#picture(place);
    for (const [other, old] of this.#pictures) {
      if (this.#pictures.size <= HELD) break;
      if (this.#shown.has(other)) continue;
      if (old) URL.revokeObjectURL(old);
      this.#pictures.delete(other);
    }
    this.#load();
  }

  /** Fetch a thumbnail anew. @param {number} place */
  #forget(place) {
    const old = this.#pictures.get(place);
    if (old) URL.revokeObjectURL(old);
    this.#pictures.delete(place);
    this.#load();
  }

  /** @param {number} place @param {number} objects */
  #count(place, objects) {
    const known = this.#known.get(place);
    if (known) known.objects = objects;
    this.#name(place);
  }

  #refresh() {
    this.#pages.clear();
    this.#show();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    const focused = [...this.#shown].find(([, item]) => item.contains(document.activeElement));
    if (!focused) return;
    const place = Math.min(this.#places - 1, Math.max(0, focused[0] + steps[event.key]));
    event.preventDefault();
    event.stopPropagation();
    const left = place * WIDTH;
    const { clientWidth, scrollLeft } = this.element;
    if (left < scrollLeft || left + WIDTH > scrollLeft + clientWidth) this.element.scrollLeft = left - clientWidth / 2;
    this.#show();
    this.#shown.get(place)?.firstChild.focus({ preventScroll: true });
    this.#show();
  }
}
