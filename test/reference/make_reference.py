"""Reference outputs of the original PyTorch implementations, for numerical tests.

Runs Meta's `segment-anything` and the `mobilesam-mirror` package (both from PyPI, imported from the folders named on
the command line) with the checkpoints of `seeded_weights.py`, and writes to OUT the images, every model's `shapes.json`
and one .npz per model and image: the size of the preprocessed input, statistics and a sample of the image embedding,
and for every prompt the predicted IoUs, the low-resolution mask logits, and a sample and the bit mask of the full-size
logits. `condense.py` turns OUT into what is kept here.

    pip install --no-deps --target sa segment-anything==1.0
    pip install --no-deps --target ms mobilesam-mirror==1.0.0
    python make_reference.py sa ms OUT

Needs torch, numpy, pillow and scikit-image (for the images).
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import types
from functools import partial

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from seeded_weights import build


def install_stubs() -> None:
    """Stand-ins for the few names of timm, and of torchvision where it is not installed, that the two packages import.

    Nothing numerical comes from them except the resize, which in torchvision is Pillow's own bilinear resize for a PIL
    image.
    """

    def module(name, **names):
        created = types.ModuleType(name)
        created.__dict__.update(names)
        sys.modules[name] = created

    class DropPath(torch.nn.Module):
        def __init__(self, drop_prob=None):
            super().__init__()
            self.drop_prob = drop_prob

        def forward(self, x):
            return x

    if importlib.util.find_spec("torchvision") is None:
        module("torchvision")
        module("torchvision.ops")
        module("torchvision.ops.boxes", batched_nms=None, box_area=None)
        module("torchvision.transforms")
        module(
            "torchvision.transforms.functional",
            to_pil_image=Image.fromarray,
            resize=lambda image, size: image.resize((size[1], size[0]), Image.BILINEAR),
        )
    module("timm")
    module("timm.models", build_model_with_cfg=None)
    module(
        "timm.models.layers",
        DropPath=DropPath,
        to_2tuple=lambda x: x if isinstance(x, tuple) else (x, x),
        trunc_normal_=torch.nn.init.trunc_normal_,
    )
    module("timm.models.registry", register_model=lambda function: function)


def vit_sam(size: int, dim: int, depth: int, heads: int, global_blocks: tuple[int, ...]) -> torch.nn.Module:
    """Meta's SAM for images of `size` pixels, with a ViT of these sizes and windows of 14."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    return Sam(
        image_encoder=ImageEncoderViT(
            depth=depth,
            embed_dim=dim,
            img_size=size,
            mlp_ratio=4,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=heads,
            patch_size=16,
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=global_blocks,
            window_size=14,
            out_chans=256,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=256,
            image_embedding_size=(size // 16, size // 16),
            input_image_size=(size, size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
            transformer_dim=256,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )


def seeded(model: torch.nn.Module) -> tuple[torch.nn.Module, dict[str, list[int]]]:
    """The model with seeded weights, and the shapes they were made from."""
    state = model.state_dict()
    shapes = {name: list(value.shape) for name, value in state.items() if not name.startswith("pixel_")}
    # buffers that are derived from the configuration, not learned, are left as the model made them
    derived = [name for name in shapes if name.endswith("attention_bias_idxs") or name.endswith(".ab")]
    for name in derived:
        del shapes[name]
    weights = {name: torch.from_numpy(value) for name, value in build(shapes).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    assert all(name in derived or name.startswith("pixel_") for name in missing), missing
    return model.eval(), shapes


def images() -> dict[str, np.ndarray]:
    """The inputs, RGB u8 (height, width, 3); a name ends in width x height."""
    import skimage.data

    rocket = Image.fromarray(skimage.data.rocket()).resize((1024, 683), Image.BICUBIC)

    return {
        "astronaut_512x512": skimage.data.astronaut(),
        "coffee_600x400": skimage.data.coffee(),
        "chelsea_451x300": skimage.data.chelsea(),
        "chelsea_portrait_300x451": np.ascontiguousarray(np.rot90(skimage.data.chelsea())),
        # longest side 1024: no resize happens, so the network alone is compared
        "rocket_1024x683": np.asarray(rocket),
    }


# (name, points as fractions of width and height, labels, box as fractions, multimask)
PROMPTS = [
    ("point", [[0.5, 0.6]], [1], None, True),
    ("points", [[0.5, 0.6], [0.1, 0.1]], [1, 0], None, False),
    ("box", None, None, [0.2, 0.25, 0.7, 0.8], False),
    ("box_point", [[0.45, 0.5]], [1], [0.2, 0.25, 0.7, 0.8], False),
]


def run(predictor_class, model: torch.nn.Module, names: list[str], out: pathlib.Path) -> None:
    """Write `out/<image>.npz` for every named image."""
    predictor = predictor_class(model)
    for image_name in names:
        image = images()[image_name]
        height, width = image.shape[:2]
        with torch.inference_mode():
            predictor.set_image(image)
            embedding = predictor.features[0].numpy()
            record = {
                "input_size": np.array(predictor.input_size),
                "embedding_shape": np.array(embedding.shape),
                "embedding_mean": embedding.mean(dtype=np.float64),
                "embedding_std": embedding.std(dtype=np.float64),
                # every 61st value of the flattened (channel, row, column) embedding
                "embedding_every_61": embedding.reshape(-1)[::61].copy(),
            }
            for prompt, points, labels, box, multimask in PROMPTS:
                scale = np.array([width, height], dtype=np.float32)
                coordinates = None if points is None else np.array(points, dtype=np.float32) * scale
                logits, ious, low = predictor.predict(
                    point_coords=coordinates,
                    point_labels=None if labels is None else np.array(labels),
                    box=None if box is None else np.array(box, dtype=np.float32) * np.tile(scale, 2),
                    multimask_output=multimask,
                    return_logits=True,
                )
                best = int(np.argmax(ious))
                record[f"{prompt}/iou"] = ious
                record[f"{prompt}/low_res_logits"] = low.astype(np.float32)
                record[f"{prompt}/best"] = np.array(best)
                # every 97th value of the flattened (row, column) full-size logits of the best mask
                record[f"{prompt}/logits_every_97"] = logits[best].reshape(-1)[::97].copy()
                record[f"{prompt}/mask_bits"] = np.packbits(logits[best] > 0)
                print(out.name, image_name, prompt, "iou", ious, "area", float((logits[best] > 0).mean()), flush=True)
        np.savez_compressed(out / f"{image_name}.npz", **record)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("segment_anything", help="folder that holds the package segment_anything")
    parser.add_argument("mobile_sam", help="folder that holds the package mobile_sam")
    parser.add_argument("out", type=pathlib.Path, help="folder to write to")
    arguments = parser.parse_args()

    install_stubs()
    sys.path[:0] = [arguments.segment_anything, arguments.mobile_sam]
    mobile_sam = importlib.import_module("mobile_sam")
    segment_anything = importlib.import_module("segment_anything")

    folder = arguments.out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images().items():
        Image.fromarray(image).save(folder / f"{name}.png", optimize=True)

    def case(name, predictor_class, model, image_names):
        model, shapes = seeded(model)
        out = arguments.out / name
        out.mkdir(exist_ok=True)
        (out / "shapes.json").write_text(json.dumps(shapes))
        run(predictor_class, model, image_names, out)

    mobile, meta = mobile_sam.SamPredictor, segment_anything.SamPredictor
    everything = list(images())
    case("mobile_sam", mobile, mobile_sam.sam_model_registry["vit_t"](checkpoint=None), everything)
    case("vit_micro_1024", meta, vit_sam(1024, 96, 4, 3, (1, 3)), everything[1:3])
    case("vit_micro_512", meta, vit_sam(512, 96, 4, 3, (1, 3)), everything[:2])
    case("sam_vit_b", meta, vit_sam(1024, 768, 12, 12, (2, 5, 8, 11)), everything[2:3])


if __name__ == "__main__":
    main()
