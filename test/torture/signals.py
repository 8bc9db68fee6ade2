"""Signals during LOAD and inference.

    python test/torture/signals.py [ROUNDS]

Every round starts a process that loads the extension and works, and ends it at a random moment: SIGKILL and SIGTERM
must end it at once, SIGINT must leave it with Python's KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
print("begun", flush=True)
import duckdb_sam
def work():
    con = duckdb_sam.connect(threads=2)
    for index in range(10 ** 9):
        call = "sam_annotate('nano', content || $1::BLOB, [0.5, 0.5])"
        photo = "read_blob('{ROOT}/test/data/disc.png')"
        con.execute(f"SELECT {{call}} FROM {{photo}}", [str(index).encode()]).fetchall()
work()
"""
EXPECTED = {
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGTERM: {-signal.SIGTERM},
    # Python turns it into an exception, whose status is that of the signal; while it imports it may be 1.
    signal.SIGINT: {-signal.SIGINT, 130, 1},
}


def end_by(number: signal.Signals, after: float) -> None:
    command = [sys.executable, "-c", WORK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(after)
        deadline = time.monotonic() + 30
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"{number.name} after {after:.3f} s: it goes on")
            # Once is not enough while modules are imported: an exception that comes there may be lost.
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
        errors = process.stderr.read()
    assert process.returncode in EXPECTED[number], (number.name, after, process.returncode, errors[-2000:])


def main() -> int:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 20
    choose = random.Random(3)
    for index in range(rounds):
        for number in EXPECTED:
            end_by(number, choose.uniform(0, 0.8))
        print(f"round {index + 1} of {rounds}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
