"""Write a training checkpoint as safetensors, with the whole configuration in the metadata.

python -m training.export run/calibrated.pt nano.safetensors --dtype float16
"""

import argparse
import copy
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from training.model.config import NANO

LICENSE = "Apache-2.0"
TRAINED_ON = (
    "photographs with masks that people drew: COCO in public subsets and VOC2007 (annotations CC BY 4.0), sets under "
    "CC BY 4.0, Apache-2.0, CC0 and in the public domain; before that, synthetic composites; see MODEL_CARD.md"
)


def export(checkpoint: Path | str, out: Path | str, dtype: torch.dtype = torch.float16) -> dict:
    """Write the averaged weights as `dtype`; returns the configuration that the metadata holds.

    The thresholds of everything mode and the upsampling are those of `NANO`, whatever the checkpoint says.
    """
    loaded = torch.load(checkpoint, weights_only=False, map_location="cpu")
    config = copy.deepcopy(loaded["config"])
    config["image_encoder"]["img_size"] = loaded["size"]
    config.update(mask_generator=NANO["mask_generator"], upsampling=NANO["upsampling"])
    config.update(license=LICENSE, trained_on=TRAINED_ON)
    counters = "num_batches_tracked"
    state = {k: v.to(dtype).contiguous() for k, v in loaded["ema"].items() if not k.endswith(counters)}
    bad = [k for k, v in state.items() if not torch.isfinite(v).all()]
    if bad:
        raise ValueError(f"not finite in {dtype}: {bad}")
    metadata = {
        "format": "sam",
        "config": json.dumps(config),
        "license": LICENSE,
        "trained_on": TRAINED_ON,
        "pixel_mean": json.dumps(config["pixel_mean"]),
        "pixel_std": json.dumps(config["pixel_std"]),
    }
    save_file(state, out, metadata=metadata)
    print(out, len(state), "tensors", sum(v.numel() for v in state.values()), "values")
    return config


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("checkpoint", help="checkpoint of a training run, or what `training.calibrate` made of it")
    ap.add_argument("out", help="the .safetensors file to write")
    ap.add_argument("--dtype", default="float16", choices=["float16", "float32"], help="type of the tensors")
    ap.add_argument("--config-out", type=Path, help="write the configuration to this JSON file, too")
    a = ap.parse_args()
    config = export(a.checkpoint, a.out, getattr(torch, a.dtype))
    if a.config_out:
        a.config_out.write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
