"""Reference outputs of SAM's automatic mask generator with the built-in nano model.

    python make_generate_reference.py OUT

Writes OUT/generate.json: for each case the picture, the options, and what `SamAutomaticMaskGenerator` returns, its
boxes left out and its masks as COCO's compressed run lengths. The generator is Meta's; its predictor is replaced by
that of nano's PyTorch code (`training/`), with Pillow's resize as in the other references. Masks follow the edges of
the picture; stability scores are those of the plain logits, which is the other thing that is replaced.

Needs torch, torchvision, numpy, opencv, pillow, pycocotools, safetensors and segment-anything.
"""

import argparse
import json
import pathlib
import sys
import types

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from segment_anything import SamAutomaticMaskGenerator, automatic_mask_generator

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))
from training.model.sam import load  # noqa: E402
from training.predictor import Predictor  # noqa: E402

# Beside these the thresholds that the file of the weights states.
CASES = [
    ("astronaut_512x512", {"points_per_side": 16}),
    ("coffee_600x400", {"points_per_side": 16}),
    ("coffee_600x400", {"points_per_side": 8, "min_mask_region_area": 200, "box_nms_thresh": 0.5}),
    ("coffee_600x400", {"points_per_side": 8, "crop_n_layers": 1, "crop_n_points_downscale_factor": 2}),
    ("astronaut_512x512", {"points_per_side": 6, "pred_iou_thresh": 0, "stability_score_thresh": 0,
                           "stability_score_offset": 0.5}),
]  # fmt: skip


CALCULATE_STABILITY = automatic_mask_generator.calculate_stability_score


def thresholds(weights: str) -> dict[str, float]:
    """What the file says a mask is good enough from."""
    with safe_open(weights, "pt") as file:
        return json.loads(file.metadata()["config"])["mask_generator"]


class Adapter:
    """What the generator asks a `SamPredictor` for."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.inner = Predictor(model)
        self.model = types.SimpleNamespace(mask_threshold=0.0)
        self.device = "cpu"
        self.transform = self

    def set_image(self, pixels: np.ndarray) -> None:
        height, width = pixels.shape[:2]
        resized = self.inner.resized_shape(height, width)
        image = np.array(Image.fromarray(pixels).resize(resized[::-1], Image.BILINEAR))
        self.inner.set_resized(torch.from_numpy(image).permute(2, 0, 1)[None].float(), (height, width))

    def reset_image(self) -> None:
        pass

    def apply_coords(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return points  # the inner predictor takes pixels of the picture

    def predict_torch(self, points: torch.Tensor, labels: torch.Tensor, **_: bool) -> tuple:
        low, iou = (output[:, 1:] for output in self.inner.decode_many(points.numpy()))
        self.last = low, iou
        return self.inner.upsampled(low), iou, None

    def stability(self, masks: torch.Tensor, threshold: float, offset: float) -> torch.Tensor:
        """Scores of what is left of the last masks when the generator has looked at their predicted IoUs."""
        low, iou = (output.flatten(0, 1) for output in self.last)
        least = self.least_iou
        plain = self.inner.upsampled((low[iou > least] if least > 0 else low)[:, None], guided=False)[:, 0]
        assert plain.shape == masks.shape
        return CALCULATE_STABILITY(plain, threshold, offset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, help="folder to write to")
    parser.add_argument("--model", default=ROOT / "extension/model/assets/nano.safetensors", help="the weights")
    arguments = parser.parse_args()
    adapter = Adapter(load(str(arguments.model)))
    results = []
    for name, options in CASES:
        options = thresholds(str(arguments.model)) | options
        stand_in = types.SimpleNamespace(image_encoder=types.SimpleNamespace(img_size=512), device="cpu")
        generator = SamAutomaticMaskGenerator(stand_in, output_mode="coco_rle", **options)
        generator.predictor = adapter
        adapter.least_iou = options["pred_iou_thresh"]
        automatic_mask_generator.calculate_stability_score = adapter.stability
        found = generator.generate(np.array(Image.open(HERE / "images" / f"{name}.png").convert("RGB")))
        records = [
            {
                "segmentation": record["segmentation"],
                "predicted_iou": record["predicted_iou"],
                "stability_score": record["stability_score"],
                "point_coords": record["point_coords"][0],
                "crop_box": record["crop_box"],
            }
            for record in found
        ]
        results.append({"image": name, "options": options, "masks": records})
        print(name, options, len(found))
    (arguments.out / "generate.json").write_text(json.dumps(results, indent=0) + "\n")


if __name__ == "__main__":
    main()
