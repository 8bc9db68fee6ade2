"""Side by side: this project's engine and extension, PyTorch, ONNX Runtime, OpenVINO, pandas + PyTorch.

    make bench                                        everything, writes bench/RESULTS.md
    make bench ARGS="--quick"                         a smoke run of some minutes
    make bench ARGS="--only encode,decode --runs 21"

README.md beside this file says what is measured and why in this way.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import agreement
import machine
import report
from rounds import Contender, FailedError, Pool, Samples, Worker
from targets import Results, targets
from worker import GENERATE

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "build" / "bench"
PEERS = ["torch-f32", "torch-bf16", "ort-f32", "ov-f32", "ov-bf16", "ours-f32", "ours-bf16"]
OURS = ["ours-f32", "ours-bf16"]
STAGES = ["load", "image", "encode", "decode", "prompts", "mask", "one_core", "nano", "vit_b", "vector", "row",
          "workflow", "cache", "generate", "memory"]  # fmt: skip


class Bench:
    """One invocation."""

    def __init__(self, options: argparse.Namespace, engine: Path) -> None:
        self.options = options
        sizes = {"vector": options.vector, "prompts": options.prompts}
        self.pool = Pool(FILES, FILES / f"photos-{options.photos}", engine, sizes)
        self.results = Results(options.threads)
        self.verdicts: list[agreement.Verdict] = []
        self.references: dict[str, agreement.Outputs] = {}

    def contenders(self, keys: list[str], model: str = "mobile_sam", threads: int | None = None) -> list[Contender]:
        pairs = [key.split("-") for key in keys]
        chosen = [Contender(runtime, precision, threads or self.options.threads, model) for runtime, precision in pairs]
        return [contender for contender in chosen if contender.runtime not in self.options.without]

    def wanted(self, *stages: str) -> bool:
        return any(stage in self.options.only for stage in stages)

    def time(self, stage: str, workers: list[Worker]) -> None:
        runs, per_turn, warmups = self.options.runs, self.options.per_turn, 1
        if stage in ("vector", "generate"):  # a run is an average over many images, or prompts, already
            runs, per_turn, warmups = min(3, runs), 1, 0
        elif stage == "row":  # all threads work on one picture: whatever else runs on the machine holds it up
            runs, per_turn = 3 * runs, 2 * per_turn
        timed = self.pool.rounds(stage, workers, runs, min(per_turn, runs), warmups)
        self.results.samples.setdefault(stage, {}).update(timed)

    def check(self, workers: dict[str, Worker]) -> None:
        """Compare what the workers computed with PyTorch f32 on the same inputs."""
        outputs = {}
        for key, worker in workers.items():
            if worker.contender.model == "nano":
                continue  # compared with its own reference by the tests of sam-model
            prefix = agreement.prefix(FILES, key)
            photos = self.options.photos if worker.contender.model == "mobile_sam" else 0
            try:
                outputs[key] = agreement.read(worker.ask(f"save {prefix} {photos}"), prefix)
            except FailedError as error:
                self.pool.note(worker.contender, f"save: {error}")
                self.verdicts.append(agreement.Verdict(key, "gives its outputs", 0, 1, False))
                continue
            if worker.contender.key == "torch-f32":
                self.references[worker.contender.model] = outputs[key]
        for key, output in outputs.items():
            contender = workers[key].contender
            reference = self.references.get(contender.model)
            if reference is None:
                print(f"  {key}: no PyTorch f32 to compare with", flush=True)
            elif contender.key != "torch-f32":
                verdicts = agreement.compare(key, contender.precision, reference, output)
                self.verdicts += verdicts
                for verdict in verdicts:
                    sign = "agrees" if verdict.ok else "DISAGREES"
                    print(f"  {sign:9} {key:34} {verdict.what} {verdict.value:.3g}", flush=True)

    def stages(self) -> None:
        """The network's stages, all runtimes."""
        wanted = [stage for stage in ("encode", "decode", "prompts") if self.wanted(stage)]
        beside = [stage for stage in ("image", "mask") if self.wanted(stage)]
        contenders = self.contenders(PEERS if wanted or beside else OURS)
        if self.wanted("nano"):  # in the same rounds as MobileSAM, with which it is compared
            contenders += self.contenders(OURS, "nano")
            wanted = wanted if "encode" in wanted else ["encode", *wanted]
        if not wanted and not beside:
            return
        print("Stage by stage", flush=True)
        with self.pool.started(contenders) as workers:
            self.check(workers)
            for stage in wanted:
                nano = stage == "encode"
                self.time(stage, [worker for worker in workers.values() if nano or worker.contender.model != "nano"])
            for stage in beside:
                few = [
                    workers[str(found)] for found in self.contenders(["torch-f32", "ours-f32"]) if str(found) in workers
                ]
                self.time(stage, few)

    def group(self, title: str, stage: str, contenders: list[Contender], check: bool) -> None:
        """One stage of other contenders."""
        print(title, flush=True)
        with self.pool.started(contenders) as workers:
            if check:
                self.check(workers)
            if workers:
                self.time(stage, list(workers.values()))

    def load(self) -> None:
        """Every run a fresh process, in turn; the files are in the page cache."""
        print("Load", flush=True)
        runs = self.options.runs
        for number in range(runs + 1):
            for contender in self.contenders(PEERS):
                with self.pool.started([contender]) as workers:
                    for key, worker in workers.items():
                        self.results.peaks[contender.key] = worker.peak
                        if number:  # the first fills the page cache
                            samples = self.results.samples.setdefault("load", {}).setdefault(key, Samples())
                            samples.turns.append([worker.ready["load"]])

    def memory(self) -> None:
        print("Memory", flush=True)
        for contender in self.contenders(OURS):
            with self.pool.started([contender]) as workers:
                for worker in workers.values():
                    growth = worker.ask(f"memory {self.options.soak}")
                    self.results.growth[contender.key] = {**growth, "images": self.options.soak}
                    print(f"  {contender.key}: {growth}", flush=True)

    def generate(self) -> None:
        """Everything in a picture, and whether the same was found."""
        print("Everything in a picture", flush=True)
        with self.pool.started(self.contenders(["torch-f32", "sql-f32", "sql-bf16"])) as workers:
            self.time("generate", list(workers.values()))
            timed = self.results.samples["generate"]  # who failed is noted, and has nothing to compare
            found = {key: agreement.masks(workers[key].ask("generated")) for key in timed}
        reference = found.get(str(Contender("torch", "f32", self.options.threads)))
        if reference is not None:
            others = {key: masks for key, masks in found.items() if not key.startswith("torch")}
            self.verdicts += [agreement.compare_found(key, reference, masks) for key, masks in others.items()]

    def run(self) -> None:
        of, threads = self.contenders, self.options.threads
        sql = ["sql-f32", "sql-bf16"]
        steps: dict[str, Callable[[], None]] = {
            "one_core": lambda: self.group("One thread", "encode", of(PEERS, threads=1), check=False),
            "vit_b": lambda: self.group(
                "ViT-B", "encode", of(["torch-f32", "ort-f32", "ov-f32", "ov-bf16", *OURS], "sam_vit_b"), check=True
            ),
            "row": lambda: self.group("One row", "row", of(OURS + sql), check=False),
            "workflow": lambda: self.group(
                "Workflow", "workflow", of(["torch-f32", "torch-bf16", *sql]), check=True
            ),
            "vector": lambda: self.group(
                "Vector",
                "vector",
                of([*OURS, *sql, "forgetful-bf16"]) + (of(OURS, threads=1) if threads > 1 else []),
                check=False,
            ),
            "cache": lambda: self.group("Cache", "cache", of(["sql-f32", "forgetful-f32"], "nano"), check=False),
            "generate": self.generate,
            "load": self.load,
            "memory": self.memory,
        }  # fmt: skip
        self.stages()
        for stage, step in steps.items():
            if self.wanted(stage):
                step()

    def report(self, peaks: dict[str, float] | str) -> tuple[str, str]:
        """The summary for the terminal, and the whole file."""
        options, results = self.options, self.results
        points = GENERATE["points_per_side"] ** 2
        sizes = {"images": options.vector, "prompts": options.prompts, "photos": options.photos, "points": points}
        summary = report.target_table(targets(results, options.vector, options.prompts))
        missing = [f"- {who}: {why}" for who, why in self.pool.failures.items()]
        facts = [f"- {name}: {value}" for name, value in (machine.describe() | self.pool.versions).items()]
        command = "make bench" + (f' ARGS="{" ".join(options.shown)}"' if options.shown else "")
        sections = [
            f"## {machine.name()}",
            f"Written by `{command}`. All of one run.",
            "\n".join([*facts, *report.peak_lines(results, peaks), *report.generate_lines(results, points),
                       *report.noise(results)]),
            "### Targets\n\n" + summary,
            "### All medians\n\n" + report.stage_table(results, sizes),
            "### Memory\n\n" + report.memory_table(results) if results.peaks or results.growth else "",
            "### Agreement\n\n" + report.agreement_table(self.verdicts) if self.verdicts else "",
            "### Not run\n\n" + "\n".join(missing) if missing else "",
        ]  # fmt: skip
        return summary, "\n\n".join(section for section in sections if section) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of every contender (default: 2)")
    parser.add_argument("--runs", type=int, default=10, help="runs of each that count (default: 10)")
    parser.add_argument("--per-turn", type=int, default=2, help="runs before the next one's turn (default: 2)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=STAGES, metavar="STAGE,...",
                        help=f"of {', '.join(STAGES)}")  # fmt: skip
    parser.add_argument("--without", type=lambda text: text.split(","), default=[], metavar="RUNTIME,...",
                        help="of torch, ort, ov, ours, sql")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="two runs of small cases, to see that everything works")
    parser.add_argument("--onnx", type=Path, help="folder with mobile_sam_encoder.onnx, ... (default: exported here)")
    parser.add_argument("--engine", type=Path, help="a built example `measure` (default: cargo builds it)")
    parser.add_argument("--vector", type=int, default=64, help="images in a vector (default: 64)")
    parser.add_argument("--prompts", type=int, default=64, help="prompts on one embedding (default: 64)")
    parser.add_argument("--photos", type=int, default=8, help="photographs in the workflow's table (default: 8)")
    parser.add_argument("--soak", type=int, default=1000, help="images of the memory stage (default: 1000)")
    options = parser.parse_args()
    if unknown := set(options.only) - set(STAGES):
        parser.error(f"unknown stages: {', '.join(sorted(unknown))}")
    # What RESULTS.md shows: no folders of this machine.
    options.shown = [
        argument for argument in sys.argv[1:] if "/" not in argument and argument not in ("--onnx", "--engine")
    ]
    if options.quick:
        options.runs, options.vector, options.prompts, options.photos, options.soak = 2, 4, 4, 2, 4
        if options.only is STAGES:
            options.only = [stage for stage in STAGES if stage != "vit_b"]
    return options


