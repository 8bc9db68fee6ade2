"""Write a training checkpoint as safetensors, with the whole configuration in the metadata.

python -m training.export run512/last.pt nano.safetensors --dtype float16
"""

import argparse
import copy
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

LICENSE = "Apache-2.0"
TRAINED_ON = (
    "synthetic composites: Fluent Emoji 3D (MIT), Noto Color Emoji (OFL-1.1), openclipart (public domain), "
    "procedural shapes, CC0/CC-BY-4.0 photos, CC0 HDRIs and matcaps; see MODEL_CARD.md"
)


def export(checkpoint: str, out: str, dtype: torch.dtype, img_size: int | None = None) -> dict:
    """Write the averaged weights as `dtype`; returns the configuration that the metadata holds."""
    ck = torch.load(checkpoint, weights_only=False, map_location="cpu")
    config = copy.deepcopy(ck["config"])
    config["image_encoder"]["img_size"] = img_size or ck["size"]
    config.update(license=LICENSE, trained_on=TRAINED_ON)
    counters = "num_batches_tracked"
    state = {k: v.to(dtype).contiguous() for k, v in ck["ema"].items() if not k.endswith(counters)}
    bad = [k for k, v in state.items() if not torch.isfinite(v).all()]
    assert not bad, f"not finite in {dtype}: {bad}"
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
    ap.add_argument("checkpoint", help="last.pt of a training run")
    ap.add_argument("out", help="the .safetensors file to write")
    ap.add_argument("--dtype", default="float16", choices=["float16", "float32"], help="type of the tensors")
    ap.add_argument("--img-size", type=int, help="side of the input in pixels, if not that of the training")
    ap.add_argument("--config-out", type=Path, help="write the configuration to this JSON file, too")
    a = ap.parse_args()
    config = export(a.checkpoint, a.out, getattr(torch, a.dtype), a.img_size)
    if a.config_out:
        a.config_out.write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
