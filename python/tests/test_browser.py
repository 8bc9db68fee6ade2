"""The browser of the tests: found, watched, and kept within this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import browser as module
from browser import Seen, found, provide, violations


def test_one_is_there() -> None:
    assert Path(provide()).is_file()


def test_one_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", sys.executable)
    assert found() == sys.executable
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")
    with pytest.raises(FileNotFoundError, match="CHROMIUM=/no/such/browser is no program"):
        found()


def test_none_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert found() is None
    calls: list[list[str]] = []
    monkeypatch.setattr(module.subprocess, "run", lambda command, **_: calls.append(command))
    with pytest.raises(FileNotFoundError, match="install Chromium or Chrome"):
        provide()
    assert calls == [[sys.executable, "-m", "playwright", "install", "chromium"]]
    monkeypatch.setattr(module, "_root_with_apt", lambda: True)
    with pytest.raises(FileNotFoundError):
        provide()
    assert [call[0] for call in calls[1:3]] == ["apt-get", "apt-get"]
    program = tmp_path / "chromium-1200" / "chrome-linux" / "chrome"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    assert found() == str(program)


def test_what_a_page_does_is_seen(page: Any, seen: Seen) -> None:
    page.set_content('<html lang="en"><title>t</title><img src="https://example.com/a.png" alt="a"><main>x</main>')
    page.evaluate("console.error('told')")
    page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    page.wait_for_timeout(100)
    assert seen.outside() == ["https://example.com/a.png"]
    assert any("ERR_NAME_NOT_RESOLVED" in each for each in seen.errors)
    assert "told" in seen.errors
    assert any("thrown" in each for each in seen.errors)
    seen.requests.clear()
    seen.errors.clear()


def test_axe_finds_what_is_wrong(page: Any) -> None:
    page.set_content('<html lang="en"><title>t</title><main><h1>x</h1><img src="data:,"></main></html>')
    assert [each.split(":")[0] for each in violations(page)] == ["image-alt"]
