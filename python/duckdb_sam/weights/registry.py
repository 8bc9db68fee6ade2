"""The models that can be pulled, and which of them are here.

Sizes and digests in ``registry.json`` are those on which public projects that pin these files agree independently
(micro-sam's pooch registry among them). A file of which no digest is known has ``null`` there, and is checked by
loading it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

REGISTRY = files("duckdb_sam.weights").joinpath("registry.json")

_FOLDER_VARIABLE = "SAM_MODEL_DIR"


@dataclasses.dataclass(frozen=True)
class Model:
    """Published weights, and what of them is in the model folder.

    [small] = [model for model in duckdb_sam.models() if model.name == "mobile_sam"]
    small.path or duckdb_sam.pull(small.name)
    """

    name: str
    """What ``pull`` and the ``sam_`` functions call it."""
    family: str
    description: str
    architecture: str
    """Its encoder, as ``sam_load`` says it."""
    file: str
    """The name under which it is published, and looked for at a mirror."""
    bytes: int | None
    """Its size; None if that is not known."""
    sha256: str | None
    """Its digest in lower-case hex; None if that is not known."""
    license: str
    """Identifier of SPDX."""
    home: str
    urls: tuple[str, ...]
    """Where it is published; tried in this order."""
    path: Path | None = None
    """The file in the model folder; None if it is not there."""
    partial: int = 0
    """Bytes of an interrupted download, with which the next one begins."""

    @property
    def saved_as(self) -> str:
        """Its name in the model folder: what it is called in SQL, with the ending of the published file."""
        return self.name + Path(self.file).suffix

    @property
    def check(self) -> str:
        """How a download is checked: by 'sha256', or by the 'architecture' that the extension finds in it."""
        return "sha256" if self.sha256 else "architecture"


def models(folder: str | Path | None = None) -> list[Model]:
    """Return the models that can be pulled, each with its ``path`` if it is in the model folder.

    ``folder`` is the model folder: by default the environment variable ``SAM_MODEL_DIR``, else
    ``~/.duckdb/sam/models``. Other files in it are listed by ``FROM sam_models()``.
    """
    where = model_folder(folder)
    found: list[Model] = []
    for model in _read():
        path = where / model.saved_as
        part = part_of(path)
        found.append(
            dataclasses.replace(
                model,
                path=path if path.is_file() else None,
                partial=part.stat().st_size if part.is_file() else 0,
            )
        )
    return found


def find(name: str) -> Model:
    """Return the model called ``name``; a ValueError lists the names if there is none."""
    known = {model.name: model for model in _read()}
    if model := known.get(name):
        return model
    if name == "nano":
        raise ValueError("nano is built into the extension: name it in a query, there is nothing to pull")
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? The" if close else "the"
    raise ValueError(
        f"there is no model {name!r} to pull; {hint} names are {', '.join(known)}. For weights of your own, give "
        f"their path to the sam_ functions, or put them into {model_folder(None)}"
    )


def model_folder(folder: str | Path | None) -> Path:
    """Return ``folder``, or else the one in which the extension looks for models."""
    return Path(folder or os.environ.get(_FOLDER_VARIABLE) or "~/.duckdb/sam/models").expanduser()


def part_of(path: Path) -> Path:
    """Return the file that holds the beginning of ``path`` while it is downloaded."""
    # The extension takes no file with this ending for a model that can be named.
    return path.with_name(path.name + ".part")


def _read() -> list[Model]:
    rows: list[dict[str, Any]] = json.loads(REGISTRY.read_text(encoding="utf-8"))
    for row in rows:
        row["urls"] = tuple(row["urls"])
    return [Model(**row) for row in rows]
