"""The front end in a notebook: requests come as messages, and are answered as messages."""

from __future__ import annotations

from typing import Any

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError("label in a notebook needs anywidget: pip install 'duckdb-sam[notebook]'") from error

from duckdb_sam.labelling.bundle import module, style
from duckdb_sam.labelling.desk import Desk
from duckdb_sam.labelling.errors import Gone, Refused


class Label(anywidget.AnyWidget):
    """Shows pictures to click on. What it writes is in the table at once; closing it loses nothing."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(640, help="Height in pixels.").tag(sync=True)

    def __init__(self, desk: Desk, **traits: Any) -> None:
        super().__init__(_esm=module(), _css=style(), **traits)
        self._desk = desk
        self.on_msg(self._answer)  # pyright: ignore[reportUnknownMemberType]

    @property
    def into(self) -> str:
        """The table of prompts."""
        return self._desk.store.into

    def _answer(self, _widget: Any, message: Any, _buffers: Any) -> None:
        if not isinstance(message, dict) or "id" not in message:
            return
        reply: dict[str, Any] = {"id": message["id"]}  # pyright: ignore[reportUnknownVariableType]
        data: bytes | None = None
        try:
            values, data = self._desk.ask(str(message.get("ask")), dict(message.get("given") or {}))  # pyright: ignore
            reply["values"] = values
        except Refused as error:
            reply |= {"error": str(error), "refused": True}
        except Gone as error:
            reply |= {"error": str(error), "refused": False}
        except Exception as error:
            reply |= {"error": f"{type(error).__name__}: {error}", "refused": False}
        self.send(reply, [data] if data is not None else None)  # pyright: ignore[reportUnknownMemberType]

    def close(self) -> None:
        """Close the widget, and what it has open; the connection that was given stays."""
        super().close()
        desk = getattr(self, "_desk", None)
        if desk is not None:
            desk.close()
