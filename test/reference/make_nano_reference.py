"""Reference outputs of the built-in nano model from its PyTorch code (`training/`), in float32 arithmetic.

    python make_nano_reference.py OUT

Writes OUT/nano/<image>.npz for every image in `images/`; `condense.py` turns them into what is kept here. The resize is
Pillow's bilinear one, as in the other references. Unlike there, all four masks are stored for every prompt: the
single-mask token first, then the three multimask tokens. Masks follow the edges of the picture, as the file asks for
(`training/upsampling.py`); low-resolution logits are the network's own.

Needs torch, numpy, opencv, pillow and safetensors.
"""

import argparse
import pathlib
import sys

import numpy as np
import torch
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))
from training.model.sam import load  # noqa: E402
from training.predictor import Predictor  # noqa: E402

# (name, points as fractions of width and height, labels, box as fractions)
PROMPTS = [
    ("point", [[0.5, 0.6]], [1], None),
    ("points", [[0.5, 0.6], [0.1, 0.1]], [1, 0], None),
    ("box", None, None, [0.2, 0.25, 0.7, 0.8]),
    ("box_point", [[0.45, 0.5]], [1], [0.2, 0.25, 0.7, 0.8]),
]


def record(predictor: Predictor, image: Image.Image) -> dict[str, np.ndarray]:
    """The arrays of one .npz file."""
    w, h = image.size
    nh, nw = predictor.resized_shape(h, w)
    pixels = np.array(image.resize((nw, nh), Image.BILINEAR))
    predictor.set_resized(torch.from_numpy(pixels).permute(2, 0, 1)[None].float(), (h, w))
    embedding = predictor.embedding[0].numpy()
    out = {
        "input_size": np.array([nh, nw]),
        "embedding_shape": np.array(embedding.shape),
        "embedding_mean": embedding.mean(dtype=np.float64),
        "embedding_std": embedding.std(dtype=np.float64),
        # every 61st value of the flattened (channel, row, column) embedding
        "embedding_every_61": embedding.reshape(-1)[::61].copy(),
    }
    for prompt, points, labels, box in PROMPTS:
        pixel_points = None if points is None else [[x * w, y * h] for x, y in points]
        pixel_box = None if box is None else [box[0] * w, box[1] * h, box[2] * w, box[3] * h]
        logits, low, iou = predictor.predict_logits(pixel_points, labels, pixel_box)
        out[f"{prompt}/iou"] = iou.numpy()
        out[f"{prompt}/low_res_logits"] = low.numpy()
        logits = logits.numpy().reshape(4, -1)
        out[f"{prompt}/logits_every_97"] = logits[:, ::97].copy()
        out[f"{prompt}/mask_bits"] = np.packbits(logits > 0, axis=1)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, help="folder to write to")
    parser.add_argument("--model", default=ROOT / "extension/model/assets/nano.safetensors", help="the weights")
    arguments = parser.parse_args()
    predictor = Predictor(load(str(arguments.model)))
    folder = arguments.out / "nano"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE / "images").glob("*.png")):
        arrays = record(predictor, Image.open(path).convert("RGB"))
        np.savez_compressed(folder / f"{path.stem}.npz", **arrays)
        print(path.stem, *(f"{name} {arrays[f'{name}/iou'].round(3)}" for name, *_ in PROMPTS))


if __name__ == "__main__":
    main()
