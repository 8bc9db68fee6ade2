"""The machine code of the kernels' inner loops for ARM64.

    python loops.py LIBRARY.rlib

Checks the loops of register tiles and of GELU (`kernels/src/simd/neon.rs`): no more instructions than were reached, no
call, nothing on the stack. Emulation says nothing about speed, so this is what keeps the kernels fast.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

BRANCHES = {"b", "cbz", "cbnz", "tbz", "tbnz"}
MULTIPLY_ADDS = ("fmla", "bfmmla")


class Loop(NamedTuple):
    """An innermost loop; straight if its only branch is that at the end."""

    function: str
    instructions: int
    count: Counter[str]
    on_stack: int
    straight: bool

    def holds(self, name: str, number: int) -> bool:
        """Whether its multiply-adds are exactly so many of this name."""
        return [self.count[other] for other in MULTIPLY_ADDS] == [number * (other == name) for other in MULTIPLY_ADDS]


class Rule(NamedTuple):
    """A kind of loops, told by their multiply-adds, and the instructions that each may have at most."""

    what: str
    instruction: str
    multiply_adds: int
    most: int


RULES = [
    Rule("f32, 12 x 8 sums, 2 steps", "fmla", 48, 80),
    Rule("f32, 8 x 8 sums, 2 steps", "fmla", 32, 56),
    Rule("bf16, 12 x 8 sums, 2 steps of 2", "bfmmla", 24, 54),
    Rule("bf16, 8 x 8 sums, 2 steps of 2", "bfmmla", 16, 40),
    Rule("GELU for f32, 4 values", "fmla", 14, 38),
    Rule("GELU for bf16, 4 values", "fmla", 9, 28),
]


def functions(library: str) -> Iterator[tuple[str, list[tuple[int, str, str]]]]:
    """Yield the NEON functions of a library: name, and address, name and operands of each instruction."""
    command = ["aarch64-linux-gnu-objdump", "-d", "-C", "--no-show-raw-insn", library]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for block in re.split(r"\n\n(?=[0-9a-f]+ <)", text):
        head, _, body = block.partition("\n")
        name = re.search(r"<(.*)>:", head)
        if name and re.search(r"run_neon|simd::neon::", name[1]):
            code = re.findall(r"^ +([0-9a-f]+):\t(\S+)(?:\t(.*))?$", body, re.MULTILINE)
            yield name[1], [(int(address, 16), operation, operands) for address, operation, operands in code]


def loops(library: str) -> Iterator[Loop]:
    """Yield the innermost loops: from the target of a branch backwards to the branch, with no other inside."""
    for name, code in functions(library):
        places = {address: i for i, (address, _, _) in enumerate(code)}
        spans = []
        for end, (_, operation, operands) in enumerate(code):
            if operation in BRANCHES or operation.startswith("b."):
                target = re.search(r"\b([0-9a-f]+) <", operands)
                start = places.get(int(target[1], 16)) if target else None
                if start is not None and start <= end:
                    spans.append((start, end))
        spans.sort(key=lambda span: span[1] - span[0])
        taken = bytearray(len(code))
        for start, end in spans:
            if any(taken[start : end + 1]):
                continue
            taken[start : end + 1] = b"\1" * (end + 1 - start)
            body = code[start : end + 1]
            count = Counter(operation for _, operation, _ in body)
            branches = sum(n for operation, n in count.items() if operation in BRANCHES or operation.startswith("b."))
            on_stack = sum("[sp" in operands for _, operation, operands in body if operation.startswith(("ld", "st")))
            yield Loop(name, len(body), count, on_stack, branches == 1)


def main(library: str) -> int:
    """Print a line for each kind of loop; the exit status tells whether all are as they should be."""
    found = list(loops(library))
    failed = 0
    print(f"{'loop':<36}{'loops':>6}{'multiply-adds':>15}{'instructions':>14}{'loads':>7}")
    for rule in RULES:
        kind = [loop for loop in found if loop.holds(rule.instruction, rule.multiply_adds)]
        kind = [loop for loop in kind if loop.straight and not loop.count["shl"]]  # not bf16 as two f32
        if rule.what.startswith("GELU"):
            kind = [loop for loop in kind if "gelu_all" in loop.function]
        calls = sum(loop.count["bl"] + loop.count["blr"] + loop.on_stack for loop in kind)
        most = max((loop.instructions for loop in kind), default=0)
        least = min((loop.instructions for loop in kind), default=0)
        loads = max((sum(n for name, n in loop.count.items() if name.startswith("ld")) for loop in kind), default=0)
        wrong = not kind or calls or most > rule.most
        failed += bool(wrong)
        spread = f"{least} to {most}" if least < most else f"{most}"
        numbers = f"{len(kind):>6}{rule.multiply_adds:>15}{spread:>14}{loads:>7}"
        print(f"{rule.what:<36}{numbers}{'  WRONG' if wrong else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
