"""As much of the package ``duckdb`` as ``sqllogic.py`` calls, by DuckDB's command line for ARM64 under emulation.

``SAM_ARM_CLI`` names that program. Results come as JSON, in which all values are what DuckDB casts to text.
"""

from __future__ import annotations

import json
import os
import subprocess

PROGRAM = ["qemu-aarch64", "-cpu", "max", os.environ["SAM_ARM_CLI"]]
MARK = "@@ done @@"
__version__ = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[0][1:]


class Error(Exception):
    """What the engine says of a statement."""


class DuckDBPyConnection:
    """A database in memory, in a process of its own."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = subprocess.Popen([*PROGRAM, "-unsigned", "-json"], **pipes)
        self.rows: list[tuple[object, ...]] = []

    def __enter__(self) -> DuckDBPyConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        if self.process.wait() != 0:
            raise SystemExit(f"DuckDB ended with {self.process.returncode}")

    def execute(self, sql: str) -> DuckDBPyConnection:
        """Run one statement."""
        self.process.stdin.write(f"{sql.rstrip().rstrip(';')};\n.print {MARK}\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == MARK:
                break
            lines.append(line)
        else:
            raise SystemExit(f"DuckDB ended after {sql}\n{''.join(lines)}")
        text = "".join(lines).strip()
        if text and not text.startswith(("[{", "[]")):
            raise Error(text)
        # As pairs: columns may have the same name.
        rows = json.loads(text or "[]", object_pairs_hook=list)
        self.rows = [tuple(value for _, value in row) for row in rows]
        return self

    def fetchall(self) -> list[tuple[object, ...]]:
        """Return all rows of the last statement."""
        return self.rows

    def cursor(self) -> DuckDBPyConnection:
        """Refuse: the command line has one connection."""
        raise SystemExit("these tests need a second connection, which the command line has not")


def connect(config: dict[str, str]) -> DuckDBPyConnection:
    """Open a database in memory; the only setting is that extensions may be unsigned."""
    assert config == {"allow_unsigned_extensions": "true"}
    return DuckDBPyConnection()
