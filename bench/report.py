"""The tables, for the terminal and for RESULTS.md: both are Markdown."""

from __future__ import annotations

import re

from agreement import Verdict
from rounds import Samples
from targets import Results, Target

LABELS = {
    "torch": "PyTorch",
    "ort": "ONNX Runtime",
    "ov": "OpenVINO",
    "ours": "duckdb-sam, engine",
    "sql": "duckdb-sam, SQL",
    "forgetful": "duckdb-sam, SQL without cache",
}
TITLES = {
    "load": "Load a MobileSAM checkpoint, fresh process",
    "image": "JPEG decode and resize to 1024, 1200 x 800",
    "encode": "Encode",
    "decode": "Decode one point, three masks",
    "prompts": "Decode {prompts} points on one embedding",
    "mask": "Best mask to 1024 x 1024 (engine: and to COCO run lengths)",
    "row": "One row, JPEG to COCO run lengths",
    "vector": "{images} rows, JPEG to COCO run lengths",
    "cache": "{images} rows of new pictures, nano",
    "generate": "Everything in a picture, {points} prompts",
    "workflow": "Table of {photos} JPEGs: filter, segment half, filter (PyTorch: with pandas)",
}
# Multiply-adds of one encode, two operations each.
GFLOP = {"mobile_sam": 77.5}
NOISY = 0.05


def number(value: float, unit: str = "") -> str:
    if unit == "MB":
        return f"{value:.0f} MB"
    if unit == "s":
        return milliseconds(value)
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def milliseconds(seconds: float) -> str:
    value = seconds * 1e3
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns line up in the terminal too."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def target_table(targets: list[Target]) -> str:
    rows = []
    for target in targets:
        sign = "at least" if target.at_least else "at most"
        value = "-" if target.value is None else number(target.value, target.unit)
        turns = "" if target.turns is None else " to ".join(number(value, target.unit) for value in target.turns)
        verdict = {None: "not measured", True: "met", False: "MISSED"}[target.met]
        rows.append([target.text, value, turns, f"{sign} {number(target.limit, target.unit)}", verdict])
    return table(["target", "measured", "over the turns", "wanted", ""], rows)


def order(key: str) -> tuple[str, str, int]:
    name, model, threads = key.split(" ")
    return model, threads, list(LABELS).index(name.split("-")[0])


def stage_table(results: Results, sizes: dict[str, int]) -> str:
    """Every median, and its ratio to PyTorch f32 (else the first line) with the same model and threads."""
    rows = []
    for stage, samples in results.samples.items():
        for key in sorted(samples, key=order):
            name, model, threads = key.split(" ")
            runtime, precision = name.split("-")
            sample = samples[key]
            base = samples.get(f"torch-f32 {model} {threads}")
            first, third = sample.quartiles
            rows.append(
                [
                    TITLES[stage].format(**sizes) + (f", {model}" if stage == "encode" else ""),
                    f"{LABELS[runtime]} {precision}",
                    threads[1:],
                    milliseconds(sample.median),
                    milliseconds(min(sample.all)),
                    milliseconds(third - first),
                    f"{base.median / sample.median:.2f} x" if base else "",
                    f"{sum(sample.busy) / len(sample.busy):.2f}" if sample.busy else "",
                    str(len(sample.all)),
                ]
            )
    head = ["stage", "who", "threads", "median", "min", "quartiles apart", "PyTorch f32 / this", "cores busy", "runs"]
    return table(head, rows)


def agreement_table(verdicts: list[Verdict]) -> str:
    rows = [
        [verdict.contender, verdict.what, f"{verdict.value:.2g}" if verdict.value < 0.1 else f"{verdict.value:.4f}",
         f"{verdict.limit:g}", "agrees" if verdict.ok else "DISAGREES"]
        for verdict in verdicts
    ]  # fmt: skip
    return table(["who, against PyTorch f32", "what", "value", "limit", ""], rows)


def memory_table(results: Results) -> str:
    rows = [[key, "after the first encode and decode", f"{peak:.0f} MB"] for key, peak in results.peaks.items()]
    for key, growth in results.growth.items():
        rows.append([key, f"after {growth['images']} photographs on all threads", f"{growth['peak']:.0f} MB"])
    return table(["who", "peak resident memory", ""], rows)


def peak_lines(results: Results, peaks: dict[str, float] | str) -> list[str]:
    """How near the encoders come to what the machine can do."""
    if isinstance(peaks, str):
        return [f"- Ceilings: {peaks}"]
    lines = [
        f"- Multiply-adds on registers, all cores at once: f32 {peaks['f32']:.0f}, bf16 {peaks['bf16']:.0f} GFLOP/s"
    ]
    for key, sample in results.samples.get("encode", {}).items():
        name, model, threads = key.split(" ")
        if model in GFLOP and threads == f"x{results.threads}":
            share = GFLOP[model] / sample.median / peaks[name.split("-")[1]]
            lines.append(f"- {name}: {GFLOP[model]} GFLOP in {milliseconds(sample.median)} = {share:.0%} of that")
    return lines


def generate_lines(results: Results, points: int) -> list[str]:
    """What everything in a picture costs beside as many calls for one point."""
    lines = []
    for precision in ("f32", "bf16"):
        found, row = (results.get(stage, f"sql-{precision}") for stage in ("generate", "row"))
        decode = results.get("decode", f"ours-{precision}")
        if found and row and decode:
            lines.append(
                f"- Everything in a picture, SQL {precision}: {points} prompts in {milliseconds(found.median)}, "
                f"{milliseconds(found.median / points)} each; the engine's decoder called for one after the other "
                f"{milliseconds(decode.median * points)}, a row for each with pictures that are not known "
                f"{milliseconds(row.median * points)}"
            )
    return lines


def noise(results: Results) -> list[str]:
    """What others did to the machine meanwhile: numbers taken beside other work mean little."""
    everything: list[Samples] = [sample for stage in results.samples.values() for sample in stage.values()]
    shares = sorted(share for sample in everything for share in sample.foreign)
    if not shares:
        return []
    middle, worst = shares[len(shares) // 2], shares[-1]
    text = f"- Other processes and the host took {middle:.1%} of the machine in the median turn, {worst:.1%} at worst"
    return [text + (": TOO MUCH, measure again on a quiet machine" if middle > NOISY else "")]


def replaced(whole: str, section: str) -> str:
    """Return the file of all processors with the section of this one in the place of its old one, or at the end."""
    heading = section.splitlines()[0]
    before, *others = re.split(r"(?m)^(?=## )", whole)
    kept = [other for other in others if other.splitlines()[0] != heading]
    place = next((i for i, other in enumerate(others) if other.splitlines()[0] == heading), len(kept))
    kept.insert(place, section)
    return "\n\n".join(part.strip() for part in [before, *kept]) + "\n"
