"""Checks wheels for Linux before they are uploaded: their tag, what they need of a system, and that they load.

    python wheels.py --glibc 2.17 --engines "1.3.2 2.0.0" WHEEL...

Each engine is a folder build/duckdb-VERSION. A wheel for another processor than this machine's is not loaded.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

from footer import FOOTER_BYTES, ROOT, extension_for, platform_of

TAG = re.compile(r"-py3-none-(?:manylinux\w+_\w+\.)?manylinux_2_(\d+)_(x86_64|aarch64)\.whl$")
PLATFORMS = {"x86_64": "linux_amd64", "aarch64": "linux_arm64"}
LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1"}
LOADER = re.compile(r"ld-linux[\w-]*\.so\.\d")

QUERY = """
import sys
import duckdb
settings = {"allow_unsigned_extensions": "true", "threads": "1", "memory_limit": "600MB", "temp_directory": ""}
con = duckdb.connect(config=settings)
con.execute("SET enable_progress_bar = false")
con.execute(f"LOAD '{sys.argv[1]}'")
con.execute("CREATE TABLE photos AS SELECT content AS image FROM read_blob('demo/photos/*.jpg')")
con.execute("CREATE TABLE masks AS SELECT sam_annotate('nano', image, [0.5, 0.6]) AS mask FROM photos")
# An exception of DuckDB's on its way through the extension: the memory for the masks is used up.
con.execute("CREATE TABLE used AS SELECT hash(range) AS h FROM range(50_000_000)")
try:
    con.execute("CREATE TABLE large AS SELECT sam_segment('nano', image, [0.5, j / 1000]) FROM photos, range(200) r(j)")
    raise SystemExit("there was memory")
except duckdb.OutOfMemoryException:
    pass
con.execute("DROP TABLE used")
[rows] = con.execute("SELECT count(*) FROM masks WHERE mask_area(mask.segmentation) > 0").fetchone()
print(duckdb.__version__, con.execute("PRAGMA platform").fetchone()[0], rows)
"""


def needs(library: bytes, wheel: str) -> tuple[int, set[str], set[str]]:
    """Return the newest ``n`` of all versions GLIBC_2.n that are asked for, the libraries, and what is imported."""
    elf = ELFFile(io.BytesIO(library))
    newest = 0
    versions = elf.get_section_by_name(".gnu.version_r")
    for _, auxiliaries in versions.iter_versions() if versions else []:
        for version in auxiliaries:
            if match := re.fullmatch(r"GLIBC_2\.(\d+)(\.\d+)?", version.name):
                newest = max(newest, int(match[1]))
    dynamic = elf.get_section_by_name(".dynamic")
    libraries = {tag.needed for tag in dynamic.iter_tags("DT_NEEDED")}
    symbols = elf.get_section_by_name(".dynsym").iter_symbols()
    imported = {symbol.name for symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF"}
    if not newest:
        raise SystemExit(f"{wheel}: no version of glibc is named, which cannot be")
    return newest, libraries, imported


def check(wheel: Path, glibc: str, engines: list[str]) -> list[str]:
    """Return what is wrong with ``wheel``, which is to run with ``glibc`` and newer ones."""
    match = TAG.search(wheel.name)
    if match is None:
        return ["its tag is not py3-none-manylinux_2_N_ARCHITECTURE"]
    promised, processor = int(match[1]), match[2]
    folder = ROOT / "build" / "wheels" / wheel.stem
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    extension = folder / "duckdb_sam" / "sam.duckdb_extension"
    data = extension.read_bytes()
    wrong = []
    if (name := platform_of(extension)) != PLATFORMS[processor]:
        wrong.append(f"its extension is for {name}")
    newest, libraries, imported = needs(data[:-FOOTER_BYTES], wheel.name)
    if newest > promised or f"2.{promised}" != glibc:
        wrong.append(f"needs glibc 2.{newest}, its tag says 2.{promised}, and {glibc} is wanted")
    if others := {name for name in libraries - LIBRARIES if not LOADER.fullmatch(name)}:
        wrong.append(f"needs {', '.join(sorted(others))}")
    if "_Unwind_RaiseException" not in imported or "libgcc_s.so.1" not in libraries:
        wrong.append("has an unwinder of its own: exceptions of DuckDB's would end the process")
    print(f"{wheel.name}: {len(data) / 1e6:.1f} MB, GLIBC_2.{newest}, {' '.join(sorted(libraries))}")
    if processor != platform.machine():
        print(f"  not loaded: this machine is {platform.machine()}")
        return wrong
    for engine in engines:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "build" / f"duckdb-{engine}"), str(folder)]),
        }
        ask = "import duckdb; print(*duckdb.connect().execute('PRAGMA platform').fetchone())"
        told = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
        command = [sys.executable, "-c", QUERY, str(extension_for(told.stdout.strip(), extension, folder))]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        print(f"  DuckDB {done.stdout.strip() or engine}")
        if done.returncode or done.stdout.split()[::2] != [engine, "6"]:
            wrong.append(f"DuckDB {engine}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return wrong


def main() -> int:
    """Check all wheels; the exit status tells whether all are fit."""
    parser = argparse.ArgumentParser(description="Check wheels for Linux.")
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--glibc", required=True, help="the oldest one to run with, such as 2.17")
    parser.add_argument("--engines", default="", help="releases of DuckDB to load in, separated by spaces")
    arguments = parser.parse_args()
    failed = 0
    for wheel in arguments.wheels:
        wrong = check(wheel, arguments.glibc, arguments.engines.split())
        for text in wrong:
            print(f"{wheel.name}: {text}", file=sys.stderr)
        failed += bool(wrong)
    print(f"{len(arguments.wheels) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
