import { h, iconButton } from "./dom.js";
import { KEYS, Keys } from "./keys.js";
import { Panel } from "./panel.js";
import { Pointer } from "./pointer.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";

/**
 * Put the desk into an element, and return what takes it away again.
 *
 * @param {HTMLElement} root
 * @param {import("./transport.js").Transport} transport
 * @param {{begin?: number, opened?: (picture: any) => void, leaving?: boolean}} [options] the picture to begin with; who is
 *   told of others; whether the browser asks before it closes a page with work that is not saved
 */
export function mount(root, transport, { begin, opened = () => {}, leaving = false } = {}) {
  const session = new Session(transport);
  const stage = new Stage(session);
  const strip = new Strip(session);
  const panel = new Panel(session);
  const pointer = new Pointer(stage, session);

  const name = h("h1", { class: "name" });
  const position = h("span", { class: "position" });
  const saved = h("span", { class: "saved" });
  const previous = iconButton("left", "Previous picture", "Page up", () => session.next(-1));
  const next = iconButton("right", "Next picture", "Page down", () => session.next(1));
  const undo = iconButton("undo", "Undo", "Ctrl+Z", () => session.undo());
  const redo = iconButton("redo", "Redo", "Ctrl+Shift+Z", () => session.redo());
  const inside = h("button", { type: "button", "aria-pressed": "true", title: "A click is in the object (T)" }, "+ In");
  const beside = h("button", { type: "button", "aria-pressed": "false", title: "A click is beside it (T)" }, "− Out");
  const mode = (label) => {
    pointer.label = label;
    inside.setAttribute("aria-pressed", String(label === 1));
    beside.setAttribute("aria-pressed", String(label === 0));
  };
  inside.addEventListener("click", () => mode(1));
  beside.addEventListener("click", () => mode(0));
  const zoom = (factor) => () => {
    stage.view.zoom(factor);
    stage.moved();
  };
  const toolbar = h(
    "header",
    { class: "bar" },
    h("div", { class: "group" }, previous, position, next),
    name,
    h("div", { class: "group switch", role: "group", "aria-label": "What a click means" }, inside, beside),
    h("div", { class: "group" }, undo, redo),
    h(
      "div",
      { class: "group zooms" },
      iconButton("minus", "Zoom out", "−", zoom(1 / 1.4)),
      iconButton("fit", "Whole picture", "F", () => stage.fit()),
      iconButton("plus", "Zoom in", "+", zoom(1.4)),
    ),
    h("div", { class: "group" }, saved, iconButton("help", "Keys", "?", () => help.showModal())),
  );

  const status = h("p", { class: "unseen", role: "status" });
  const notice = h("p", { class: "notice", role: "status", hidden: true });
  const banner = h("div", { class: "banner", role: "alert", hidden: true });
  const help = h(
    "dialog",
    { class: "help", "aria-label": "Keys" },
    h("h2", {}, "Mouse and keys"),
    h("p", {}, "Click in an object; click with Shift or the right button beside it; drag a box. Drag a point to move it, "
      + "click on it to take it away. On a touch screen, press long for a point beside the object, and use two fingers "
      + "to zoom."),
    h("dl", {}, ...KEYS.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)])),
    h("form", { method: "dialog" }, h("button", { autofocus: true }, "Close")),
  );

  const say = (text) => {
    status.textContent = text;
  };
  let fading = 0;
  session.on("notice", (text) => {
    notice.textContent = text;
    notice.hidden = false;
    clearTimeout(fading);
    fading = setTimeout(() => {
      notice.hidden = true;
    }, 6000);
  });
  session.on("opened", (picture) => {
    name.textContent = picture.name;
    name.title = picture.name;
    position.textContent = `${picture.place + 1} / ${session.info?.count}`;
    previous.disabled = picture.place === 0;
    next.disabled = picture.place + 1 === session.info?.count;
    opened(picture);
  });
  session.on("objects", () => {
    undo.disabled = !session.canUndo;
    redo.disabled = !session.canRedo;
  });
  session.on("answered", (item) => {
    if (!item.mask || !session.picture) return;
    const part = (100 * item.mask.area) / (session.picture.width * session.picture.height);
    say(`Object ${item.number}: mask of ${part.toFixed(1)} % of the picture.`);
    saved.title = `The latest mask took ${Math.round(session.times.at(-1) ?? 0)} ms`;
  });
  session.on("state", () => {
    const { saving, lost } = session;
    saved.textContent = lost ? "Not saved" : saving.status === "saving" ? "Saving…" : "Saved";
    saved.classList.toggle("bad", Boolean(lost));
    banner.hidden = !lost;
    if (!lost) return;
    const count = saving.waiting;
    const kept = count
      ? ` ${count === 1 ? "A change is" : `${count} changes are`} not saved yet. Leave this open: it is tried again and again.`
      : "";
    const again = h("button", { type: "button", onclick: retry }, "Try now");
    if (banner.firstChild?.textContent !== lost + kept) banner.replaceChildren(h("span", {}, lost + kept), again);
  });

  new Keys(root, stage, session, {
    help: () => help.showModal(),
    say,
    mode: () => mode(1 - pointer.label),
  });

  root.classList.add("duckdb-sam");
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's keys are not meant here
  const desk = h("div", { class: "desk" }, banner, toolbar, stage.element, panel.element, strip.element, notice, status, help);
  root.replaceChildren(desk);
  desk.session = session;
  desk.stage = stage;

  async function start() {
    try {
      await session.start(begin);
      if (session.info?.count === 0) name.textContent = `${session.info.title} has no pictures`;
      session.lost = "";
      if (leaving) stage.element.focus();
    } catch (error) {
      session.lost = error instanceof Error ? error.message : String(error);
    }
    session.emit("state");
  }

  async function retry() {
    if (!session.info || !session.picture) return start();
    session.saving.retry();
    await session.look();
  }

  const looking = setInterval(() => {
    if (document.hidden) return;
    if (session.picture) void session.look();
    else if (session.lost) void start();
  }, transport.patience);
  const back = () => void session.look();
  const stay = (event) => {
    if (session.saving.waiting) event.preventDefault();
  };
  window.addEventListener("focus", back);
  if (leaving) window.addEventListener("beforeunload", stay);
  void start();

  return () => {
    clearInterval(looking);
    window.removeEventListener("focus", back);
    window.removeEventListener("beforeunload", stay);
    stage.close();
    strip.close();
    root.replaceChildren();
  };
}
