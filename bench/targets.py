"""What the engine has to reach, as ratios of medians of the same run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

import machine
from rounds import Contender, Samples


@dataclass
class Results:
    """Everything that was measured: stage, then contender."""

    threads: int
    samples: dict[str, dict[str, Samples]] = field(default_factory=dict)
    # Resident megabytes: peak of a fresh process after its first calls, and those of a long run.
    peaks: dict[str, float] = field(default_factory=dict)
    growth: dict[str, dict[str, float]] = field(default_factory=dict)

    def get(self, stage: str, key: str, model: str = "mobile_sam", threads: int | None = None) -> Samples | None:
        runtime, precision = key.split("-")
        contender = Contender(runtime, precision, threads or self.threads, model)
        return self.samples.get(stage, {}).get(str(contender))


@dataclass
class Target:
    """`value` is None where it was not measured."""

    text: str
    limit: float
    value: float | None
    unit: str = ""
    at_least: bool = False
    turns: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def tiles() -> bool:
    """Return whether the processor has AMX."""
    return "amx_bf16" in machine.describe()["Instructions"]


def ratio(text: str, limit: float, a: Samples | None, b: Samples | None, at_least: bool = False) -> Target:
    """Median of `a` over median of `b`, with the smallest and largest of the turns' own ratios."""
    if a is None or b is None:
        return Target(text, limit, None, at_least=at_least)
    pairs = zip(a.turns, b.turns, strict=False)
    turns = [statistics.median(of_a) / statistics.median(of_b) for of_a, of_b in pairs]
    return Target(text, limit, a.median / b.median, at_least=at_least, turns=(min(turns), max(turns)))


def seconds(text: str, limit: float, a: Samples | None) -> Target:
    return Target(text, limit, a.median if a else None, "s", turns=(min(a.all), max(a.all)) if a else None)


def targets(results: Results, images: int, prompts: int) -> list[Target]:
    get, threads = results.get, results.threads
    rows = [
        ratio("encode f32 / OpenVINO f32", 0.75, get("encode", "ours-f32"), get("encode", "ov-f32")),
        ratio("encode f32 / ONNX Runtime f32", 1, get("encode", "ours-f32"), get("encode", "ort-f32")),
        ratio("encode f32 / PyTorch f32", 1, get("encode", "ours-f32"), get("encode", "torch-f32")),
        # the stricter limit where both have matrix tiles
        ratio(
            "encode bf16 / OpenVINO bf16",
            0.60 if tiles() else 0.80,
            get("encode", "ours-bf16"),
            get("encode", "ov-bf16"),
        ),
        ratio("encode bf16 / PyTorch bf16", 1, get("encode", "ours-bf16"), get("encode", "torch-bf16")),
        ratio("decode one point / PyTorch f32", 0.38, get("decode", "ours-f32"), get("decode", "torch-f32")),
        seconds("decode one point", 0.030, get("decode", "ours-f32")),
        seconds(f"decode {prompts} prompts on one embedding", 0.020 * prompts, get("prompts", "ours-f32")),
    ]
    if vit := [found for key in ("ov-f32", "ort-f32") if (found := get("encode", key, "sam_vit_b"))]:
        fastest = min(vit, key=lambda samples: samples.median)
    rows.append(
        ratio(
            "ViT-B encode f32 / the faster of OpenVINO and ONNX Runtime f32",
            0.9,
            get("encode", "ours-f32", "sam_vit_b"),
            fastest if vit else None,
        )
    )
    vit_pair = [get("encode", key, "sam_vit_b") for key in ("ours-bf16", "ov-bf16")]
    rows.append(ratio("ViT-B encode bf16 / OpenVINO bf16", 0.75, *vit_pair))
    whole_row = ratio(
        "SQL row bf16 / OpenVINO's bf16 encoder alone", 0.9, get("row", "sql-bf16"), get("encode", "ov-bf16")
    )
    rows.append(whole_row)
    for precision in ("f32", "bf16"):
        key = f"ours-{precision}"
        many, one = get("vector", key), get("vector", key, threads=1)
        if threads > 1:
            text = f"{images} images on {threads} threads / on 1, {precision}"
            rows.append(ratio(text, 0.52 if threads == 2 else 1.04 / threads, many, one))
            share = many.median * threads / one.median if many and one else None
            text = f"work per core-second on 1 thread / on {threads}, {precision}"
            rows.append(Target(text, 0.85, share, at_least=True))
        nano = get("encode", key, "nano")
        rows.append(ratio(f"MobileSAM / nano encode {precision}", 8, get("encode", key), nano, at_least=True))
    for precision, factor in (("f32", 3), ("bf16", 5)):
        sql = f"sql-{precision}"
        text = f"SQL row / the engine's own stages, {precision}"
        rows.append(ratio(text, 1.03, get("row", sql), get("row", f"ours-{precision}")))
        text = f"{images} SQL rows / the engine's own stages, {precision}"
        rows.append(ratio(text, 1.03, get("vector", sql), get("vector", f"ours-{precision}")))
        text = f"pandas + PyTorch f32 / SQL {precision}"
        rows.append(ratio(text, factor, get("workflow", "torch-f32"), get("workflow", sql), at_least=True))
    text = f"{images} SQL rows of new pictures, with the cache / without, "
    rows.append(ratio(text + "bf16", 1.01, get("vector", "sql-bf16"), get("vector", "forgetful-bf16")))
    rows.append(ratio(text + "nano f32", 1.01, get("cache", "sql-f32", "nano"), get("cache", "forgetful-f32", "nano")))
    for precision in ("f32", "bf16"):
        rows.append(seconds(f"load MobileSAM, {precision}", 0.5, get("load", f"ours-{precision}")))
        growth = results.growth.get(f"ours-{precision}")
        text = f"peak resident memory, {threads} threads, {precision}"
        rows.append(Target(text, 600, growth and growth["peak"], "MB"))
        text = f"growth of resident memory over {growth['images'] if growth else 'many'} images, {precision}"
        rows.append(Target(text, 5, growth and growth["after"] - growth["before"], "MB"))
    return rows
