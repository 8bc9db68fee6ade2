"""Tests on ARM64, under emulation on another processor: kernels, networks, and the extension in DuckDB's command line.

    python run.py CLI

``CLI`` is DuckDB's command line for ARM64 (`make test-arm` fetches it). The processor that is emulated has all instructions that the
kernels know, so that every form is tested. Nothing is installed here: what is missing is named. On ARM64 itself
`make test` does all this.
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
TARGET = "aarch64-unknown-linux-gnu"
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
    rustc = os.environ.get("RUSTC", "rustc")
    ask = [rustc, "--print", "target-libdir", "--target", TARGET]
    told = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() if shutil.which(rustc) else ""
    needs = {
        "qemu-aarch64 (apt: qemu-user)": shutil.which("qemu-aarch64"),
        "aarch64-linux-gnu-gcc (apt: gcc-aarch64-linux-gnu libc6-dev-arm64-cross)": shutil.which("aarch64-linux-gnu-gcc"),
        "C and C++ libraries of ARM64 (apt: libc6:arm64 libgcc-s1:arm64 libstdc++6:arm64)": Path(
            "/lib/ld-linux-aarch64.so.1"
        ).exists(),
        f"Rust's standard library for {TARGET} (rustup target add, or apt: rustc-web libstd-rust-web-dev:arm64 "
        "and RUSTC=/usr/bin/rustc)": told and Path(told).is_dir(),
    }
    return [what for what, there in needs.items() if not there]


def cargo(*arguments: str) -> None:
    """Run cargo for ARM64."""
    name = TARGET.upper().replace("-", "_")
    environment = {
        **os.environ,
        f"CARGO_TARGET_{name}_LINKER": "aarch64-linux-gnu-gcc",
        f"CARGO_TARGET_{name}_RUNNER": EMULATOR,
        f"CC_{TARGET.replace('-', '_')}": "aarch64-linux-gnu-gcc",
    }
    command = ["cargo", arguments[0], "--release", "--locked", "--target", TARGET, *arguments[1:]]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def kernels() -> None:
    """Every form of the kernels against f64, and the machine code of their inner loops."""
    cargo("test", "-p", "sam-kernels", "--lib", "--tests")
    library = max(BUILT.glob("deps/libsam_kernels-*.rlib"), key=lambda path: path.stat().st_mtime)
    subprocess.run([sys.executable, ROOT / "test" / "arm" / "loops.py", library], check=True)


def networks() -> None:
    """The networks, in both precisions, against what PyTorch computed."""
    cargo("test", "-p", "sam-model", "--test", "network", "equals_pytorch", "options_are_followed")


def extension() -> Path:
    """Build the extension file."""
    cargo("build", "-p", "sam-duckdb")
    target = WORK / "sam.duckdb_extension"
    footer = [sys.executable, ROOT / "extension" / "duckdb" / "append_footer.py", BUILT / "libsam.so", target]
    subprocess.run([*footer, "--platform", "linux_arm64", "--extension-version", "test"], check=True)
    return target


def sql(cli: Path, file: Path) -> None:
    """SQL tests in DuckDB's command line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "test" / "arm" / "engine"), "SAM_ARM_CLI": str(cli)}
    tests = [f"test/sql/{name}.test" for name in SQL]
    runner = ROOT / "python" / "tests" / "sqllogic.py"
    subprocess.run([sys.executable, runner, file, *tests], cwd=ROOT, env=environment, check=True)


def masks(cli: Path, file: Path) -> None:
    """The mask of a photograph is the same in all forms."""
    photo = "read_blob('test/data/chelsea.jpg')"
    for form in reversed(FORMS):
        wanted = WORK / "mask.parquet"
        do = [f"LOAD '{file}'", "SELECT sam_version()"]
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


def main(cli: Path) -> int:
    """Run everything, and say how long it took."""
    if platform.machine() in ("aarch64", "arm64"):
        print("this is an ARM64 machine: `make test` tests all of it, faster")
        return 0
    lacking = missing()
    for what in lacking:
        print(f"missing: {what}", file=sys.stderr)
    if lacking:
        print("docs/robustness.md has the commands", file=sys.stderr)
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    took = {}
    start = time.monotonic()
    for name in ("kernels", "networks"):
        globals()[name]()
        took[name], start = time.monotonic() - start, time.monotonic()
    file = extension()
    took["building the extension"], start = time.monotonic() - start, time.monotonic()
    sql(cli, file)
    took["SQL tests"], start = time.monotonic() - start, time.monotonic()
    masks(cli, file)
    took["masks"] = time.monotonic() - start
    print("passed; " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
