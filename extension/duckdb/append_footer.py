#!/usr/bin/env python3
"""Turns the shared library into a DuckDB extension: appends the 534 bytes that DuckDB reads before it loads a file.

They are a WebAssembly custom section header (22 bytes), eight fields of 32 bytes, and 256 bytes for a signature, here
zeros: the file is unsigned. The ABI is C_STRUCT with the C API v1.2.0, so one file serves every DuckDB from 1.2 on
that has the same platform string (`PRAGMA platform`).
"""

import argparse
from pathlib import Path

ABI = "C_STRUCT"
API_VERSION = "v1.2.0"  # as in src/entry.rs
MAGIC = "4"

FIELD = 32
SIGNATURE = 256
SECTION_NAME = b"duckdb_signature"
# Section id 0; its length, 531, and the length of the rest, 512, in LEB128.
SECTION = b"\x00\x93\x04" + bytes([len(SECTION_NAME)]) + SECTION_NAME + b"\x80\x04"


def field(value: str) -> bytes:
    data = value.encode("ascii")
    if len(data) >= FIELD:
        raise SystemExit(f"'{value}' is longer than the {FIELD - 1} bytes of a footer field")
    return data.ljust(FIELD, b"\0")


def footer(platform: str, extension_version: str) -> bytes:
    # From the eighth field down to the first; three are reserved.
    fields = ["", "", "", ABI, extension_version, API_VERSION, platform, MAGIC]
    return SECTION + b"".join(map(field, fields)) + bytes(SIGNATURE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Turn the shared library into a DuckDB extension.")
    parser.add_argument("library", type=Path, help="the shared library that cargo built")
    parser.add_argument("extension", type=Path, help="the extension to write; its name must begin with 'sam.'")
    parser.add_argument("--platform", required=True, help="what PRAGMA platform says, such as linux_amd64")
    parser.add_argument("--extension-version", required=True, help="what duckdb_extensions() is to say")
    arguments = parser.parse_args()
    if not arguments.extension.name.lower().startswith("sam."):
        # DuckDB derives the name of the entry point from the file name, up to its first dot.
        parser.error(f"DuckDB cannot load an extension 'sam' from a file named '{arguments.extension.name}'")
    data = arguments.library.read_bytes() + footer(arguments.platform, arguments.extension_version)
    temporary = arguments.extension.with_name(arguments.extension.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(arguments.extension)  # in one step: a process that has the old file mapped keeps it


if __name__ == "__main__":
    main()
