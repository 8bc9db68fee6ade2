#!/usr/bin/env python3
"""Builds and tests the extension as DuckDB's community repository does, on its machines (docs/releasing.md).

    build.py build release|debug    writes build/release/sam.duckdb_extension, and a copy where its workflow looks
    build.py test release|debug     runs the SQL tests with that file

The environment is that workflow's: DUCKDB_PLATFORM, OSX_BUILD_ARCH, LINUX_CI_IN_DOCKER. Its containers have Python 3.6.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
SYSTEMS = {"Linux": "linux", "Darwin": "osx", "Windows": "windows"}
TARGETS = {"osx_amd64": "x86_64-apple-darwin", "osx_arm64": "aarch64-apple-darwin"}
LIBRARIES = {"linux": "libsam.so", "osx": "libsam.dylib", "windows": "sam.dll"}


def here() -> str:
    """Return DuckDB's name of this machine's platform."""
    return f"{SYSTEMS[platform.system()]}_{MACHINES[platform.machine().lower()]}"


def built(profile: str) -> Path:
    """Return the path of the extension."""
    return ROOT / "build" / profile / "sam.duckdb_extension"


def build(profile: str) -> None:
    """Compile the extension for the platform that is asked for, or this machine's."""
    wanted = os.environ.get("DUCKDB_PLATFORM") or here()
    system = wanted.split("_")[0]
    if wanted not in {f"{system}_{processor}" for processor in MACHINES.values()} or system not in LIBRARIES:
        raise SystemExit(f"the extension is not built for {wanted}: see excluded_platforms in description.yml")
    command = ["cargo", "build", "--locked", "-p", "sam-duckdb"]
    command += ["--release"] if profile == "release" else []
    folder = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    if wanted in TARGETS:
        command += ["--target", TARGETS[wanted]]
        folder = folder / TARGETS[wanted]
    subprocess.check_call(command, cwd=str(ROOT))
    [version] = re.findall(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[:1]
    extension = built(profile)
    copy = extension.parent / "extension" / "sam" / extension.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    footer = [sys.executable, str(ROOT / "extension" / "duckdb" / "append_footer.py")]
    footer += [str(folder / profile / LIBRARIES[system]), str(extension)]
    subprocess.check_call([*footer, "--platform", wanted, "--extension-version", version])
    shutil.copyfile(str(extension), str(copy))
    print(f"{extension.relative_to(ROOT)} {version} for {wanted}")


def test(profile: str) -> None:
    """Run the SQL tests with the release of DuckDB that is asked for, or the newest, in an environment of their own."""
    wanted = os.environ.get("DUCKDB_PLATFORM") or here()
    if os.environ.get("LINUX_CI_IN_DOCKER") == "1" or wanted != here():
        print(f"not tested: {wanted} on {here()}" if wanted != here() else "not tested in the container, but outside")
        return
    release = re.fullmatch(r"v(\d+\.\d+\.\d+)", os.environ.get("DUCKDB_GIT_VERSION", ""))
    environment = ROOT / "build" / "community"
    python = environment / ("Scripts/python.exe" if platform.system() == "Windows" else "bin/python")
    subprocess.check_call([sys.executable, "-m", "venv", str(environment)])
    engine = f"duckdb=={release[1]}" if release else "duckdb"
    subprocess.check_call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", engine])
    files = sorted(str(path) for path in (ROOT / "test" / "sql").glob("*.test"))
    runner = str(ROOT / "python" / "tests" / "sqllogic.py")
    subprocess.check_call([str(python), runner, str(built(profile)), *files], cwd=str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description="Build and test the extension as DuckDB's community repository does.")
    parser.add_argument("task", choices=["build", "test"])
    parser.add_argument("profile", choices=["release", "debug"])
    arguments = parser.parse_args()
    {"build": build, "test": test}[arguments.task](arguments.profile)


if __name__ == "__main__":
    main()
