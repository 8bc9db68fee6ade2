"""One contender in a process of its own, driven by rounds.py through its standard input and output.

    python bench/worker.py --runtime torch --precision f32 --threads 2 --model mobile_sam --files build/bench

Speaks as extension/model/examples/measure.rs does: a JSON line when ready, then a JSON line for every line
`STAGE WARMUPS RUNS`, with the raw seconds of each run, `save PREFIX PHOTOS`, or `generated` for the masks of the last
`generate`.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

POINT = (0.5, 0.6)
SIDE = 1024
PADDING = ((0.0, 0.0), -1.0)  # a point that SAM adds where there is no box
# Of SAM's automatic mask generator. The thresholds suit the seeded weights, whose masks are noise: some are kept.
GENERATE = {"points_per_side": 16, "pred_iou_thresh": 0.5, "stability_score_thresh": 0.05,
            "box_nms_thresh": 1.0}  # fmt: skip


def grid(count: int) -> list[tuple[float, float]]:
    """Points on a square grid, as SAM's automatic mask generator places them; measure.rs has the same."""
    side = int(np.ceil(count**0.5))
    return [((index % side + 0.5) / side, (index // side + 0.5) / side) for index in range(count)]


def freshened(photos: list[bytes], serial: int) -> list[bytes]:
    """The same pictures with other bytes (a JPEG comment after the first segment): nothing can be remembered."""
    fresh = []
    for index, photo in enumerate(photos):
        comment = f"{serial:08}-{index:08}".encode()
        at = 4 + int.from_bytes(photo[4:6], "big")
        fresh.append(photo[:at] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + photo[at:])
    return fresh


class Contender:
    """A stage is a method of its name that does one run; `prepare_STAGE`, if there is one, and `check` do not count."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.files: Path = options.files
        self.photos = [path.read_bytes() for path in sorted(options.photos.glob("*.jpg"))]
        self.tensor = np.load(self.files / "square.npy")
        self.serial = 0

    def load(self) -> None:
        """From file to ready."""

    def first(self) -> dict[str, float]:
        """The first calls, timed: embedding and logits are kept for later ones."""
        seconds = {}
        for stage in ("encode", "decode"):
            start = time.perf_counter()
            getattr(self, stage)()
            seconds[f"first_{stage}"] = time.perf_counter() - start
        return seconds

    def versions(self) -> dict[str, str]:
        return {}

    def save(self, prefix: str, photos: int) -> dict[str, Any]:
        """Write what the agreement of all contenders is judged by."""
        answer: dict[str, Any] = {}
        for name in ("embedding", "logits", "masks"):
            if (value := getattr(self, name, None)) is not None:
                path = f"{prefix}.{name}.npy"
                np.save(path, value)
                answer[name] = path
        return answer

    def check(self) -> None:
        """After each run: whether it has done the work."""

    def stage(self, name: str, warmups: int, runs: int) -> list[float]:
        run: Callable[[], None] = getattr(self, name)
        prepare = getattr(self, f"prepare_{name}", lambda: None)
        seconds = []
        gc.collect()
        gc.disable()
        for index in range(warmups + runs):
            prepare()
            start = time.perf_counter()
            run()
            wall = time.perf_counter() - start
            self.check()
            if index >= warmups:
                seconds.append(wall)
        gc.enable()
        return seconds


class Torch(Contender):
    """The authors' code on PyTorch, as most people run it: eager, bf16 by autocast."""

    def load(self) -> None:
        import torch
        from inputs import authors_package, torch_model

        torch.set_num_threads(self.options.threads)
        torch.set_grad_enabled(False)
        self.torch = torch
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=self.options.precision == "bf16")
        self.package = authors_package(self.options.model)  # imports do not count
        start = time.perf_counter()
        self.model = torch_model(self.options.model, self.files / f"{self.options.model}.pth")
        self.seconds = time.perf_counter() - start
        self.input = torch.from_numpy(self.tensor)

    def versions(self) -> dict[str, str]:
        return {"PyTorch": self.torch.__version__.split("+")[0]}

    def encode(self) -> None:
        with self.autocast:
            self.features = self.model.image_encoder(self.input)

    def predict(self, points: list[tuple[float, float]]) -> Any:
        coords = self.torch.tensor(points)[:, None] * SIDE
        with self.autocast:
            sparse, dense = self.model.prompt_encoder(
                points=(coords, self.torch.ones(len(points), 1)), boxes=None, masks=None
            )
            return self.model.mask_decoder(
                image_embeddings=self.features,
                image_pe=self.model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=True,
            )

    def decode(self) -> None:
        self.low_res, self.ious = self.predict([POINT])

    def prompts(self) -> None:
        """All in one batch, as SAM's automatic mask generator does."""
        self.predict(grid(self.options.prompts))

    def mask(self) -> None:
        """Only the best one, and no run lengths: less than what this project's stage does."""
        best = int(self.ious[0].argmax())
        low_res = self.low_res[:, best : best + 1].float()
        self.model.postprocess_masks(low_res, (SIDE, SIDE), (SIDE, SIDE)) > self.model.mask_threshold  # noqa: B015

    def picture(self, photo: bytes) -> np.ndarray:
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(photo)).convert("RGB"))

    def image(self) -> None:
        self.predictor().transform.apply_image(self.picture(self.photos[0]))

    def predictor(self) -> Any:
        if not hasattr(self, "_predictor"):
            self._predictor = self.package.SamPredictor(self.model)
        return self._predictor

    def segment(self, photo: bytes) -> tuple[np.ndarray, float]:
        """One row of the workflow without a database: JPEG bytes to the best mask."""
        picture = self.picture(photo)
        height, width = picture.shape[:2]
        predictor = self.predictor()
        with self.autocast:
            predictor.set_image(picture)
        predictor.features = predictor.features.float()  # predict() returns NumPy arrays, which have no bf16
        coords = np.array([[POINT[0] * width, POINT[1] * height]], np.float32)
        masks, ious, _ = predictor.predict(point_coords=coords, point_labels=np.array([1]))
        best = int(ious.argmax())
        return masks[best], float(ious[best])

    def prepare_workflow(self) -> None:
        import pandas as pd

        self.serial += 1
        self.frame = pd.DataFrame(
            {
                "id": range(len(self.photos)),
                "sensitivity": [0.9 if index % 2 == 0 else 0.1 for index in range(len(self.photos))],
                "image": freshened(self.photos, self.serial),
            }
        )

    def workflow(self) -> None:
        """A filter, a mask for every row that is left, a filter on the result. Masks stay arrays: no run lengths."""
        frame = self.frame[self.frame["sensitivity"] >= 0.5].copy()
        results = [self.segment(photo) for photo in frame["image"]]
        frame["mask"] = [mask for mask, _ in results]
        frame["iou"] = [iou for _, iou in results]
        self.result = frame[frame["iou"] > self.options.min_iou]

    def generate(self) -> None:
        """Everything in a photograph."""
        generator = self.package.SamAutomaticMaskGenerator(self.model, output_mode="uncompressed_rle", **GENERATE)
        found = generator.generate(self.picture(self.photos[0]))
        self.generated = [record["segmentation"] for record in found]

    def save(self, prefix: str, photos: int) -> dict[str, Any]:
        self.embedding = self.features[0].float().numpy()
        self.logits = self.low_res[0].float().numpy()
        self.masks = np.stack([self.segment(photo)[0] for photo in self.photos[:photos]]) if photos else None
        return super().save(prefix, photos)


