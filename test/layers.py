"""Looks for circles of files in the Rust crates below `extension/`: files that need each other, at once or by others.

    python test/layers.py [CRATE ...]

Every path in code that is no test (`use crate::a::b`, `super::a`, paths inside of functions) is followed to the file
that defines it, through the re-exports (`pub use`) of a module. What a module declares and re-exports is no need of its
own, so a `mod.rs` of nothing else is never part of a circle. Prints each circle, and exits with 1 if there is any.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "extension"

NAME = r"[A-Za-z_][A-Za-z0-9_]*"


def without_noise(text: str) -> str:
    """The code without comments, texts of literals, and modules of tests."""
    text = re.sub(r"(?m)^\s*//[^\n]*", "", text)
    text = re.sub(r"""b?'(?:\\.|[^\\'\n])'""", "' '", text)
    text = re.sub(r'r(#+)".*?"\1', '""', text, flags=re.S)
    text = re.sub(r'b?"(?:\\.|[^"\\])*"', '""', text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    while found := re.search(r"#\[cfg\((?:all\()?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*", text):
        text = text[: found.start()] + text[end_of_item(text, found.end()) :]
    return text


def end_of_item(text: str, start: int) -> int:
    """Where the item that begins at `start` ends: behind its braces, or its semicolon."""
    depth = 0
    for index in range(start, len(text)):
        letter = text[index]
        depth += (letter == "{") - (letter == "}")
        if depth == 0 and letter in "};":
            return index + 1
    return len(text)


def expand(tree: str) -> list[list[str]]:
    """The paths of a use tree: `a::{b, c::d as e}` is a::b and a::c::d (as e)."""
    tree = tree.strip()
    if "{" not in tree:
        return [[part.strip() for part in tree.split("::")]] if tree else []
    head, inner = tree.split("{", 1)
    inner = inner[: inner.rindex("}")]
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(inner):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            parts.append(inner[start:index])
            start = index + 1
    parts.append(inner[start:])
    prefix = [part.strip() for part in head.split("::") if part.strip()]
    return [prefix + path for part in parts for path in expand(part)]


class Crate:
    """The modules of a crate: what each declares, re-exports and needs."""

    def __init__(self, folder: Path):
        self.files: dict[tuple[str, ...], Path] = {}
        self.exports: dict[tuple[str, ...], dict[str, list[str]]] = {}
        self.needs: dict[tuple[str, ...], list[list[str]]] = {}
        self.add((), folder / "src" / "lib.rs")

    def add(self, module: tuple[str, ...], path: Path):
        text = without_noise(path.read_text(encoding="utf-8"))
        self.files[module] = path
        self.exports[module], self.needs[module] = {}, []
        folder = path.parent if path.name in ("lib.rs", "mod.rs") else path.with_suffix("")
        for name in re.findall(rf"\bmod\s+({NAME})\s*;", text):
            places = [folder / f"{name}.rs", folder / name / "mod.rs"]
            self.add((*module, name), next(place for place in places if place.exists()))

        def statement(found: re.Match[str]) -> str:
            for parts in expand(found["tree"]):
                *parts, last = parts
                origin, _, alias = last.partition(" as ")
                parts.append(origin.strip())
                if found["public"]:
                    name = alias.strip() or (parts[-2] if parts[-1] == "self" else parts[-1])
                    self.exports[module][name] = [part for part in parts if part != "self" or part == parts[0]]
                else:
                    self.needs[module].append(parts)
            return ""

        rest = re.sub(r"(?m)^\s*(?P<public>pub(?:\([^)]*\))?\s+)?use\s+(?P<tree>[^;]+);", statement, text)
        for path_in_code in re.findall(rf"\b(?:crate|super)(?:::{NAME})+", rest):
            self.needs[module].append(path_in_code.split("::"))
        for path_in_code in re.findall(rf"(?<![:\w]){NAME}(?:::{NAME})+", rest):
            if (*module, path_in_code.split("::")[0]) in self.files:
                self.needs[module].append(path_in_code.split("::"))

    def absolute(self, module: tuple[str, ...], parts: list[str]) -> tuple[str, ...] | None:
        """The path from the root of the crate; nothing for paths into other crates."""
        at = module
        if parts[0] == "crate":
            return tuple(parts[1:])
        if parts[0] in ("self", "super"):
            while parts and parts[0] in ("self", "super"):
                at = at[:-1] if parts[0] == "super" else at
                parts = parts[1:]
            return (*at, *parts)
        return (*at, *parts) if (*at, parts[0]) in self.files or parts[0] in self.exports[at] else None

    def defining(self, path: tuple[str, ...], depth: int = 0) -> tuple[str, ...] | None:
        """The module with the definition that a path leads to."""
        module = ()
        for index, part in enumerate(path):
            if (*module, part) in self.files:
                module = (*module, part)
                continue
            exports = self.exports[module]
            if part in exports and depth < 20:
                target = self.absolute(module, exports[part])
                return None if target is None else self.defining((*target, *path[index + 1 :]), depth + 1)
            return module
        return module

    def edges(self) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
        edges: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for module, needs in self.needs.items():
            paths = (self.absolute(module, need) for need in needs)
            targets = {self.defining(path) for path in paths if path is not None}
            edges[module] = {target for target in targets if target is not None and target != module}
        return edges


def circles(edges: dict) -> list[list]:
    """Strongly connected components with more than one member (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def main(names: list[str]) -> int:
    folders = [ROOT / name for name in names] or sorted(path.parent for path in ROOT.glob("*/Cargo.toml"))
    count = 0
    for folder in folders:
        crate = Crate(folder)
        edges = crate.edges()
        found = circles(edges)
        count += len(found)
        print(f"{folder.name}: {len(crate.files)} files, {len(found)} circles")
        name = {module: str(path.relative_to(folder / "src")) for module, path in crate.files.items()}
        for circle in found:
            for module in circle:
                print(f"  {name[module]} -> {', '.join(sorted(name[other] for other in edges[module] & set(circle)))}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    sys.exit(main(sys.argv[1:]))
