"""Parquet files that are written one by one and read as one table.

A file gets its name when it is whole and on the disk. Files are joined into a larger one that lists what it is made of:
if the process ends before these are removed, they are when the files are looked at next.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import uuid
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from duckdb_sam.jobs.errors import JobError
from duckdb_sam.jobs.keys import Key, keys_of
from duckdb_sam.jobs.record import Record, dump, parse
from duckdb_sam.optional import needed

_RECORD = b"duckdb_sam"
_MADE_OF = b"duckdb_sam.made_of"
_GROUP_ROWS = 16_384
_GROUP_BYTES = 64_000_000
_SMALL = 16_000_000
"""A part of fewer bytes is joined with others."""
_MANY = 256
"""Small parts in a folder at which they are joined before the job is finished."""


class Parts:
    """The files ``PREFIX-NUMBER-ID.parquet`` in a folder, and maybe one file that they become in the end."""

    def __init__(self, folder: Path, prefix: str, target: Path | None) -> None:
        self.folder, self.target = folder, target
        self._prefix = prefix
        self._name = re.compile(rf"{prefix}-(\d+)-[0-9a-f]{{12}}\.parquet")

    def files(self) -> list[Path]:
        """Return all files, in the order in which they were written."""
        whole = [self.target] if self.target is not None and self.target.is_file() else []
        return whole + self._parts()

    def clean(self) -> None:
        """Remove what a process that was killed has left."""
        for path in [*self.folder.glob(f".{self._prefix}-*.tmp"), *self._temporary()]:
            path.unlink(missing_ok=True)
        for path in filter(Path.exists, self.files()):  # some are removed on the way
            for name in json.loads(_metadata(path).get(_MADE_OF, b"[]")):
                if self._name.fullmatch(name) and name != path.name:
                    (self.folder / name).unlink(missing_ok=True)

    def record(self) -> tuple[Path, Record | None] | None:
        """Return a file and the record of the job in it; None if there is no file."""
        found = None
        for path in [*self.files(), *self._others()]:
            record = parse(_metadata(path).get(_RECORD))
            if record is None:
                return path, None
            found = path, record
        return found

    def keys(self, names: Sequence[str]) -> set[Key]:
        """Return all keys."""
        parquet = needed("pyarrow.parquet", "jobs", "run")
        found: set[Key] = set()
        for path in self.files():
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=list(names)):
                    found.update(keys_of(batch, names))
        return found

    def has_rows(self) -> bool:
        """Whether there is a row in any file."""
        parquet = needed("pyarrow.parquet", "jobs", "run")
        return any(parquet.read_metadata(path).num_rows for path in self.files())

    def append(self, table: Any, record: Record) -> None:
        """Write a table as a file of its own."""
        numbers = [int(match[1]) for path in self._parts() if (match := self._name.fullmatch(path.name))]
        self._write(self.folder / self._new(max(numbers, default=0) + 1), table.schema, [table], record, [])

    def join(self, schema: Any, record: Record) -> None:
        """Join all parts, and what the target has, into the target; without a target, small parts into larger ones."""
        if self.target is not None:
            parts = self._parts()
            if parts or not self.target.is_file():
                self._merge(self.target, self.files(), schema, record)
            with contextlib.suppress(OSError):  # it is not there, or has errors in it
                self.folder.rmdir()
            return
        small = [path for path in self._parts() if path.stat().st_size < _SMALL]
        if len(small) > 1:
            number = self._name.fullmatch(small[0].name)
            assert number
            self._merge(self.folder / self._new(int(number[1])), small, schema, record)

    def is_crowded(self) -> bool:
        """Whether there are so many parts that they should be joined now."""
        return len(self._parts()) >= _MANY and sum(path.stat().st_size < _SMALL for path in self._parts()) >= _MANY

    def remove(self) -> None:
        """Remove all files."""
        for path in reversed(self.files()):  # what says what it is made of goes last
            path.unlink()

    def _parts(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if self._name.fullmatch(path.name))

    def _others(self) -> list[Path]:
        """Return Parquet files in a folder of results that are somebody else's."""
        if self.target is not None or not self.folder.is_dir():
            return []
        return [path for path in self.folder.glob("*.parquet") if not self._name.fullmatch(path.name)]

    def _temporary(self) -> list[Path]:
        if self.target is None or not self.target.parent.is_dir():
            return []
        name = re.compile(re.escape(f".{self.target.name}-") + r"[0-9a-f]{12}\.tmp")
        return [path for path in self.target.parent.iterdir() if name.fullmatch(path.name)]

    def _new(self, number: int) -> str:
        return f"{self._prefix}-{number:06}-{uuid.uuid4().hex[:12]}.parquet"

    def _merge(self, path: Path, files: list[Path], schema: Any, record: Record) -> None:
        names = [file.name for file in files if file != path]
        self._write(path, schema, _tables(files, schema), record, names)
        for file in files:
            if file != path:
                file.unlink()

    def _write(self, path: Path, schema: Any, tables: Any, record: Record, made_of: list[str]) -> None:
        parquet = needed("pyarrow.parquet", "jobs", "run")
        metadata = {_RECORD: dump(record), **({_MADE_OF: json.dumps(made_of)} if made_of else {})}
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.name if self._name.fullmatch(path.name) else f"{path.name}-{uuid.uuid4().hex[:12]}"
        temporary = path.with_name(f".{own}.tmp")
        try:
            with open(temporary, "wb") as file:
                with parquet.ParquetWriter(file, schema.with_metadata(metadata), compression="zstd") as writer:
                    for table in tables:
                        writer.write_table(table.replace_schema_metadata(metadata))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def _metadata(path: Path) -> dict[bytes, bytes]:
    parquet = needed("pyarrow.parquet", "jobs", "run")
    pa = needed("pyarrow", "jobs", "run")
    try:
        return parquet.read_metadata(path).metadata or {}
    except pa.ArrowInvalid as error:
        raise JobError(f"{path} is no Parquet file: {error}; remove it, or write into another place") from error


def _tables(files: list[Path], schema: Any) -> Generator[Any]:
    """Read files one after the other, as tables that make row groups of a good size."""
    parquet = needed("pyarrow.parquet", "jobs", "run")
    pa = needed("pyarrow", "jobs", "run")
    waiting: list[Any] = []
    for path in files:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                waiting.append(pa.Table.from_batches([batch]).cast(schema))
                if sum(map(len, waiting)) >= _GROUP_ROWS or sum(each.nbytes for each in waiting) >= _GROUP_BYTES:
                    yield pa.concat_tables(waiting).combine_chunks()
                    waiting.clear()
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _sync(folder: Path) -> None:
    """Make the names in a folder durable; Windows has no such call, and needs none."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
