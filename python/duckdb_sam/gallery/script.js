// Masks that are singled out by pointing at them, or by their buttons and the keyboard; switches for what is drawn.
// Everything is seen without it. A notebook may run it once for each gallery: those that are ready are left alone.
(() => {
  "use strict";

  /** Single out a mask of a figure, or none of them.
   * @param {Element} figure @param {string | undefined} mask */
  function choose(figure, mask) {
    const picture = figure.querySelector(".picture");
    const said = /** @type {HTMLElement} */ (figure.querySelector(".said"));
    const chip = mask === undefined ? null : figure.querySelector(`.chip[data-mask="${mask}"]`);
    picture.classList.toggle("singled", mask !== undefined);
    for (const path of picture.querySelectorAll("path[data-mask]")) {
      path.classList.toggle("chosen", path.dataset.mask === mask);
    }
    said.textContent = chip === null ? said.dataset.said : `${chip.textContent}: ${chip.dataset.said}`;
  }

  /** The mask whose button is pressed stays singled out.
   * @param {Element} figure @returns {string | undefined} */
  function pressed(figure) {
    return figure.querySelector('.chip[aria-pressed="true"]')?.dataset.mask;
  }

  /** @param {Element} figure @param {Element | null} chip */
  function press(figure, chip) {
    for (const other of figure.querySelectorAll(".chip")) {
      const now = other === chip && other.getAttribute("aria-pressed") !== "true";
      other.setAttribute("aria-pressed", String(now));
    }
  }

  /** One button of a figure is reached by Tab, the others from it by arrows.
   * @param {KeyboardEvent} event @param {Element} figure */
  function move(event, figure) {
    const chips = [...figure.querySelectorAll(".chip")];
    const here = chips.indexOf(/** @type {Element} */ (event.target));
    const places = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: -1 };
    if (event.key === "Escape") {
      press(figure, null);
      choose(figure, undefined);
    } else if (event.key in places) {
      chips[here].tabIndex = -1;
      const next = chips.at(places[event.key] % chips.length);
      next.tabIndex = 0;
      next.focus();
      event.preventDefault();
    }
  }

  /** @param {Element} figure */
  function prepareFigure(figure) {
    const chips = figure.querySelectorAll(".chip");
    for (const each of [...chips, ...figure.querySelectorAll("path[data-mask]")]) {
      each.addEventListener("pointerenter", () => choose(figure, each.dataset.mask));
      each.addEventListener("pointerleave", () => choose(figure, pressed(figure)));
    }
    for (const chip of chips) {
      chip.addEventListener("focus", () => choose(figure, chip.dataset.mask));
      chip.addEventListener("blur", () => choose(figure, pressed(figure)));
      chip.addEventListener("click", () => press(figure, chip));
      chip.addEventListener("keydown", (event) => move(event, figure));
    }
  }

  for (const gallery of document.querySelectorAll(".duckdb-sam:not([data-ready])")) {
    gallery.dataset.ready = "";
    for (const button of gallery.querySelectorAll("[data-hides]")) {
      button.addEventListener("click", () => {
        const hidden = gallery.classList.toggle(`no-${button.dataset.hides}`);
        button.setAttribute("aria-pressed", String(!hidden));
      });
    }
    for (const picture of gallery.querySelectorAll(".picture:has(path[data-mask])")) {
      const figure = picture.closest("figure");
      if (figure.querySelector(".chip")) {
        prepareFigure(figure);
      }
    }
  }
})();
