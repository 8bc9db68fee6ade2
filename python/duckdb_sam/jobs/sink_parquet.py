"""Results in Parquet: a folder of parts, or one file that is made of parts in the end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from duckdb_sam.jobs.errors import JobError, check_fits
from duckdb_sam.jobs.keys import Key
from duckdb_sam.jobs.parts import Parts
from duckdb_sam.jobs.record import Record, changes, check
from duckdb_sam.optional import needed
from duckdb_sam.weights.lock import locked


def place_of_errors(path: Path, errors: str | None) -> Path:
    """Return where the errors of results at ``path`` are: as given, or beside them."""
    return Path(errors).expanduser() if errors else path.with_name(f"{path.stem}_errors{path.suffix}")


class ParquetSink:
    """Results and errors beside each other; the record of the job is in the metadata of every file.

    ``masks.parquet`` has its parts in ``masks.parquet.parts/`` until it is finished, and its errors in
    ``masks_errors.parquet``. ``masks/`` is a folder of parts, and its errors are in ``masks_errors/``.
    """

    def __init__(self, path: Path, single: bool, errors: str | None) -> None:
        self._path, self._single = path, single
        other = place_of_errors(path, errors)
        if single != (other.suffix.lower() == ".parquet"):
            raise ValueError(
                f"errors={errors!r}: where into= is a {'file' if single else 'folder'}, errors= is one too"
            )
        if other.absolute() == path.absolute():
            raise ValueError(f"errors: {errors} is the place of the results")
        if single:
            folder = path.with_name(path.name + ".parts")
            self._rows, self._failures = Parts(folder, "part", path), Parts(folder, "errors", other)
        else:
            self._rows, self._failures = Parts(path, "part", None), Parts(other, "errors", None)
        self.into, self.errors = (str(path), str(other)) if single else (f"{path}/", f"{other}/")
        self._held = ExitStack()

    def open(self, rows: Any, failures: Any, record: Record, restart: bool) -> None:
        """Lock, remove what a killed run has left half-done, and look whether the files are this job's."""
        self._schemas, self._record = (rows, failures), record
        for schema in self._schemas:
            check_fits(schema, _write, "a Parquet file")
        if self._path.exists() and self._path.is_dir() == self._single:
            raise JobError(f"{self._path} is a {'folder' if self._single else 'file'}: write into another place")
        lock = self._path.with_name(self._path.name + ".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        self._held.enter_context(locked(lock, self._taken))
        try:
            for parts in (self._rows, self._failures):
                found = parts.record()
                if found and found[1] is None:
                    check(str(found[0]), None, record)
            for parts in (self._rows, self._failures):
                parts.clean()
            if restart or self._is_futile():
                self._failures.remove()
                self._rows.remove()
            for parts in (self._rows, self._failures):
                if found := parts.record():
                    check(str(found[0]), found[1], record)
        except BaseException:
            self.close()
            raise

    def done(self, names: Sequence[str]) -> set[Key]:
        """Return the keys in all files."""
        return self._rows.keys(names) | self._failures.keys(names)

    def forget_errors(self) -> None:
        """Remove the files of errors."""
        self._failures.remove()

    def write(self, rows: Any, failures: Any) -> None:
        """Write a part of results, and one of errors if there are some.

        A row is in one of them only, so that being killed between the two loses nothing: the other rows are done again.
        """
        for parts, table, schema in zip((self._rows, self._failures), (rows, failures), self._schemas, strict=True):
            if len(table):
                parts.append(table, self._record)
                if parts.target is None and parts.is_crowded():
                    parts.join(schema, self._record)

    def finish(self) -> None:
        """Join the parts."""
        if self._failures.files():
            self._failures.join(self._schemas[1], self._record)
        self._rows.join(self._schemas[0], self._record)
        if not self._single and not self._rows.files():  # so that there is something to read
            self._rows.append(self._schemas[0].empty_table(), self._record)

    def close(self) -> None:
        """Let others write."""
        self._held.close()

    def _is_futile(self) -> bool:
        """Whether a job with other options has no results, so that nothing is lost if these options are right."""
        found = [each for parts in (self._rows, self._failures) if (each := parts.record())]
        return any(changes("", old, self._record) for _, old in found) and not self._rows.has_rows()

    def _taken(self) -> NoReturn:
        raise JobError(f"another run writes into {self.into} at this moment: wait for it, or stop it")


def _write(table: Any) -> None:
    """Write a table into memory."""
    pa, parquet = needed("pyarrow", "jobs", "run"), needed("pyarrow.parquet", "jobs", "run")
    parquet.write_table(table, pa.BufferOutputStream())
