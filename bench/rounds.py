"""Runs contenders in turn, each in a process of its own, one at a time.

A contender that is not at its turn is stopped (SIGSTOP), so that no thread pool of another spins beside the one that
is timed. A turn begins with runs that do not count: caches and clocks are those of the contender at work. Turns go
A B C, B C A, C A B, ...: a machine that gets slower hits all alike, and none always follows the same other.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLOCK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contender:
    """Who is timed: `runtime` is one of worker.py's, or `ours` for the engine without a database."""

    runtime: str
    precision: str
    threads: int
    model: str = "mobile_sam"

    @property
    def key(self) -> str:
        return f"{self.runtime}-{self.precision}"

    def __str__(self) -> str:
        return f"{self.key} {self.model} x{self.threads}"


@dataclass
class Samples:
    """Raw seconds, turn by turn, and how busy the machine was."""

    turns: list[list[float]] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)

    @property
    def all(self) -> list[float]:
        return [seconds for turn in self.turns for seconds in turn]

    @property
    def median(self) -> float:
        return statistics.median(self.all)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.all) < 2:
            return self.median, self.median
        first, _, third = statistics.quantiles(self.all, n=4, method="inclusive")
        return first, third


class FailedError(RuntimeError):
    """A contender cannot do what it was asked for."""


class Worker:
    """A contender's process."""

    def __init__(self, contender: Contender, command: list[str], log: Path) -> None:
        self.contender = contender
        self.log = log
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "KMP_", "MKL_"))
        }
        environment["OMP_NUM_THREADS"] = str(contender.threads)
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            )
        try:
            self.ready = self.reply()
        except FailedError:
            self.close()
            raise
        self.peak = self.memory("VmHWM")
        self.process.send_signal(signal.SIGSTOP)

    def reply(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            tail = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise FailedError(f"ended without an answer: {' '.join(tail) or self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer

    def ask(self, command: str) -> dict[str, Any]:
        self.process.send_signal(signal.SIGCONT)
        try:
            print(command, file=self.process.stdin, flush=True)
            return self.reply()
        except BrokenPipeError as error:
            raise FailedError("ended early") from error
        finally:
            self.process.send_signal(signal.SIGSTOP)

    def memory(self, name: str) -> float:
        """Resident megabytes (10^6 bytes)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) * 1024 / 1e6

    def processor_seconds(self) -> float:
        """Of all its threads, those that have ended included."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def machine_seconds() -> float:
    """Processor time that was used on the whole machine, or taken from it by its host."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / CLOCK


class Pool:
    """Starts workers and times them."""

    def __init__(self, files: Path, photos: Path, engine: Path, options: dict[str, Any]) -> None:
        self.files, self.photos, self.engine, self.options = files, photos, engine, options
        self.failures: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    def command(self, contender: Contender) -> list[str]:
        common = ["--precision", contender.precision, "--threads", str(contender.threads), "--photos", str(self.photos)]
        common += [text for name, value in self.options.items() for text in (f"--{name}", str(value))]
        if contender.runtime != "ours":
            worker = Path(__file__).with_name("worker.py")
            files = ["--model", contender.model, "--files", str(self.files)]
            return [sys.executable, str(worker), "--runtime", contender.runtime, *files, *common]
        model = self.files / f"{contender.model}.pth"
        if contender.model == "nano":
            model = Path(__file__).parent.parent / "extension/model/assets/nano.safetensors"
        return [str(self.engine), "--model", str(model), "--image", str(self.files / "square.png"), *common]

    def start(self, contender: Contender) -> Worker | None:
        """None, and a note, where it cannot run: the others are compared all the same."""
        log = self.files / f"{contender.key}-{contender.model}-{contender.threads}.log"
        try:
            worker = Worker(contender, self.command(contender), log)
        except FailedError as error:
            self.note(contender, str(error))
            return None
        self.versions |= worker.ready.get("versions", {})
        return worker

    def note(self, contender: Contender, reason: str) -> None:
        if str(contender) not in self.failures:
            print(f"  {contender}: {reason}", flush=True)
        self.failures[str(contender)] = reason

    @contextlib.contextmanager
    def started(self, contenders: list[Contender]) -> Iterator[dict[str, Worker]]:
        """Workers by the contender's text; all end with the block."""
        workers: dict[str, Worker] = {}
        try:
            for contender in contenders:
                if worker := self.start(contender):
                    workers[str(contender)] = worker
            yield workers
        finally:
            for worker in workers.values():
                worker.close()

    def rounds(self, stage: str, workers: list[Worker], runs: int, per_turn: int, warmups: int) -> dict[str, Samples]:
        """At least `runs` runs of each."""
        samples = {str(worker.contender): Samples() for worker in workers}
        alive = list(workers)
        for number in range(-(-runs // per_turn)):
            shift = number % len(workers)
            for worker in workers[shift:] + workers[:shift]:
                if worker not in alive:
                    continue
                own, machine, start = worker.processor_seconds(), machine_seconds(), time.perf_counter()
                try:
                    seconds = worker.ask(f"{stage} {warmups} {per_turn}")["seconds"]
                except FailedError as error:
                    self.note(worker.contender, f"{stage}: {error}")
                    alive.remove(worker)
                    continue
                wall = time.perf_counter() - start
                own, machine = worker.processor_seconds() - own, machine_seconds() - machine
                sample = samples[str(worker.contender)]
                sample.turns.append(seconds)
                sample.busy.append(own / wall)
                sample.foreign.append(max(0.0, machine - own) / (wall * os.cpu_count()))
        for key, sample in samples.items():
            if sample.turns:
                print(
                    f"  {stage:9} {key:34} {sample.median * 1e3:10.1f} ms  (min {min(sample.all) * 1e3:.1f})",
                    flush=True,
                )
        return {key: sample for key, sample in samples.items() if sample.turns}
