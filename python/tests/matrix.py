"""Runs the SQL tests with one extension file in several DuckDB versions, and in the DuckDB CLI.

    python matrix.py VERSION... [--python VERSION]

Each version is a folder build/duckdb-VERSION. The file is the same for all; only where an engine calls its platform by
another name (1.2 on Linux) the footer is written anew. All versions must pass, and queries must return exactly the
same values in all of them. With ``--python``, what of the Python package calls DuckDB's Python client most (``show``,
``label``, jobs) is tested in that version as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import duckdb
import duckdb_cli

import duckdb_sam
from footer import ROOT, extension_for

WORK = ROOT / "build" / "matrix"
CLI = Path(duckdb_cli.__file__).with_name("duckdb")
CLI_QUERY = """
SELECT parse_filename(filename) AS name, s.area AS area, s.predicted_iou::VARCHAR AS iou, s.segmentation.counts AS rle
FROM (SELECT filename, sam_annotate('nano', content, [0.5, 0.6]) AS s FROM read_blob('demo/photos/*.jpg'))
ORDER BY name
"""


PYTHON_TESTS = (
    *("test_gallery.py", "test_gallery_cells.py", "test_jobs.py", "test_jobs_refused.py", "test_jobs_places.py"),
    *("test_label_store.py", "test_label_tables.py", "test_label_server.py", "test_label_widget.py"),
)
"""Tests of the package that need neither a browser nor Ibis, which works with fewer versions."""


class Outcome(NamedTuple):
    """One line of the table."""

    engine: str
    platform: str
    passed: bool
    queries: int
    differ: int | None
    output: str = ""


def engine(version: str) -> tuple[dict[str, str], str]:
    """Return the environment of a process that imports ``version``, and what it calls its platform."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "build" / f"duckdb-{version}")}
    ask = "import duckdb; print(duckdb.__version__, *duckdb.connect().execute('PRAGMA platform').fetchone())"
    told = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    found, platform = told.stdout.split()
    if found != version:
        raise SystemExit(f"build/duckdb-{version} holds duckdb {found}: remove it and run `make test-matrix` again")
    return environment, platform


def run(version: str) -> tuple[Outcome, dict[str, list[str]]]:
    """Run the SQL tests in a process that imports ``version``."""
    environment, platform = engine(version)
    transcript = WORK / f"{version}.json"
    transcript.unlink(missing_ok=True)
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "test" / "sql").rglob("*.test"))
    runner = Path(__file__).with_name("sqllogic.py")
    command = [
        sys.executable,
        str(runner),
        str(extension_for(platform, duckdb_sam.extension_path(), WORK)),
        *files,
        "--transcript",
        str(transcript),
    ]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    results = json.loads(transcript.read_text()) if transcript.exists() else {}
    return Outcome(
        f"Python {version}", platform, done.returncode == 0, len(results), None, done.stdout + done.stderr
    ), results


def run_python(version: str) -> Outcome:
    """Run tests of the package in a process that imports ``version``."""
    environment, platform = engine(version)
    files = [str(Path(__file__).with_name(name)) for name in PYTHON_TESTS]
    command = [sys.executable, "-m", "pytest", "--numprocesses", "auto", "--dist", "worksteal", *files]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    counted = re.search(r"(\d+) passed", done.stdout)
    count = int(counted[1]) if counted else 0
    return Outcome(f"package {version}", platform, done.returncode == 0, count, None, done.stdout + done.stderr)


def run_cli() -> Outcome:
    """Run one query in the CLI and compare it with the same query here."""
    command = [CLI, "-unsigned", "-json", "-c", f"LOAD '{duckdb_sam.extension_path()}'", "-c", CLI_QUERY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    got = [tuple(row.values()) for row in json.loads(done.stdout or "[]")]
    os.chdir(ROOT)
    with duckdb_sam.connect() as con:
        want = con.execute(CLI_QUERY).fetchall()
        platform = con.execute("PRAGMA platform").fetchone()
    differ = sum(a != b for a, b in zip(got, want, strict=False)) + abs(len(got) - len(want))
    version = subprocess.run([CLI, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
    passed = done.returncode == 0 and bool(got)
    return Outcome(f"CLI {version}", platform[0] if platform else "?", passed, len(got), differ, done.stderr)


def main(versions: list[str], package: str | None) -> int:
    """Print one line per engine; the exit status tells whether all passed and agreed."""
    WORK.mkdir(parents=True, exist_ok=True)
    reference = duckdb.__version__
    runs = {version: run(version) for version in dict.fromkeys([*versions, reference])}
    wanted = runs[reference][1]
    outcomes = []
    for outcome, results in runs.values():
        # A record that a guard leaves out of one version is in the other's transcript only.
        differ = sum(results[place] != wanted[place] for place in results.keys() & wanted.keys())
        outcomes.append(outcome._replace(differ=differ))
    outcomes.append(run_cli())
    if package is not None:
        outcomes.append(run_python(package))
    print(f"\n{'engine':<16}{'platform':<20}{'tests':<12}{'queries':>8}  differing from {reference}")
    for outcome in outcomes:
        passed, differ = "pass" if outcome.passed else "FAIL", "-" if outcome.differ is None else outcome.differ
        print(f"{outcome.engine:<16}{outcome.platform:<20}{passed:<12}{outcome.queries:>8}  {differ}")
    failed = [outcome for outcome in outcomes if not outcome.passed or outcome.differ or not outcome.queries]
    for outcome in failed:
        print(f"\n{outcome.engine}:\n{outcome.output}")
    print(f"\n{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("versions", nargs="+")
    parser.add_argument("--python")
    given = parser.parse_args()
    sys.exit(main(given.versions, given.python))
