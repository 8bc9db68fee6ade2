"""Small checkpoints as `torch.save` writes them, for the tests of the `.pt` reader.

    python make_torch_checkpoints.py

Writes `vit_tiny/shapes.json` and, with the weights of `seeded_weights.py`:

- `vit_tiny/plain.pt`: a state dictionary in the zip format, one tensor of it transposed in memory and two of it views
  into one storage;
- `vit_tiny/nested.pth`: the same in half precision below the key `model`, beside other things;
- `vit_tiny/legacy.pth`: a single tensor in the format from before PyTorch 1.6, which must be refused by name;
- `vit_tiny/variants/NAME.zip`: what else people save (see `variants`), without the numbers: everything of the archive
  but its storages, and `storages.json`, which says how each is made of the seeded weights. The tests put them together
  again; byte for byte they are what PyTorch has written.
"""

import argparse
import collections
import io
import json
import pathlib
import pickle
import sys
import types
import zipfile

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


class Config(dict):
    """A configuration object of a library that a reader does not have."""


def as_module(weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Modules in one another with the weights as parameters and buffers."""
    root = torch.nn.Module()
    for name, value in weights.items():
        *path, leaf = name.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, torch.nn.Module())
            module = module._modules[part]
        if "gaussian" in leaf:
            module.register_buffer(leaf, value)
        else:
            module.register_parameter(leaf, torch.nn.Parameter(value))
    return root


class Marked(torch.Tensor):
    """A subclass of Tensor, as trackers of metadata use."""


def prefixed(prefix: str, weights: dict) -> dict:
    return {prefix + name: value for name, value in weights.items()}


def variants(weights: dict[str, torch.Tensor]) -> dict[str, tuple[object, dict]]:
    """Name -> object and arguments of `torch.save`. All hold the weights of `plain.pt`, but for those `refused_*`."""
    state = collections.OrderedDict(weights)
    encoder, parts = "image_encoder.", ("image_encoder", "prompt_encoder", "mask_decoder")
    library = types.ModuleType("some_library")
    library.Config = Config
    Config.__module__ = "some_library"
    sys.modules["some_library"] = library
    Marked.__module__ = "some_library"
    library.Marked = Marked
    moments = {
        index: {"step": torch.tensor(3.0), "exp_avg": torch.full((2, 2), float(index)), "exp_avg_sq": torch.ones(2, 2)}
        for index in range(3)
    }
    optimizer = {"state": moments, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0, 1, 2]}]}
    averaged = {name: torch.zeros(1) for name in weights}
    config = Config(lr=0.1)
    config["model"] = Config(name="x")
    components = {part: {n[len(part) + 1 :]: v for n, v in weights.items() if n.startswith(part)} for part in parts}
    with_metadata = collections.OrderedDict(weights)
    with_metadata._metadata = {"": {"version": 1}, "image_encoder": {"version": 2}}
    quantised = {n: (v * 10).to(torch.int8) if n.endswith("lin1.weight") else v for n, v in weights.items()}
    affine = {
        n: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8) if n.endswith("lin1.weight") else v
        for n, v in weights.items()
    }
    return {
        "model_state_dict": (
            {"epoch": 3, "model_state_dict": state, "optimizer_state_dict": optimizer, "loss": 0.5},
            {},
        ),
        "other_key": ({"model_state": state, "optimizer_state": {}, "iteration": 7}, {}),
        "rng_state_beside": ({"model": state, "rng_state": torch.arange(16, dtype=torch.uint8), "epoch": 1}, {}),
        "numpy_beside": (
            {"best": np.float64(0.5), "rng": np.random.RandomState(1).get_state(), "step": np.int64(5), "model": state},
            {},
        ),
        "tensor_beside": ({"best_loss": torch.tensor(0.25), "model": state, "losses": [torch.ones(2)]}, {}),
        "config_beside": ({"model": state, "cfg": config, "args": argparse.Namespace(lr=0.1, data="x")}, {}),
        "with_metadata": (with_metadata, {}),
        "protocol_3": (state, {"pickle_protocol": 3}),
        "protocol_4": (state, {"pickle_protocol": 4}),
        "protocol_5": ({"model": state, "optimizer": optimizer}, {"pickle_protocol": 5}),
        "compiled": (prefixed("_orig_mod.", weights), {}),
        "compiled_encoder": (
            {n.replace(encoder, encoder + "_orig_mod.") if n.startswith(encoder) else n: v for n, v in weights.items()},
            {},
        ),
        "data_parallel": (prefixed("module.", weights), {}),
        "data_parallel_encoder": (
            {n.replace(encoder, encoder + "module.") if n.startswith(encoder) else n: v for n, v in weights.items()},
            {},
        ),
        "deepspeed": ({"module": state, "optimizer": None, "rng": torch.zeros(4), "global_steps": 5}, {}),
        "averaged_model": (prefixed("module.", weights) | {"n_averaged": torch.tensor(9)}, {}),
        "lightning": (
            {
                "epoch": 1,
                "pytorch-lightning_version": "2.2.0",
                "state_dict": prefixed("model.", weights)
                | {"criterion.weight": torch.ones(2), "train_iou.confmat": torch.zeros(2, 2, dtype=torch.int64)},
                "optimizer_states": [optimizer],
                "callbacks": {"ModelCheckpoint{}": {"best_model_score": torch.tensor(0.5)}},
                "hyper_parameters": {"lr": 1e-4},
            },
            {},
        ),
        "lightning_net": ({"state_dict": prefixed("net.sam.", weights)}, {}),
        "averages_beside": ({"model": state, "model_ema": prefixed("", averaged)}, {}),
        "components": ({"epoch": 1, "sam": components}, {}),
        "in_a_list": ([{"epoch": 1}, (state, optimizer)], {}),
        "twice": ({"best": state, "last": collections.OrderedDict(weights)}, {}),
        "parameters": ({name: torch.nn.Parameter(value) for name, value in weights.items()}, {}),
        "subclass": ({name: value.as_subclass(Marked) for name, value in weights.items()}, {}),
        "whole_module": (as_module(weights), {}),
        "double": ({"model": {name: value.double() for name, value in weights.items()}}, {}),
        "refused_two": ({"student": state, "other": {name: value.clone() for name, value in weights.items()}}, {}),
        "refused_int8": (quantised, {}),
        "refused_quantised": (affine, {}),
        "refused_more": ({"model": dict(weights) | {"mask_decoder.extra.weight": torch.ones(2)}}, {}),
    }


def write_variant(path: pathlib.Path, value: object, arguments: dict, weights: dict[str, torch.Tensor]) -> None:
    buffer = io.BytesIO()
    torch.save(value, buffer, pickle_module=pickle, **arguments)
    known = {}
    for name, tensor in weights.items():
        known[tensor.numpy().tobytes()] = {"tensor": name, "type": "f32"}
        known[tensor.double().numpy().tobytes()] = {"tensor": name, "type": "f64"}
        known[(tensor * 10).to(torch.int8).numpy().tobytes()] = {"tensor": name, "type": "i8"}
    storages = {}
    with zipfile.ZipFile(buffer) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for entry in archive.infolist():
            folder, name = entry.filename.split("/", 1)
            data = archive.read(entry)
            if name.startswith("data/"):
                storages[entry.filename] = known.get(data) or {"hex": data.hex()}
            elif not name.startswith("."):
                out.writestr(zipfile.ZipInfo(entry.filename), data, zipfile.ZIP_DEFLATED)
        text = json.dumps(storages, indent=0, sort_keys=True)
        out.writestr(zipfile.ZipInfo("storages.json"), text, zipfile.ZIP_DEFLATED)


def main() -> None:
    folder = pathlib.Path(__file__).parent / "vit_tiny"
    folder.mkdir(exist_ok=True)
    (folder / "shapes.json").write_text(json.dumps(shapes(), indent=0) + "\n")
    weights = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in build(shapes()).items()}
    half = {name: value.half() for name, value in weights.items()}
    (folder / "variants").mkdir(exist_ok=True)
    for name, (value, arguments) in variants(weights).items():
        write_variant(folder / "variants" / f"{name}.zip", value, arguments, weights)

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
