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
        self._check_names()
        for name in [*keys, *self.kept]:
            _check_type(name, schema.field(name))

    def _check_names(self) -> None:
        """Refuse names that are one to DuckDB, which would call the second ``name_1``."""
        given = [_folded(name) for name in self.schema.names]
        for name in self.read:
            if given.count(_folded(name)) > 1:
                same = [each for each in self.schema.names if _folded(each) == _folded(name)]
                raise ValueError(f"the source has several columns named {' and '.join(map(repr, same))}: rename them")
        for name in self.read:
            if _folded(name) in (_folded(self.mask), _folded(f"{self.mask}_error")):
                raise ValueError(f"the source has a column {name!r} already: name that of the masks with mask='...'")
        for name in self.keys:
            if _folded(name) == _REASON:
                raise ValueError(f"the errors have a column 'reason': rename {name!r} of the key in the source")

    @property
    def has_path(self) -> bool:
        """Whether a column of the key is named as that of the paths in the errors, and stands for it."""
        return _PATH in map(_folded, self.keys)


def _folded(name: str) -> str:
    """Return a name as DuckDB compares it: upper and lower case of ASCII are the same."""
    return name.encode(errors="surrogateescape").lower().decode(errors="surrogateescape")


def _check_type(name: str, field: Any) -> None:
    """Refuse a column that Arrow cannot cut into results and errors."""
    pa = needed("pyarrow", "jobs", "run")
    try:
        pa.schema([field]).empty_table().filter(pa.array([], pa.bool_()))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise TypeError(
            f"the column {name!r} holds {field.type}, which Arrow cannot filter: cast it in the source, or leave it out"
        ) from None


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
        if not columns.has_path:
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
