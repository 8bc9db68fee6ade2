"""A virtual environment of its own, for tests of what is installed there."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path


class Environment:
    """A virtual environment with a few packages: this environment's own, linked."""

    def __init__(self, folder: Path, packages: Sequence[str] = ("duckdb",)) -> None:
        venv.create(folder, symlinks=os.name != "nt", with_pip=False)
        self.folder = folder
        self.scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.scripts / ("python.exe" if os.name == "nt" else "python")
        self.variables: dict[str, str] = {}
        [self.packages] = [
            Path(path) for path in self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        ]
        for package in packages:
            distribution = metadata.distribution(package)
            for name in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
                (self.packages / name).symlink_to(distribution.locate_file(name))

    def environ(self) -> dict[str, str]:
        """Return the variables of its processes: none of this one's paths and settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SAM_"))}
        return kept | {"NO_COLOR": "1"} | self.variables

    def call(self, *command: str, cwd: Path | None = None, status: int = 0) -> str:
        """Run a command, which must end with ``status``; return what it prints."""
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self.environ(), capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *arguments: str) -> list[str]:
        """Run Python there; return the lines that it prints."""
        return self.call(str(self.python), *arguments).splitlines()

    def pip(self, *arguments: str) -> None:
        """Run this environment's pip for that one."""
        self.call(sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", *arguments)

    def files(self) -> set[str]:
        """Return all that is there, but what is behind links."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