class OnnxContender(Contender):
    """The encoder and the decoder as ONNX graphs; `run(session, inputs)` gives the outputs."""

    def first(self) -> dict[str, float]:
        if self.decoder is not None:
            return super().first()
        start = time.perf_counter()
        self.encode()
        return {"first_encode": time.perf_counter() - start}

    def encode(self) -> None:
        self.embedding_raw = self.run(self.encoder, {"image": self.tensor})["embedding"]

    def predict(self, point: tuple[float, float]) -> dict[str, np.ndarray]:
        return self.run(
            self.decoder,
            {
                "image_embeddings": self.embedding_raw,
                "point_coords": np.array([[[point[0] * SIDE, point[1] * SIDE], PADDING[0]]], np.float32),
                "point_labels": np.array([[1.0, PADDING[1]]], np.float32),
                "mask_input": self.no_mask,
                "has_mask_input": np.zeros(1, np.float32),
            },
        )

    def decode(self) -> None:
        self.prediction = self.predict(POINT)

    def prompts(self) -> None:
        """One after the other: Meta's graph takes one prompt."""
        for point in grid(self.options.prompts):
            self.predict(point)

    def load(self) -> None:
        self.no_mask = np.zeros((1, 1, SIDE // 4, SIDE // 4), np.float32)
        decoder = self.files / f"{self.options.model}_decoder_low_res.onnx"
        self.open_runtime()
        start = time.perf_counter()
        self.encoder = self.open(self.files / f"{self.options.model}_encoder.onnx")
        self.decoder = self.open(decoder) if decoder.exists() else None
        self.seconds = time.perf_counter() - start

    def save(self, prefix: str, photos: int) -> dict[str, Any]:
        self.embedding = np.array(self.embedding_raw[0])
        if self.decoder is not None:
            self.logits = np.array(self.prediction["low_res_masks"][0, 1:])
        return super().save(prefix, photos)


class OnnxRuntime(OnnxContender):
    def open_runtime(self) -> None:
        import onnxruntime

        self.runtime = onnxruntime

    def open(self, path: Path) -> Any:
        options = self.runtime.SessionOptions()  # all optimisations are its default
        options.intra_op_num_threads = self.options.threads
        options.inter_op_num_threads = 1
        return self.runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, session: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    def versions(self) -> dict[str, str]:
        return {"ONNX Runtime": self.runtime.__version__}


class OpenVino(OnnxContender):
    def open_runtime(self) -> None:
        import openvino

        self.runtime = openvino
        self.core = openvino.Core()

    def open(self, path: Path) -> Any:
        model = self.core.read_model(path)
        if "decoder" in path.name:  # sizes fixed, which it optimises better
            model.reshape({"point_coords": [1, 2, 2], "point_labels": [1, 2]})
        hints = {
            # By itself it takes bf16 wherever the processor has it.
            "INFERENCE_PRECISION_HINT": self.options.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.options.threads,
        }
        compiled = self.core.compile_model(model, "CPU", hints)
        used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if used != self.options.precision:
            raise RuntimeError(f"OpenVINO computes in {used} here, not in {self.options.precision}")
        return compiled.create_infer_request()

    def run(self, session: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = session.infer(inputs, share_inputs=True, share_outputs=True)
        return {port.any_name: value for port, value in results.items()}

    def versions(self) -> dict[str, str]:
        return {"OpenVINO": self.runtime.__version__.split("-")[0]}


class DuckDb(Contender):
    """This project as its users have it: the wheel, DuckDB, one SQL statement."""

    def load(self) -> None:
        import duckdb_sam

        # The extension reads its settings once, when it is loaded.
        os.environ["SAM_PRECISION"] = self.options.precision
        os.environ["SAM_THREADS"] = str(self.options.threads)
        start = time.perf_counter()
        # The extension has threads of its own. With more than one of DuckDB's, Python's client waits busily for the one
        # that calls the extension, and takes a core from it.
        self.con = duckdb_sam.connect(threads=1)
        self.seconds = time.perf_counter() - start
        self.expected, self.before = 0, self.encodes()
        path = self.files / f"{self.options.model}.pth"
        self.path = str(path.resolve()) if path.exists() else self.options.model

    def first(self) -> dict[str, float]:
        start = time.perf_counter()
        self.prepare_row()
        self.row()
        seconds = time.perf_counter() - start
        self.check()
        return {"first_row": seconds}

    def versions(self) -> dict[str, str]:
        names = ("duckdb", "duckdb-sam")
        return {name: importlib.metadata.version(name) for name in names}

    def table(self, count: int) -> None:
        """`count` rows of pictures whose bytes this process has never seen."""
        self.serial += 1
        photos = [self.photos[index % len(self.photos)] for index in range(count)]
        self.con.execute("CREATE OR REPLACE TABLE photos (id INTEGER, sensitivity DOUBLE, image BLOB)")
        rows = enumerate(freshened(photos, self.serial))
        self.expected = 0
        self.con.executemany(
            "INSERT INTO photos VALUES (?, ?, ?)", [(index, 0.1 if index % 2 else 0.9, image) for index, image in rows]
        )

    def encodes(self) -> float:
        return self.con.execute("SELECT value FROM sam_stats() WHERE counter = 'encodes'").fetchall()[0][0]

    def query(self, encodes: int, where: str = "true", having: str = "true") -> None:
        self.expected += encodes
        self.result = self.con.execute(
            f"SELECT id, s.segmentation.size, s.segmentation.counts, s.area, s.predicted_iou "
            f"FROM (SELECT id, sam_annotate(?, image, [{POINT[0]}, {POINT[1]}]) AS s FROM photos WHERE {where}) "
            f"WHERE {having}",
            [self.path],
        ).fetchall()

    def check(self) -> None:
        # More is slow, and shows in the time; less is no work at all.
        done, self.before = self.encodes() - self.before, self.encodes()
        if done < self.expected:
            raise RuntimeError(f"{done:.0f} pictures were encoded, expected {self.expected}: this timing means nothing")
        if done > self.expected:
            print(f"{done:.0f} pictures were encoded where {self.expected} would do", file=sys.stderr)
        self.expected = 0

    def prepare_row(self) -> None:
        self.table(1)

    def row(self) -> None:
        self.query(1)

    def prepare_vector(self) -> None:
        self.table(self.options.vector)

    def vector(self) -> None:
        self.query(self.options.vector)

    def prepare_cache(self) -> None:
        self.prepare_vector()

    def cache(self) -> None:
        self.vector()

    def prepare_generate(self) -> None:
        self.table(1)

    def generate(self) -> None:
        options = f"map_from_entries({list(GENERATE.items())})"
        self.expected += 1
        found = self.con.execute(f"SELECT sam_generate(?, image, {options}) FROM photos", [self.path]).fetchall()
        self.generated = [record["segmentation"] for record in found[0][0]]

    def prepare_workflow(self) -> None:
        self.table(len(self.photos))

    def workflow(self) -> None:
        rows = (len(self.photos) + 1) // 2
        self.query(rows, "sensitivity >= 0.5", f"s.predicted_iou > {self.options.min_iou}")

    def save(self, prefix: str, photos: int) -> dict[str, Any]:
        from agreement import decode_rle

        self.table(photos)
        self.query(photos)
        self.check()
        self.masks = np.stack([decode_rle(size, counts) for _, size, counts, _, _ in sorted(self.result)])
        return super().save(prefix, photos)


class Forgetful(DuckDb):
    """The same without the cache."""

    def load(self) -> None:
        os.environ["SAM_CACHE_MB"] = "0"
        super().load()


RUNTIMES = {"torch": Torch, "ort": OnnxRuntime, "ov": OpenVino, "sql": DuckDb, "forgetful": Forgetful}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", choices=RUNTIMES, required=True)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="mobile_sam")
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--vector", type=int, default=64)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--min-iou", type=float, default=0.0)
    options = parser.parse_args()

    # The protocol has standard output to itself; what libraries print goes to the log.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(work: Callable[[], dict[str, Any]]) -> None:
        try:
            reply = work()
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=out, flush=True)

    contender = RUNTIMES[options.runtime](options)

    def ready() -> dict[str, Any]:
        contender.load()
        return {"ready": True, "load": contender.seconds, **contender.first(), "versions": contender.versions()}

    answer(ready)
    for line in sys.stdin:
        command, *values = line.split()
        if command == "save":
            answer(lambda values=values: contender.save(values[0], int(values[1])))
        elif command == "generated":
            answer(lambda: {"masks": contender.generated})
        else:
            answer(lambda c=command, v=values: {"seconds": contender.stage(c, int(v[0]), int(v[1]))})


if __name__ == "__main__":
    main()
