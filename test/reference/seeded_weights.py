"""Deterministic Segment Anything checkpoints for numerical tests (numpy only).

The published checkpoints are large downloads. For a numerical comparison any weights will do, as long as both sides
use the same: every tensor here is drawn from a generator seeded by the CRC-32 of its name, so the same checkpoint can
be rebuilt anywhere, bit for bit, in about a second (`sam_vit_b`: ten). `numpy.random.RandomState` is used because its
streams are frozen by NumPy's compatibility policy.

    python seeded_weights.py mobile_sam/shapes.json mobile_sam.safetensors

`shapes.json` maps tensor names (those of the original PyTorch checkpoint) to shapes.
"""

import argparse
import json
import pathlib
import zlib

import numpy as np


def seeded_tensor(name: str, shape: list[int]) -> np.ndarray:
    """The tensor `name`: float32 of `shape` (int64 for a batch counter), the same on every machine.

    The scales are chosen so that activations keep a size of about one through the network.
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    noise = rng.standard_normal(shape).astype(np.float32)
    if leaf == "running_mean":
        return 0.1 * noise
    if leaf == "running_var":
        return np.float32(1.0) + np.float32(0.5) * np.tanh(noise)
    if leaf == "bias":
        return 0.05 * noise
    if "gaussian_matrix" in name:
        return noise
    if len(shape) == 1:  # scale of a normalisation layer
        return np.float32(1.0) + np.float32(0.1) * noise
    if any(part in name for part in ("attention_biases", "rel_pos", "pos_embed")):
        return 0.2 * noise
    embeddings = ("_embed", "tokens", "iou_token", "point_embeddings")
    if any(part in name for part in embeddings) and "patch_embed" not in name:
        return 0.5 * noise
    # fan-in: ConvTranspose2d is (in, out, kh, kw), Conv2d is (out, in, kh, kw), Linear is (out, in)
    fan_in = shape[0] if "output_upscaling" in name else int(np.prod(shape[1:]))
    return noise * np.float32(1.2 / np.sqrt(fan_in))


def build(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """The whole checkpoint: tensor name -> values."""
    return {name: seeded_tensor(name, shape) for name, shape in shapes.items()}


def main() -> None:
    from safetensors.numpy import save_file

    parser = argparse.ArgumentParser(description="Rebuild a seeded checkpoint from its tensor names and shapes.")
    parser.add_argument("shapes", type=pathlib.Path, help="shapes.json: tensor name -> shape")
    parser.add_argument("out", type=pathlib.Path, help="the checkpoint to write (.safetensors)")
    arguments = parser.parse_args()
    save_file(build(json.loads(arguments.shapes.read_text())), arguments.out)


if __name__ == "__main__":
    main()
