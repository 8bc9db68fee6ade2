"""The footer of an extension file, and how to give a file another one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOOTER_BYTES = 534
_SCRIPT = ROOT / "extension" / "duckdb" / "append_footer.py"
# The fields stand in reverse; what is behind them is the signature.
_PLATFORM, _VERSION = 6, 4


def _field(data: bytes, number: int) -> str:
    return data[-512 + number * 32 :][:32].rstrip(b"\0").decode()


def platform_of(extension: Path) -> str:
    """Return the platform that ``extension`` is for."""
    return _field(extension.read_bytes(), _PLATFORM)


def extension_for(platform: str, extension: Path, work: Path) -> Path:
    """Return ``extension``, or a copy below ``work`` with another footer if it is for another platform."""
    if platform_of(extension) == platform:
        return extension
    data = extension.read_bytes()
    folder = work / platform
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "library").write_bytes(data[:-FOOTER_BYTES])
    target = folder / extension.name
    named = ["--platform", platform, "--extension-version", _field(data, _VERSION)]
    subprocess.run([sys.executable, str(_SCRIPT), str(folder / "library"), str(target), *named], check=True)
    return target
