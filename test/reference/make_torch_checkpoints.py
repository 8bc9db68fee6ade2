"""Small checkpoints as `torch.save` writes them, for the tests of the `.pt` reader.

    python make_torch_checkpoints.py

Writes `vit_tiny/shapes.json` and, with the weights of `seeded_weights.py`:

- `vit_tiny/plain.pt`: a state dictionary in the zip format, one tensor of it transposed in memory and two of it views
  into one storage;
- `vit_tiny/nested.pth`: the same in half precision below the key `model`, beside other things;
- `vit_tiny/legacy.pth`: a single tensor in the format from before PyTorch 1.6, which must be refused by name.
"""

import json
import pathlib

import numpy as np
import torch
from seeded_weights import build

DIM, GRID, PATCH, WINDOW, HEAD = 32, 4, 16, 3, 16


def shapes() -> dict[str, list[int]]:
    """A SAM with a ViT of two blocks, the second global, for 64 x 64 pixels."""
    result: dict[str, list[int]] = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        result[f"{name}.weight"] = [outputs, inputs]
        result[f"{name}.bias"] = [outputs]

    def norm(name: str, width: int) -> None:
        result[f"{name}.weight"] = [width]
        result[f"{name}.bias"] = [width]

    def conv(name: str, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        result[f"{name}.weight"] = [outputs, inputs, kernel, kernel]
        if bias:
            result[f"{name}.bias"] = [outputs]

    encoder = "image_encoder"
    result[f"{encoder}.pos_embed"] = [1, GRID, GRID, DIM]
    conv(f"{encoder}.patch_embed.proj", 3, DIM, PATCH)
    for block, side in enumerate([WINDOW, GRID]):
        name = f"{encoder}.blocks.{block}"
        norm(f"{name}.norm1", DIM)
        result[f"{name}.attn.rel_pos_h"] = [2 * side - 1, HEAD]
        result[f"{name}.attn.rel_pos_w"] = [2 * side - 1, HEAD]
        linear(f"{name}.attn.qkv", DIM, 3 * DIM)
        linear(f"{name}.attn.proj", DIM, DIM)
        norm(f"{name}.norm2", DIM)
        linear(f"{name}.mlp.lin1", DIM, 2 * DIM)
        linear(f"{name}.mlp.lin2", 2 * DIM, DIM)
    conv(f"{encoder}.neck.0", DIM, DIM, 1, bias=False)
    norm(f"{encoder}.neck.1", DIM)
    conv(f"{encoder}.neck.2", DIM, DIM, 3, bias=False)
    norm(f"{encoder}.neck.3", DIM)

    prompt = "prompt_encoder"
    result[f"{prompt}.pe_layer.positional_encoding_gaussian_matrix"] = [2, DIM // 2]
    for label in range(4):
        result[f"{prompt}.point_embeddings.{label}.weight"] = [1, DIM]
    result[f"{prompt}.not_a_point_embed.weight"] = [1, DIM]
    result[f"{prompt}.no_mask_embed.weight"] = [1, DIM]
    conv(f"{prompt}.mask_downscaling.0", 1, 4, 2)
    norm(f"{prompt}.mask_downscaling.1", 4)
    conv(f"{prompt}.mask_downscaling.3", 4, 16, 2)
    norm(f"{prompt}.mask_downscaling.4", 16)
    conv(f"{prompt}.mask_downscaling.6", 16, DIM, 1)

    decoder = "mask_decoder"

    def attention(name: str, inner: int) -> None:
        for part in ("q_proj", "k_proj", "v_proj"):
            linear(f"{name}.{part}", DIM, inner)
        linear(f"{name}.out_proj", inner, DIM)

    for layer in range(2):
        name = f"{decoder}.transformer.layers.{layer}"
        attention(f"{name}.self_attn", DIM)
        attention(f"{name}.cross_attn_token_to_image", DIM // 2)
        attention(f"{name}.cross_attn_image_to_token", DIM // 2)
        for index in range(1, 5):
            norm(f"{name}.norm{index}", DIM)
        linear(f"{name}.mlp.lin1", DIM, 2 * DIM)
        linear(f"{name}.mlp.lin2", 2 * DIM, DIM)
    attention(f"{decoder}.transformer.final_attn_token_to_image", DIM // 2)
    norm(f"{decoder}.transformer.norm_final_attn", DIM)
    result[f"{decoder}.iou_token.weight"] = [1, DIM]
    result[f"{decoder}.mask_tokens.weight"] = [4, DIM]
    result[f"{decoder}.output_upscaling.0.weight"] = [DIM, DIM // 4, 2, 2]
    result[f"{decoder}.output_upscaling.0.bias"] = [DIM // 4]
    norm(f"{decoder}.output_upscaling.1", DIM // 4)
    result[f"{decoder}.output_upscaling.3.weight"] = [DIM // 4, DIM // 8, 2, 2]
    result[f"{decoder}.output_upscaling.3.bias"] = [DIM // 8]
    for mask in range(4):
        for layer, outputs in enumerate([DIM, DIM, DIM // 8]):
            linear(f"{decoder}.output_hypernetworks_mlps.{mask}.layers.{layer}", DIM, outputs)
    for layer, outputs in enumerate([DIM, DIM, 4]):
        linear(f"{decoder}.iou_prediction_head.layers.{layer}", DIM, outputs)
    return result


def main() -> None:
    folder = pathlib.Path(__file__).parent / "vit_tiny"
    folder.mkdir(exist_ok=True)
    (folder / "shapes.json").write_text(json.dumps(shapes(), indent=0) + "\n")
    weights = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in build(shapes()).items()}
    half = {name: value.half() for name, value in weights.items()}

    name = "image_encoder.blocks.0.mlp.lin1.weight"
    weights[name] = weights[name].t().contiguous().t()
    pair = [f"image_encoder.blocks.0.attn.rel_pos_{axis}" for axis in "hw"]
    both = torch.cat([weights[name].flatten() for name in pair])
    for index, name in enumerate(pair):
        weights[name] = both.chunk(2)[index].view(weights[name].shape)
    torch.save(weights, folder / "plain.pt")
    torch.save({"epoch": 3, "model": half, "note": "text"}, folder / "nested.pth")
    torch.save({"x": torch.zeros(3)}, folder / "legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
