"""Two releases of DuckDB in one process, and one file of the extension.

    python test/torture/engines.py FOLDER [copy]

FOLDER holds another release of the package duckdb than the one that is installed (build/duckdb-1.4.4). The second
engine is refused with a reason, and the first goes on; with ``copy`` the second loads a copy of the file, and both
work.
"""

from __future__ import annotations

import ctypes
import shutil
import sys
import tempfile
from pathlib import Path

import duckdb_sam

ROOT = Path(__file__).resolve().parents[2]
DISC = ROOT / "test/data/disc.png"
QUERY = f"SELECT sam_annotate('nano', content, [0.5, 0.5]).area FROM read_blob('{DISC}')"


class Engine:
    """The other DuckDB, by its C API: Python does not import two of one name."""

    def __init__(self, folder: str):
        self.library = ctypes.CDLL(str(next(Path(folder).glob("_duckdb*.so"))))
        self.library.duckdb_result_error.restype = ctypes.c_char_p
        self.library.duckdb_value_int64.restype = ctypes.c_int64
        for name in ("duckdb_result_error", "duckdb_value_int64"):
            getattr(self.library, name).argtypes = [ctypes.c_void_p] + [ctypes.c_uint64] * 2 * ("value" in name)
        config, database, self.connection = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.library.duckdb_create_config(ctypes.byref(config))
        self.library.duckdb_set_config(config, b"allow_unsigned_extensions", b"true")
        assert self.library.duckdb_open_ext(None, ctypes.byref(database), config, None) == 0
        assert self.library.duckdb_connect(database, ctypes.byref(self.connection)) == 0

    def run(self, query: str) -> int | str:
        """Return the number that ``query`` gives, or its error."""
        result = (ctypes.c_char * 64)()  # a duckdb_result and some room
        if self.library.duckdb_query(self.connection, query.encode(), ctypes.byref(result)) != 0:
            return self.library.duckdb_result_error(ctypes.byref(result)).decode()
        return self.library.duckdb_value_int64(ctypes.byref(result), 0, 0)


def main() -> int:
    folder, copy = sys.argv[1], sys.argv[2:] == ["copy"]
    first = duckdb_sam.connect()
    area = first.execute(QUERY).fetchone()[0]
    second = Engine(folder)
    path = duckdb_sam.extension_path()
    if copy:
        path = shutil.copy(path, Path(tempfile.mkdtemp()) / path.name)
    loaded = second.run(f"LOAD '{path}'")
    print("both work" if isinstance(loaded, int) else f"refused: {loaded}")
    assert isinstance(loaded, int) == copy, "two engines share one file"
    assert second.run("SELECT 42") == 42
    if copy:
        assert second.run(QUERY) == area
    assert first.execute(QUERY).fetchone()[0] == area
    duckdb_sam.connect().close()  # the first engine can load it again
    return 0


if __name__ == "__main__":
    sys.exit(main())
