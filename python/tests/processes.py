"""Scripts in a process of their own: one that hangs or dies fails the test, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

TIMEOUT = 120
"""Seconds after which a script hangs."""


def run(script: str, *arguments: object, timeout: float = TIMEOUT, **environment: str) -> str:
    """Run ``script`` and return what it prints; it must end by itself and with status 0."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    # A session of its own, so that the children of a script that hangs end with it.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, errors = process.communicate()
        raise AssertionError(f"hangs after {timeout} s\n{output[-2000:]}\n{errors[-4000:]}") from None
    assert process.returncode == 0, f"status {process.returncode}\n{output[-2000:]}\n{errors[-4000:]}"
    return output
