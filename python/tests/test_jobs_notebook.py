"""``run`` in a notebook: a bar in the output of the cell that needs no widgets, and the stop button."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import PHOTOS

pytest.importorskip("ipykernel")
IMAGES = 24

PREPARE = f"""
import os, sys, types
import duckdb_sam

os.makedirs("photos")
photo = open("{PHOTOS}/coins.jpg", "rb").read()
for number in range({IMAGES}):  # different images
    open(f"photos/{{number:03}}.jpg", "wb").write(photo + bytes([number]))
"""
RUN = "duckdb_sam.run('photos', into='masks.parquet', point=[0.5, 0.5], batch=4)"


class Kernel:
    """What runs the cells of a notebook."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str, interrupt: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Run a cell and return what it puts out; press the stop button when ``interrupt`` is in it."""
        cell = self.client.execute(code)
        found: list[tuple[str, dict[str, Any]]] = []
        pressed = 0.0
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != cell and kind != "update_display_data":
                continue
            if kind == "status" and content["execution_state"] == "idle":
                break
            found.append((kind, content))
            if interrupt and interrupt in str(content.get("data")) and not pressed:
                pressed = time.monotonic()
                self.manager.interrupt_kernel()
        assert not pressed or time.monotonic() - pressed < 10
        return found


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    from jupyter_client.manager import start_new_kernel

    folder = tmp_path_factory.mktemp("notebook")
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=dict(os.environ))
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_progress_and_stop(kernel: Kernel, tmp_path: Path) -> None:
    # DuckDB refuses to change its own bar in a kernel that lacks ipywidgets, as most do.
    kernel.run("import sys; sys.modules['ipywidgets'] = None")
    assert not [content for kind, content in kernel.run(PREPARE) if kind == "error"]
    stopped = kernel.run(RUN, interrupt=f"of {IMAGES}, ")
    [error] = [content for kind, content in stopped if kind == "error"]
    assert error["ename"] == "KeyboardInterrupt"
    assert f"of {IMAGES} rows are in masks.parquet; the same call goes on from there" in error["evalue"]
    done = kernel.run(RUN)
    kinds = [kind for kind, _ in done if kind not in ("status", "execute_input")]
    assert kinds[0] == "display_data" and kinds[-1] == "execute_result"
    assert set(kinds[1:-1]) == {"update_display_data"}
    shown = [content["data"] for kind, content in done if kind in ("display_data", "update_display_data")]
    assert len({content["transient"]["display_id"] for kind, content in done if "display" in kind}) == 1
    assert shown[-1]["text/plain"].startswith(f"masks.parquet: {IMAGES} of {IMAGES}, ")
    assert f'value="{IMAGES}" max="{IMAGES}"' in shown[-1]["text/html"]
    again = kernel.run(RUN)
    assert f"{IMAGES} were there already" in str(again[-1])
    assert "images/s" not in str(again[-1])


def test_downloads(kernel: Kernel) -> None:
    done = kernel.run("""
from duckdb_sam.weights.progress import shown
with shown("mobile_sam") as report:
    report(1_000_000, None)
    report(40_700_000, 40_700_000)
""")
    texts = [content["data"]["text/plain"] for kind, content in done if "display" in kind]
    assert texts[-1] == "mobile_sam: 40.7 of 40.7 MB"
