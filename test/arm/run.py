"""Tests on ARM64, emulated by another processor: kernels, networks, and the extension in DuckDB's command line.

    python run.py [CLI]

``CLI`` is DuckDB's command line for ARM64, which `make test-arm` fetches; without it, only looks for what is needed.
The emulated processor has all instructions that the kernels know, so that every form is tested. Nothing is installed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "arm"
EXTENSION = WORK / "sam.duckdb_extension"
TARGET = "aarch64-unknown-linux-gnu"
LINKER = "aarch64-linux-gnu-gcc"
LOADER = "/lib/ld-linux-aarch64.so.1"
BUILT = ROOT / "target" / TARGET / "release"
EMULATOR = "qemu-aarch64 -cpu max"
# Every file that needs one connection and none of DuckDB's own extensions; models.test loads networks for minutes.
SQL = ["segment", "prompts", "masks", "masks_measure", "images", "image_info", "types", "nulls", "embed", "coco"]
FORMS = ["neonbf16", "neon", "portable"]
# Masks of the forms: bf16 against f32 as everywhere, f32 against f32 but for the order of sums.
SAME = {"neonbf16": 0.985, "neon": 0.999, "portable": 1.0}
MASK = "sam_annotate('nano', content, [0.5, 0.6])"


def missing() -> list[str]:
    """Return what is not here, and how to get it."""
    if platform.machine() in ("aarch64", "arm64"):
        return ["another processor: this is ARM64, where `make test` does all this"]
    rustc = os.environ.get("RUSTC", "rustc")
    told = ""
    if shutil.which(rustc):
        ask = [rustc, "--print", "target-libdir", "--target", TARGET]
        told = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    needs = [
        ("qemu-aarch64", "apt: qemu-user", shutil.which("qemu-aarch64")),
        ("aarch64-linux-gnu-gcc", "apt: gcc-aarch64-linux-gnu libc6-dev-arm64-cross", shutil.which(LINKER)),
        ("libraries of C and C++", "apt: libc6:arm64 libgcc-s1:arm64 libstdc++6:arm64", Path(LOADER).exists()),
        ("Rust's library for ARM64", "rustup target add, or apt and RUSTC: see below", told and Path(told).is_dir()),
    ]
    return [f"{what} ({how})" for what, how, there in needs if not there]


def cargo(*arguments: str) -> None:
    """Run cargo for ARM64."""
    name = TARGET.upper().replace("-", "_")
    environment = {
        **os.environ,
        f"CARGO_TARGET_{name}_LINKER": LINKER,
        f"CARGO_TARGET_{name}_RUNNER": EMULATOR,
        f"CC_{TARGET.replace('-', '_')}": LINKER,
    }
    command = ["cargo", arguments[0], "--release", "--locked", "--target", TARGET, *arguments[1:]]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def kernels(_: Path) -> None:
    """Every form of the kernels against f64, and the machine code of their inner loops."""
    cargo("test", "-p", "sam-kernels", "--lib", "--tests")
    library = max(BUILT.glob("deps/libsam_kernels-*.rlib"), key=lambda path: path.stat().st_mtime)
    subprocess.run([sys.executable, ROOT / "test" / "arm" / "loops.py", library], check=True)


def networks(_: Path) -> None:
    """The networks, in both precisions, against what PyTorch computed."""
    cargo("test", "-p", "sam-model", "--test", "network", "--", "equals_pytorch", "options_are_followed")


def extension(_: Path) -> None:
    """Build the extension file."""
    cargo("build", "-p", "sam-duckdb")
    footer = [sys.executable, ROOT / "extension" / "duckdb" / "append_footer.py", BUILT / "libsam.so", EXTENSION]
    subprocess.run([*footer, "--platform", "linux_arm64", "--extension-version", "test"], check=True)


def sql(cli: Path) -> None:
    """SQL tests in DuckDB's command line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "test" / "arm" / "engine"), "SAM_ARM_CLI": str(cli)}
    tests = [f"test/sql/{name}.test" for name in SQL]
    runner = ROOT / "python" / "tests" / "sqllogic.py"
    subprocess.run([sys.executable, runner, EXTENSION, *tests], cwd=ROOT, env=environment, check=True)


def masks(cli: Path) -> None:
    """The mask of a photograph is the same in all forms."""
    photo = "read_blob('test/data/chelsea.jpg')"
    for form in reversed(FORMS):
        wanted = WORK / "mask.parquet"
        do = [f"LOAD '{EXTENSION}'", "SELECT sam_version()"]
        if form == "portable":
            do.append(f"COPY (SELECT s.segmentation AS m FROM (SELECT {MASK} AS s FROM {photo})) TO '{wanted}'")
        compare = f"SELECT {MASK}.segmentation AS m FROM {photo}"
        do.append(f"SELECT mask_iou(a.m, b.m) AS iou FROM ({compare}) a, '{wanted}' b")
        command = [*EMULATOR.split(), cli, "-unsigned", "-csv", "-noheader"]
        command += [word for statement in do for word in ("-c", statement)]
        environment = {**os.environ, "SAM_ISA": form}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{form}: {done.stdout}{done.stderr}")
        *about, iou = done.stdout.split("\n")[:-1]
        print(f"{form:<12} IoU with portable {float(iou):.6f}  ({' '.join(about)})")
        if float(iou) < SAME[form]:
            raise SystemExit(f"{form}: the mask differs")


STEPS = {"kernels": kernels, "networks": networks, "building the extension": extension, "SQL": sql, "masks": masks}


def main(cli: Path | None) -> int:
    """Run everything, and say how long it took."""
    lacking = missing()
    if lacking:
        print(f"missing: {'; '.join(lacking)}. docs/robustness.md has the commands.", file=sys.stderr)
        return 2
    if cli is None:
        return 0
    WORK.mkdir(parents=True, exist_ok=True)
    took, start = [], time.monotonic()
    for name, run in STEPS.items():
        run(cli)
        took.append(f"{name} {time.monotonic() - start:.0f} s")
        start = time.monotonic()
    print("passed; " + ", ".join(took))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None))
