"""Two releases of DuckDB in one process, and one file of the extension.

    python test/torture/engines.py FOLDER [copy]

FOLDER holds another release of the package duckdb than the one that is installed (build/duckdb-1.4.4). The second engine is
refused with a reason, and the first goes on; with ``copy`` the second loads a copy of the file, and both work.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUERY = "SELECT sam_annotate('nano', content, [0.5, 0.5]).area FROM read_blob(?)"
DISC = str(ROOT / "test/data/disc.png")


def other_release(folder: str):
    """Import the package duckdb from ``folder`` beside the one that is imported already."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in ("duckdb", "_duckdb")}
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("duckdb")
    finally:
        sys.path.remove(folder)
        for name in [name for name in sys.modules if name.split(".")[0] in ("duckdb", "_duckdb")]:
            del sys.modules[name]
        sys.modules.update(kept)


def main() -> int:
    import duckdb_sam

    first = duckdb_sam.connect()
    area = first.execute(QUERY, [DISC]).fetchone()
    duckdb = other_release(sys.argv[1])
    path = duckdb_sam.extension_path()
    if sys.argv[2:] == ["copy"]:
        folder = Path(tempfile.mkdtemp())
        path = shutil.copy(path, folder / path.name)
    second = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    try:
        second.execute(f"LOAD '{path}'")
    except duckdb.Error as error:
        print(f"refused: {error}")
        assert not sys.argv[2:]
    else:
        assert sys.argv[2:] == ["copy"], "two engines share one file"
        assert second.execute(QUERY, [DISC]).fetchone() == area
        print("both work")
    assert second.execute("SELECT 42").fetchone() == (42,)
    assert first.execute(QUERY, [DISC]).fetchone() == area
    duckdb_sam.connect().close()  # the first engine can load it again
    return 0


if __name__ == "__main__":
    sys.exit(main())
