"""What is done with a batch: rows in, results and errors out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from duckdb_sam.engine import Engine
from duckdb_sam.optional import needed
from duckdb_sam.prompts import BoxFormat, Unit
from duckdb_sam.segmenter import Segmenter

_REASON, _PATH = "reason", "path"


class Columns:
    """Which columns of the source are read, and which come out."""

    def __init__(
        self,
        schema: Any,
        keys: list[str],
        image: str,
        prompts: Sequence[str],
        keep: Sequence[str] | bool,
        mask: str,
    ) -> None:
        names: list[str] = schema.names
        if isinstance(keep, str):
            raise TypeError(f"keep is a list of columns: [{keep!r}]")
        others = [name for name in names if name != image]
        kept = list(keep) if not isinstance(keep, bool) else others if keep else []
        for what, some in (("keep", kept), ("a prompt", prompts)):
            for name in some:
                if name not in names:
                    raise ValueError(f"{what}: the source has no column {name!r}; its columns are {', '.join(names)}")
        self.schema, self.keys, self.image, self.mask = schema, keys, image, mask
        self.kept = list(dict.fromkeys(name for name in kept if name not in keys))
        self.read = list(dict.fromkeys([*keys, image, *prompts, *self.kept]))
        for name in (mask, f"{mask}_error"):
            if name in self.read:
                raise ValueError(f"the source has a column {name!r} already: name that of the masks with mask='...'")
        for name in (_REASON, _PATH):
            if name in keys and name != image:
                raise ValueError(f"the errors have a column {name!r}, so that a column of the key cannot be called so")


class Work:
    """Segments batches; to be used in a ``with`` statement."""

    def __init__(
        self,
        model: str | os.PathLike[str],
        columns: Columns,
        prompts: Mapping[str, Any],
        options: Mapping[str, float] | None,
        unit: Unit,
        box_format: BoxFormat,
        threads: int | None,
        settings: Mapping[str, Any] | None,
    ) -> None:
        self._columns = columns
        self._segmenter = Segmenter(model, threads, on_error="null", settings=settings)
        self._call: dict[str, Any] = {**prompts, "generate": False if options is None else options}
        self._call |= {"unit": unit, "box_format": box_format, "into": columns.mask}
        self._engine = Engine(settings)

    def __enter__(self) -> Work:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._segmenter.close()
        self._engine.close()

    def model(self) -> Mapping[str, Any]:
        """Return what the model says about itself."""
        return self._engine.value("sam_model_info(?)", self._segmenter.model)

    def precision(self) -> str:
        """Return the setting that changes masks by a pixel here and there."""
        return self._engine.value("(SELECT value FROM sam_configure() WHERE setting = 'encoder_precision')")

    def schemas(self) -> tuple[Any, Any]:
        """Return the Arrow schemas of results and errors. The model is loaded, and the prompts are checked."""
        pa = needed("pyarrow", "jobs", "run")
        columns = [self._columns.schema.field(name) for name in self._columns.read]
        rows, failures = self.run(pa.schema(columns).empty_table())
        return rows.schema, failures.schema

    def run(self, table: Any) -> tuple[Any, Any]:
        """Return the rows that have a result, and those that failed with their reason."""
        pa = needed("pyarrow", "jobs", "run")
        compute = needed("pyarrow.compute", "jobs", "run")
        columns = self._columns
        result = self._segmenter.batch(table, columns.image, **self._call)
        reason = result[f"{columns.mask}_error"]
        good = compute.is_null(reason)
        rows = result.select([*columns.keys, *columns.kept, columns.mask]).filter(good)
        bad = compute.invert(good)
        failed = result.select(columns.keys).filter(bad)
        if _PATH not in columns.keys:
            paths = _paths(pa, compute, result[columns.image].filter(bad))
            failed = failed.append_column(_PATH, paths)
        failed = failed.append_column(_REASON, reason.filter(bad))
        return rows.replace_schema_metadata(None), failed.replace_schema_metadata(None)


def _paths(pa: Any, compute: Any, images: Any) -> Any:
    """Return where the images come from, as far as it is known."""
    kind = images.type
    if pa.types.is_struct(kind) and "path" in [field.name for field in kind]:
        images = compute.struct_field(images, "path")
    if pa.types.is_string(images.type) or pa.types.is_large_string(images.type):
        return images.cast(pa.string())
    return pa.chunked_array([pa.nulls(len(images), pa.string())])
