"""Signals and the end of the process during LOAD and inference, and a disk that is full.

    python test/torture/signals.py [ROUNDS]

Every round starts a process that loads the extension and works, and ends it at a random moment: SIGKILL and SIGTERM must
end it at once, SIGINT must leave it with Python's KeyboardInterrupt, a main thread that returns while others work must exit with 0.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = f"""
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
print("begun", flush=True)
import duckdb_sam
def work():
    con = duckdb_sam.connect(threads=2)
    for index in range(10 ** 9):
        con.execute("SELECT sam_annotate('nano', content || $1::BLOB, [0.5, 0.5]) FROM read_blob('{ROOT}/test/data/disc.png')",
                    [str(index).encode()]).fetchall()
if sys.argv[1] == "daemon":
    threading.Thread(target=work, daemon=True).start()
    import time
    time.sleep(float(sys.argv[2]))
else:
    work()
"""
EXPECTED = {
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGTERM: {-signal.SIGTERM},
    # Python turns it into an exception, whose status is that of the signal; while it imports it may be 1.
    signal.SIGINT: {-signal.SIGINT, 130, 1},
}


def end_by(number: signal.Signals, after: float) -> None:
    command = [sys.executable, "-c", WORK, "main"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(after)
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{number.name} after {after:.3f} s: it goes on") from None
        errors = process.stderr.read()
    assert process.returncode in EXPECTED[number], (number.name, after, process.returncode, errors[-2000:])


def exit_while_others_work(after: float) -> None:
    command = [sys.executable, "-c", WORK, "daemon", str(after)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (after, done.returncode, done.stderr[-2000:])


def main() -> int:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 20
    choose = random.Random(3)
    for index in range(rounds):
        for number in EXPECTED:
            end_by(number, choose.uniform(0, 0.8))
        exit_while_others_work(choose.uniform(0, 0.8))
        print(f"round {index + 1} of {rounds}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
