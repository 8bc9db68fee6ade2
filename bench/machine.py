"""What the numbers were measured on, and what the machine can do at most."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def processor() -> dict[str, str]:
    """What Linux says of the first core."""
    info: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        info.setdefault(name.strip(), value.strip())
    return info


def name() -> str:
    """Return the processor's name, family and model: the heading of its results."""
    info = processor()
    family = f"family {info['cpu family']}, model {info['model']}" if "cpu family" in info else ""
    return f"{info.get('model name', platform.machine())} ({family or platform.machine()})"


def describe() -> dict[str, str]:
    """Instructions, memory, system; no names or paths of this machine."""
    info = processor()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024 / 1e9
    return {
        "Instructions": " ".join(feature for feature in FEATURES if feature in flags),
        "Cores": str(os.cpu_count()),
        "Memory": f"{memory:.0f} GB",
        "System": f"{platform.system()}, Python {platform.python_version()}",
        "Compiler": output("rustc", "--version").split(" (")[0],
    }


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def ceilings(threads: int) -> dict[str, float] | str:
    """GFLOP/s of multiply-adds on registers, on `threads` cores at once; or why they were not measured."""
    command = ["cargo", "bench", "--locked", "-p", "sam-kernels", "--bench", "kernels"]
    built = subprocess.run([*command, "--no-run"], cwd=ROOT, capture_output=True, text=True)
    if built.returncode:
        return f"the kernels' benchmark does not build: {built.stderr.strip().splitlines()[-1]}"
    # A filter that no kernel matches leaves the line with the peaks.
    runs = [
        subprocess.Popen(
            [*command, "--", "only-the-peaks"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for _ in range(threads)
    ]
    found = [re.search(r"peak f32 ([\d.]+), bf16 ([\d.]+)", run.communicate()[0]) for run in runs]
    if not all(found):
        return "the kernels' benchmark prints no peaks"
    return {"f32": sum(float(match[1]) for match in found), "bf16": sum(float(match[2]) for match in found)}
