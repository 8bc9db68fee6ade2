"""Condense full reference outputs (.npz, 20 MB) to what the tests compare (.safetensors, 3 MB).

    python condense.py FULL OUT            # FULL: what make_reference.py and make_nano_reference.py wrote
    python condense.py FULL OUT --check    # write nothing; fail where OUT is not what FULL condenses to

`FULL/<model>/<image>.npz` becomes `OUT/<model>/<image>.safetensors`. README.md states the meaning of every tensor.
"""

import argparse
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

PROMPTS = ("point", "points", "box", "box_point")
# Every nth value of a flattened array is kept.
EMBEDDING_STRIDE = 4  # of every 61st, that is every 244th of the embedding
LOW_RES_STRIDE = 31
# The nano files store the single-mask token and the three multimask tokens, in this order, for every prompt.
SINGLE_MASK, MULTIMASK = 0, slice(1, 4)


def shown_mask(full: dict[str, np.ndarray], prompt: str) -> int:
    """Index, into the stored masks, of the one a user is shown.

    The SAM files say which; the nano files hold all four masks, so SAM's rule is applied here: one point is ambiguous
    and gets the multimask token with the best predicted IoU, any other prompt gets the single-mask token.
    """
    if f"{prompt}/best" in full:
        return int(full[f"{prompt}/best"])
    if prompt == "point":
        return MULTIMASK.start + int(np.argmax(full[f"{prompt}/iou"][MULTIMASK]))
    return SINGLE_MASK


def condense(full: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of one .safetensors file from the arrays of one .npz file."""
    small = {
        "input_size": full["input_size"].astype(np.int64),
        "embedding_shape": full["embedding_shape"].astype(np.int64),
        "embedding_mean": full["embedding_mean"].reshape(1).astype(np.float64),
        "embedding_std": full["embedding_std"].reshape(1).astype(np.float64),
        "embedding_every_244": full["embedding_every_61"][::EMBEDDING_STRIDE],
    }
    for prompt in PROMPTS:
        best = shown_mask(full, prompt)
        low_res = full[f"{prompt}/low_res_logits"]
        mask_bits = full[f"{prompt}/mask_bits"]
        small[f"{prompt}.iou"] = full[f"{prompt}/iou"]
        small[f"{prompt}.best"] = np.array([best], dtype=np.int64)
        small[f"{prompt}.low_res_every_31"] = low_res.reshape(-1)[::LOW_RES_STRIDE]
        small[f"{prompt}.low_res_std"] = np.array([low_res[best].std(dtype=np.float64)], dtype=np.float32)
        small[f"{prompt}.mask_bits"] = mask_bits if mask_bits.ndim == 1 else mask_bits[best]
        if f"{prompt}/logits_every_97" in full:
            logits = full[f"{prompt}/logits_every_97"]
            small[f"{prompt}.logits_every_97"] = logits[best] if logits.ndim == 2 else logits
    return {name: np.ascontiguousarray(value) for name, value in small.items()}


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    """Whether two files hold the same tensors, to the last bit."""
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype
        and left[name].shape == right[name].shape
        and left[name].tobytes() == right[name].tobytes()
        for name in left
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("full", type=pathlib.Path, help="folder with <model>/<image>.npz")
    parser.add_argument("out", type=pathlib.Path, help="folder for <model>/<image>.safetensors")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()

    sources = sorted(arguments.full.glob("*/*.npz"))
    targets = [(arguments.out / path.relative_to(arguments.full)).with_suffix(".safetensors") for path in sources]
    failures = [] if sources else [f"{arguments.full}: no <model>/<image>.npz"]
    for source, target in zip(sources, targets, strict=True):
        with np.load(source) as arrays:
            small = condense(dict(arrays))
        if not arguments.check:
            target.parent.mkdir(parents=True, exist_ok=True)
            save_file(small, target)
        elif not target.exists():
            failures.append(f"{target}: missing")
        elif not same(small, load_file(target)):
            failures.append(f"{target}: differs from {source}")
    if arguments.check:
        unknown = set(arguments.out.glob("*/*.safetensors")) - set(targets)
        failures += [f"{path}: has no source" for path in sorted(unknown)]
    print("\n".join([*failures, f"{len(sources)} cases, {len(failures)} failures"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