def build_engine() -> Path:
    """Let cargo build examples/measure.rs; it says where it is."""
    command = ["cargo", "build", "--release", "--locked", "-p", "sam-model", "--example", "measure"]
    built = subprocess.run([*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE)
    if built.returncode:
        raise SystemExit("the engine does not build")
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return Path(next(message["executable"] for message in messages if message.get("executable")))


def main() -> None:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the workers end too
    engine = options.engine or build_engine()
    models = ["mobile_sam"] + (["sam_vit_b"] if "vit_b" in options.only else [])
    inputs = ["--out", str(FILES), "--photos", str(options.photos), "--models", *models]
    inputs += ["--onnx", str(options.onnx)] if options.onnx else []
    subprocess.run([sys.executable, str(ROOT / "bench" / "inputs.py"), *inputs], check=True)
    peaks = "left out in a quick run" if options.quick else machine.ceilings(options.threads)

    bench = Bench(options, engine)
    stopped = False
    try:
        bench.run()
    except (KeyboardInterrupt, SystemExit):  # what was measured until then is reported all the same
        stopped = True
    summary, text = bench.report(peaks)
    raw = {stage: {who: vars(found) for who, found in of.items()} for stage, of in bench.results.samples.items()}
    (FILES / "raw.json").write_text(json.dumps(raw, indent=1))
    whole = not stopped and not options.quick and options.only is STAGES and not options.without
    path = ROOT / "bench" / "RESULTS.md" if whole else FILES / "RESULTS-part.md"
    path.write_text(report.replaced(path.read_text(), text) if whole else text)
    print(f"\n{summary}\n\n" + "\n".join(report.noise(bench.results)) + f"\n\nwritten: {path.relative_to(ROOT)}")
    wrong = [
        f"{verdict.contender}, {verdict.what}: {verdict.value:.4g}" for verdict in bench.verdicts if not verdict.ok
    ]
    if wrong:
        sys.exit("THE OUTPUTS DO NOT AGREE, so the times above mean nothing:\n  " + "\n  ".join(wrong))


if __name__ == "__main__":
    main()
