"""The front end in a notebook: messages on the side of Python, and the module that notebooks get in a browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import duckdb_sam
from duckdb_sam.labelling.bundle import STYLES, module, style
from duckdb_sam.labelling.server import STATIC
from labels import con as con  # fixture

STAGE = "document.querySelector('.stage')"

NOTEBOOK = """
async ([source, style]) => {
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  const listeners = new Set();
  const model = {
    get: (name) => ({ height: 600 })[name],
    on: (event, listener) => event === "msg:custom" && listeners.add(listener),
    off: (event, listener) => listeners.delete(listener),
    send: async (message) => {
      const { reply, data } = await window.kernel(message);
      const buffers = data ? [new DataView(Uint8Array.from(atob(data), (each) => each.charCodeAt(0)).buffer)] : [];
      for (const listener of listeners) listener(reply, buffers);
    },
  };
  const { default: widget } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const element = document.createElement("div");
  document.body.append(element);
  window.remove = widget.render({ model, el: element });
  window.listeners = listeners;
}
"""


class Kernel:
    """A widget, and what it sends."""

    def __init__(self, widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widget = widget
        self.sent: list[tuple[Any, Any]] = []
        monkeypatch.setattr(widget, "send", lambda content, buffers=None: self.sent.append((content, buffers)))

    def __call__(self, message: Any) -> dict[str, Any]:
        self.widget._handle_custom_msg(message, [])
        reply, buffers = self.sent.pop()
        return {"reply": reply, "data": base64.b64encode(buffers[0]).decode() if buffers else None}

    def ask(self, request: str, **given: Any) -> Any:
        return self({"id": "1", "ask": request, "given": given})


@pytest.fixture
def kernel(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    widget = duckdb_sam.label("images", con=con, classes=["cup"], height=600)
    yield Kernel(widget, monkeypatch)
    widget.close()


def test_messages(kernel: Kernel, con: duckdb.DuckDBPyConnection) -> None:
    opened = kernel.ask("open")["reply"]
    assert (opened["id"], opened["values"]["count"], opened["values"]["classes"]) == ("1", 3, ["cup"])
    given = {"key": ["coffee.jpg"], "object": 1, "points": [[0.5, 0.3]], "labels": [1], "box": None}
    assert kernel.ask("put", **given)["reply"]["values"]["object"]["mask"]["area"] > 0
    query = "SELECT sam_annotate('nano', image, points, labels, box) = mask FROM images JOIN prompts USING (name)"
    assert con.execute(query).fetchall() == [(True,)]
    assert base64.b64decode(kernel.ask("thumbnail", place=1)["data"]).startswith(b"\xff\xd8")
    assert kernel.ask("put", **{**given, "points": [[2, 2]]})["reply"]["refused"] is True
    assert kernel.widget.into == "prompts"


def test_failures_are_told_and_messages_of_others_passed_over(kernel: Kernel, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DROP TABLE prompts")
    reply = kernel.ask("state")["reply"]
    assert (reply["refused"], "prompts" in reply["error"]) == (False, True)
    for message in ("text", None, {"event": "other"}):
        kernel.widget._handle_custom_msg(message, [])
    assert kernel.sent == []


def test_two_widgets_on_one_table(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    widgets = [duckdb_sam.label("images", con=con) for _ in range(2)]
    one, two = (Kernel(widget, monkeypatch) for widget in widgets)
    one.ask("put", key=["coffee.jpg"], object=1, points=[[0.5, 0.3]], labels=[1], box=None)
    assert len(two.ask("objects", place=1)["reply"]["values"]["objects"]) == 1
    for widget in widgets:
        widget.close()
        widget.close()
    assert con.execute("SELECT count(*) FROM prompts").fetchall() == [(1,)]


def test_the_connection_is_asked_for() -> None:
    with pytest.raises(TypeError, match="con= is missing"):
        duckdb_sam.label("images")


def test_without_anywidget_the_extra_is_named(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'duckdb-sam[notebook]'")):
        duckdb_sam.label("images", con=con)


def test_the_module_has_all_files_once() -> None:
    source = module()
    assert "import " not in re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.DOTALL).replace("import(", "")
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", source, re.MULTILINE)
    assert len(names) == len(set(names))
    scripts = {path.name for path in STATIC.glob("*.js")} - {"page.js", "fetch.js"}
    assert set(re.findall(r"^// (\w+\.js)$", source, re.MULTILINE)) == scripts
    linked = re.findall(r'href="(\w+\.css)"', (STATIC / "index.html").read_text())
    assert linked == ["page.css", *STYLES]
    assert "://" not in source.replace("http://www.w3.org/2000/svg", "") + style()


def test_clicks_in_a_notebook(page: Any, kernel: Kernel, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    page.expose_function("kernel", kernel)
    page.goto("about:blank")
    page.evaluate(NOTEBOOK, [module(), style()])
    page.wait_for_selector('.stage[data-shown="0"]')
    box = page.locator(".stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("document.querySelector('.desk').session.items[0]?.mask")
    [(name, points, labels)] = con.execute("SELECT name, points, labels FROM prompts WHERE mask IS NOT NULL").fetchall()
    assert (name, labels) == ("chelsea.jpg", [1])
    assert points[0] == pytest.approx([0.5, 0.5], abs=0.01)
    page.keyboard.press("Control+z")
    page.wait_for_function("document.querySelector('.desk').session.saving.waiting === 0")
    assert con.execute("FROM prompts").fetchall() == []
    page.locator(".strip button").nth(2).click()
    page.wait_for_selector('.stage[data-shown="2"]')
    page.wait_for_function("document.querySelectorAll('.strip img[src]').length === 3")
    page.evaluate("window.remove()")
    assert page.evaluate("window.listeners.size") == 0
    assert page.locator(".desk").count() == 0
