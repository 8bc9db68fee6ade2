import { mount } from "./core.js";
import { FetchTransport } from "./fetch.js";

/** The page: one desk fills the window. The picture that is shown stands behind # in the address. */
const root = /** @type {HTMLElement} */ (document.getElementById("desk"));
const begin = Number.parseInt(location.hash.slice(1), 10);
mount(root, new FetchTransport(location.href.split("#")[0]), {
  begin: Number.isInteger(begin) ? begin - 1 : undefined,
  opened: (picture) => {
    history.replaceState(null, "", `#${picture.place + 1}`);
    document.title = `${picture.name} · duckdb-sam`;
  },
  leaving: true,
});
