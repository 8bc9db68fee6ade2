"""What a job was asked for, kept beside its rows: rows of two jobs never get mixed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from duckdb_sam.jobs.errors import JobError

_FORMAT = 1

TYPES = "types"
"""What the columns of the key, and those that are kept, hold."""

RELATIVE = "paths_relative_to"
"""The folder from which paths of images were given."""

Record = dict[str, Any]
"""As JSON; ``duckdb_sam`` is the version of the format, ``id`` another in every job."""


def record(model: Mapping[str, Any], options: Mapping[str, Any]) -> Record:
    """Return the record of a job: the model by its digest, and all else that its results depend on."""
    asked = {name: plain(value) for name, value in options.items() if value is not None}
    return {"duckdb_sam": _FORMAT, "model": model["name"], "sha256": model["sha256"], **asked}


def plain(value: Any) -> Any:
    """Return a prompt or an option as JSON has it."""
    if hasattr(value, "tolist"):  # NumPy, PyTorch
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def dump(given: Record) -> str:
    """Return a record as text."""
    return json.dumps(given, sort_keys=True, default=repr)


def parse(text: str | bytes | None) -> Record | None:
    """Return the record in a comment or in metadata; None if it is none."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "duckdb_sam" in found else None  # pyright: ignore[reportUnknownVariableType]


def check(where: str, old: Record | None, new: Record) -> None:
    """Refuse to go on with what another call has begun."""
    changed = changes(where, old, new)
    if changed:
        raise JobError(
            f"{where} was begun with other options: {'; '.join(changed)}. Give the same ones to go on with it, another "
            "into= to keep both, or restart=True to remove its results and begin anew"
        )


def changes(where: str, old: Record | None, new: Record) -> list[str]:
    """Return in what two calls differ. Raises JobError if there was none."""
    if old is None:
        raise JobError(
            f"{where} is there already and was not written by a job of duckdb_sam.run: write into another place, or "
            "remove it"
        )
    asked = json.loads(dump(new))
    # The name says nothing that the digest does not; `id` is another each time.
    names = sorted((old.keys() | asked.keys()) - ({"id", "model"} if new.get("sha256") else {"id"}))
    changed: list[str] = []
    for name in names:
        before, now = old.get(name), asked.get(name)
        if before == now:
            continue
        if name == "sha256":
            changed.append(f"model was {old.get('model')} ({str(before)[:12]}), now {new['model']} ({str(now)[:12]})")
        elif name == RELATIVE:
            places = ["absolute" if place is None else f"relative to {place}" for place in (before, now)]
            changed.append(f"paths were {places[0]}, as seen from where the output is, now they are {places[1]}")
        else:
            changed.append(f"{name} was {before!r}, now {now!r}")
    return changed
