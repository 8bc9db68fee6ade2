"""Releases that do not work together are told at import, with the command that mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from duckdb_sam.ibis import versions


def stand_in(monkeypatch: pytest.MonkeyPatch, **installed: str) -> None:
    real = {"ibis_framework": "12.0.0", "duckdb": "1.5.6", "sqlglot": "28.6.0", **installed}

    def version(name: str) -> str:
        if not real[name.replace("-", "_")]:
            raise metadata.PackageNotFoundError(name)
        return real[name.replace("-", "_")]

    monkeypatch.setattr(versions.metadata, "version", version)


@pytest.mark.parametrize("duckdb", ["2.0.0", "2.0.0.dev123", "2.1.0rc1", "10.0"])
def test_duckdb_2_is_an_error(monkeypatch: pytest.MonkeyPatch, duckdb: str) -> None:
    stand_in(monkeypatch, duckdb=duckdb)
    with pytest.raises(versions.VersionError) as caught:
        versions.check()
    assert isinstance(caught.value, ImportError)
    assert str(caught.value).startswith(f"Ibis 12.0.0: no query runs on DuckDB {duckdb}, ")
    assert str(caught.value).endswith("pip install 'duckdb>=1.4,<2'")


@pytest.mark.parametrize("sqlglot", ["30.18.0", "30.30.0", "31.0"])
def test_newer_sqlglot_is_a_warning(monkeypatch: pytest.MonkeyPatch, sqlglot: str) -> None:
    stand_in(monkeypatch, sqlglot=sqlglot)
    with pytest.warns(versions.VersionWarning, match=rf"drop_table\(\).* fail with sqlglot {sqlglot}") as caught:
        versions.check()
    assert str(caught[0].message).endswith("pip install 'sqlglot<30.18'")


def test_both_are_mended_by_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, duckdb="2.0.0", sqlglot="30.30.0")
    with pytest.raises(versions.VersionError, match=r"pip install 'duckdb>=1.4,<2' 'sqlglot<30.18'$"):
        versions.check()


@pytest.mark.parametrize(
    "installed",
    [
        {},
        {"sqlglot": "30.17.0"},
        {"duckdb": "1.99.0"},
        {"ibis_framework": "13.0.0", "duckdb": "2.0.0", "sqlglot": "31.0"},  # nothing is known of it
        {"ibis_framework": ""},
        {"sqlglot": ""},
    ],
)
def test_everything_else_says_nothing(monkeypatch: pytest.MonkeyPatch, installed: dict[str, str]) -> None:
    stand_in(monkeypatch, **installed)
    versions.check()


@pytest.mark.parametrize(("package", "version"), [("duckdb", "2.0.0"), ("sqlglot", "30.18.0")])
def test_at_import(tmp_path: Path, package: str, version: str) -> None:
    """As an installer leaves it: a folder of metadata that is found before the real one."""
    info = tmp_path / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    done = run("import duckdb_sam.ibis as sam; print(sam.version())")
    if package == "duckdb":
        assert done.returncode == 1
        assert "VersionError: Ibis 12.0.0: no query runs on DuckDB 2.0.0" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("<string>:1: VersionWarning: Ibis 12.0.0: create_table()")
    assert run("import duckdb_sam").returncode == 0
