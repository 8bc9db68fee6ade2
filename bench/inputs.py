"""What all contenders are given: checkpoints, ONNX files, one square picture, photographs as JPEG.

    python bench/inputs.py --out build/bench --models mobile_sam sam_vit_b [--onnx FOLDER]

Nothing is made again that is there. Checkpoints are seeded (test/reference/seeded_weights.py): speed does not depend on
the weights, and anyone can rebuild them bit for bit.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "reference"))
from make_reference import install_stubs, seeded  # noqa: E402

SIDE = 1024
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
LOW_RES = ["iou_predictions", "low_res_masks"]
REGISTRY = {"mobile_sam": ("mobile_sam", "vit_t"), "sam_vit_b": ("segment_anything", "vit_b")}


def authors_package(name: str) -> types.ModuleType:
    """The package that the model's authors published."""
    if "timm" not in sys.modules:
        install_stubs()
    return importlib.import_module(REGISTRY[name][0])


def torch_model(name: str, checkpoint: Path | None) -> torch.nn.Module:
    """The model as its authors' package builds it, from a checkpoint file if there is one."""
    _, kind = REGISTRY[name]
    build = authors_package(name).sam_model_registry[kind]
    return build(checkpoint=None if checkpoint is None else str(checkpoint)).eval()


def make_checkpoint(name: str, path: Path) -> None:
    """A .pth file as the authors publish it, which PyTorch and this project both read."""
    model, shapes = seeded(torch_model(name, None))
    state = model.state_dict()
    torch.save({tensor: state[tensor] for tensor in shapes}, path)


def export_encoder(model: torch.nn.Module, path: Path) -> None:
    """Normalised picture to embedding, sizes fixed: what every runtime optimises best."""
    example = torch.zeros(1, 3, SIDE, SIDE)
    export(model.image_encoder, (example,), path, ["image"], ["embedding"])


def export_decoder(name: str, model: torch.nn.Module, path: Path) -> None:
    """Meta's own ONNX form of the prompt encoder and the mask decoder, with all masks."""
    wrapper = importlib.import_module(f"{REGISTRY[name][0]}.utils.onnx").SamOnnxModel
    inputs = {
        "image_embeddings": torch.zeros(1, 256, SIDE // 16, SIDE // 16),
        "point_coords": torch.rand(1, 2, 2) * SIDE,
        "point_labels": torch.tensor([[1.0, -1.0]]),
        "mask_input": torch.zeros(1, 1, SIDE // 4, SIDE // 4),
        "has_mask_input": torch.zeros(1),
        "orig_im_size": torch.tensor([float(SIDE), float(SIDE)]),
    }
    outputs = ["masks", *LOW_RES]
    dynamic = {"point_coords": {1: "n"}, "point_labels": {1: "n"}}
    export(wrapper(model, return_single_mask=False), tuple(inputs.values()), path, list(inputs), outputs, dynamic)


def export(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic: dict[str, dict[int, str]] | None = None,
) -> None:
    """Opset 17: the first with layer norms in one operation, and read by every runtime."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing says that sizes become constants, which is meant
        names = {"input_names": inputs, "output_names": outputs, "dynamic_axes": dynamic}
        torch.onnx.export(module, example, str(path), opset_version=17, dynamo=False, **names)


def make_onnx(name: str, checkpoint: Path, out: Path, given: Path | None) -> None:
    """`NAME_encoder.onnx`, and for MobileSAM `NAME_decoder.onnx`, taken from the folder `given` if it holds them."""
    parts = ["encoder", "decoder"] if name == "mobile_sam" else ["encoder"]
    for part in parts:
        path = out / f"{name}_{part}.onnx"
        source = given / path.name if given else None
        if source and source.exists():
            shutil.copyfile(source, path)
        elif not path.exists():
            print(f"exporting {path.name}", flush=True)
            model = torch_model(name, checkpoint)
            if part == "encoder":
                export_encoder(model, path)
            else:
                export_decoder(name, model, path)
    if "decoder" in parts:
        import onnx

        # Without the output `masks`: upsampling four masks is no part of a decode, and no runtime skips it by itself.
        source, path = out / f"{name}_decoder.onnx", out / f"{name}_decoder_low_res.onnx"
        inputs = [value.name for value in onnx.load(source).graph.input if value.name != "orig_im_size"]
        onnx.utils.extract_model(str(source), str(path), inputs, LOW_RES)


def make_square(out: Path) -> None:
    """A picture that needs neither resize nor padding, as a file and as the tensor that it becomes."""
    picture = Image.open(ROOT / "test/reference/images/astronaut_512x512.png").convert("RGB")
    picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    picture.save(out / "square.png")
    tensor = ((np.asarray(picture, np.float32) - MEAN) / STD).transpose(2, 0, 1)[None]
    np.save(out / "square.npy", np.ascontiguousarray(tensor))


def make_photos(folder: Path, count: int) -> None:
    """Different photographs of about a megapixel, from those of the demo: mirrored and brightened, never the same."""
    folder.mkdir()
    sources = sorted((ROOT / "demo" / "photos").glob("*.jpg"))
    for index in range(count):
        picture = Image.open(sources[index % len(sources)]).convert("RGB")
        if index // len(sources) % 2:
            picture = ImageOps.mirror(picture)
        picture = ImageOps.fit(picture, (1200, 800), Image.Resampling.BICUBIC)
        picture = ImageEnhance.Brightness(picture).enhance(1 + 0.05 * (index // (2 * len(sources))))
        picture.save(folder / f"{index:03}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=REGISTRY, default=["mobile_sam"])
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--onnx", type=Path, help="folder that may hold MODEL_encoder.onnx and MODEL_decoder.onnx")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "square.npy").exists():
        make_square(out)
    if not (folder := out / f"photos-{arguments.photos}").exists():
        make_photos(folder, arguments.photos)
    for name in arguments.models:
        if not (checkpoint := out / f"{name}.pth").exists():
            print(f"making {checkpoint.name}", flush=True)
            make_checkpoint(name, checkpoint)
        make_onnx(name, checkpoint, out, arguments.onnx)


if __name__ == "__main__":
    main()
