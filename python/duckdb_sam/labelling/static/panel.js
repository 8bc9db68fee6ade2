import { h, icon } from "./dom.js";
import { colour } from "./paint.js";

/** The objects of the picture, and the class of the one that is worked on. */
export class Panel {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.list = h("ul", { class: "objects" });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Class of the object" });
    this.input = h("input", { type: "text", placeholder: "New class", "aria-label": "New class", maxlength: "200" });
    const form = h("form", { class: "new-class" }, this.input, h("button", { type: "submit" }, "Add"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.input.value.trim();
      if (name) session.setClass(name);
      this.input.value = "";
    });
    const fresh = h("button", { type: "button", class: "new", title: "New object (N)", onclick: () => session.newObject() });
    fresh.append(icon("plus"), "New object");
    this.element = h(
      "section",
      { class: "panel", "aria-label": "Objects" },
      h("div", { class: "head" }, h("h2", {}, "Objects"), fresh),
      this.list,
      h("div", { class: "classes" }, h("h2", {}, "Class"), this.chips, form),
    );
    session.on("objects", () => this.#objects());
    session.on("classes", () => this.#classes());
  }

  #objects() {
    const { items, current } = this.session;
    const focused = this.list.contains(document.activeElement);
    const shown = items.includes(current) ? items : [...items, current];
    this.list.replaceChildren(...shown.map((item) => this.#row(item, item === current, items.includes(item))));
    if (focused) this.list.querySelector('[aria-pressed="true"]')?.focus();
    this.list.querySelector('[aria-pressed="true"]')?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    this.#classes();
  }

  /** @param {import("./item.js").Item} item @param {boolean} here @param {boolean} there */
  #row(item, here, there) {
    const name = item.class ?? "object";
    const score = item.mask?.predicted_iou;
    const told = item.wrong && !item.prompted ? "cannot be shown" : !there ? "click on it" : score === undefined || score === null ? "" : `${Math.round(score * 100)} %`;
    const swatch = h("span", { class: "swatch", "aria-hidden": true });
    swatch.style.background = `rgb(${colour(item.number).join(" ")})`;
    const pick = h(
      "button",
      { type: "button", class: "pick", "aria-pressed": String(here), onclick: () => this.session.select(item) },
      swatch,
      h("span", { class: "number" }, String(item.number)),
      h("span", { class: "kind" }, name),
      h("span", { class: "score", title: item.wrong ?? "How good the model believes the mask to be" }, told),
    );
    const remove = h("button", {
      type: "button", class: "icon", "aria-label": `Delete object ${item.number}`, title: "Delete (Delete)",
      onclick: () => this.session.remove(item),
    });
    remove.append(icon("bin"));
    return h("li", {}, pick, there ? remove : null);
  }

  #classes() {
    const { classes, current } = this.session;
    const focused = this.chips.contains(document.activeElement)
      ? /** @type {HTMLElement} */ (document.activeElement).dataset.name
      : undefined;
    const chip = (name, text, key) =>
      h(
        "button",
        {
          type: "button", class: "chip", "aria-pressed": String(current.class === name), "data-name": name ?? "",
          title: key ? `${text} (${key})` : text, onclick: () => this.session.setClass(name),
        },
        text,
        key ? h("kbd", { "aria-hidden": true }, key) : null,
      );
    this.chips.replaceChildren(
      ...classes.map((name, place) => chip(name, name, place < 9 ? String(place + 1) : "")),
      classes.length ? chip(null, "none", "0") : h("span", { class: "hint" }, "Names are optional."),
    );
    if (focused !== undefined) {
      [...this.chips.children].find((each) => each.dataset.name === focused)?.focus();
    }
  }
}
