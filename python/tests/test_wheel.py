"""What is installed, and the extension file itself."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import duckdb

import duckdb_sam
from conftest import ROOT

FOOTER = 534
MEGABYTE = 1_000_000


def test_wheel_holds_the_extension_and_nothing_unexpected() -> None:
    files = {str(file) for file in metadata.files("duckdb-sam") or [] if ".dist-info" not in str(file)}
    folder = ROOT / "python" / "duckdb_sam"
    kinds = ("*.py", "*.json", "*.css", "*.js", "*.html", "py.typed")
    paths = [path for kind in kinds for path in folder.rglob(kind)]
    sources = {f"duckdb_sam/{path.relative_to(folder).as_posix()}" for path in paths}
    command = {file for file in files if file.startswith("..") and Path(file).stem == "duckdb-sam"}
    assert len(command) == 1
    found = {name for name in files - command if "__pycache__" not in name}
    assert found == sources | {"duckdb_sam/sam.duckdb_extension"}


def test_wheel_is_for_any_python_of_one_platform() -> None:
    wheel = metadata.distribution("duckdb-sam").read_text("WHEEL") or ""
    tag = next(line.removeprefix("Tag: ") for line in wheel.splitlines() if line.startswith("Tag: "))
    assert tag.startswith("py3-none-")
    assert not tag.endswith("-any")
    assert "Root-Is-Purelib: false" in wheel


def test_licence_is_shipped() -> None:
    distribution = metadata.distribution("duckdb-sam")
    assert distribution.metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in (distribution.read_text("licenses/LICENSE") or "")


def test_one_version_everywhere(con: duckdb.DuckDBPyConnection) -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert duckdb_sam.__version__ == version
    assert con.execute("SELECT sam_version()").fetchone() == (version,)
    listed = "SELECT extension_version, install_mode FROM duckdb_extensions() WHERE extension_name = 'sam'"
    assert con.execute(listed).fetchone() == (version, "NOT_INSTALLED")


def test_the_package_page() -> None:
    """The links of the README, and its picture, lead to the files of this version, and the file exists."""
    repository = re.search(r'^repository = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    page = metadata.metadata("duckdb-sam")
    assert page["Description-Content-Type"] == "text/markdown"
    assert {url.split(", ")[1].removeprefix(repository)[:1] for url in page.get_all("Project-URL")} == {"", "/"}
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", page["Description"] or page.get_payload())
    assert all(link.startswith("https://") for _, link in links)
    own = [(picture, link.removeprefix(repository)) for picture, link in links if link.startswith(repository)]
    assert len(own) > 10
    for picture, link in own:
        shown = f"/{'raw' if picture else 'blob'}/v{duckdb_sam.__version__}/"
        assert link.startswith(shown), link
        assert (ROOT / link.removeprefix(shown).partition("#")[0]).exists(), link


def test_footer(extension: Path, con: duckdb.DuckDBPyConnection) -> None:
    footer = extension.read_bytes()[-FOOTER:]
    assert footer[:22] == b"\x00\x93\x04\x10duckdb_signature\x80\x04"
    fields = [footer[start : start + 32].rstrip(b"\0").decode() for start in range(22, 22 + 8 * 32, 32)]
    platform = con.execute("PRAGMA platform").fetchone()[0]
    assert fields == ["", "", "", "C_STRUCT", duckdb_sam.__version__, "v1.2.0", platform, "4"]
    assert footer[-256:] == bytes(256)


def test_size(extension: Path) -> None:
    assert 2 * MEGABYTE < extension.stat().st_size < 30 * MEGABYTE
