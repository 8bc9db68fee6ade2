"""SAM's pre- and post-processing around the model: an RGB image and prompts in its pixels, full-size masks out."""

import numpy as np
import torch
import torch.nn.functional as F

from training.model.sam import Sam


class Predictor:
    """One image at a time: `set_image`, then `predict` for any number of prompts.

    `size` is the side of the padded input in pixels, by default the model's own.
    """

    def __init__(self, model: Sam, size: int | None = None):
        self.model, self.size = model, size or model.img_size

    def resized_shape(self, h: int, w: int) -> tuple[int, int]:
        """Height and width of an h x w image whose longest side is made `size`."""
        f = self.size / max(h, w)
        return int(h * f + 0.5), int(w * f + 0.5)

    @torch.no_grad()
    def set_image(self, rgb: np.ndarray) -> None:
        """Encode an RGB image, uint8 (H, W, 3)."""
        h, w = rgb.shape[:2]
        # antialiased bilinear resize of the longest side, as PIL's BILINEAR does
        x = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float()
        x = F.interpolate(x, self.resized_shape(h, w), mode="bilinear", align_corners=False, antialias=True).round()
        self.set_resized(x, (h, w))

    @torch.no_grad()
    def set_resized(self, x: torch.Tensor, original: tuple[int, int]) -> None:
        """Encode an image that has its `resized_shape` already: (1, 3, h, w) in 0..255; `original` is (H, W)."""
        self.original, self.resized = original, tuple(x.shape[-2:])
        x = (x - self.model.pixel_mean) / self.model.pixel_std
        x = F.pad(x, (0, self.size - self.resized[1], 0, self.size - self.resized[0]))
        self.embedding = self.model.image_encoder(x)

    @torch.no_grad()
    def predict_logits(self, points=None, labels=None, box=None):
        """Full-size logits (4, H, W), low-resolution logits (4, size / 4, size / 4) and predicted IoUs (4,).

        points: (x, y) pairs, and box: (x0, y0, x1, y1), in pixels of the original image; labels: 1 inside, 0 outside.
        Mask 0 is the single-mask token's, masks 1 to 3 are the multimask tokens'.
        """
        sx, sy = self.resized[1] / self.original[1], self.resized[0] / self.original[0]
        coordinates, kinds = [], []
        if points is not None:
            coordinates += [[x * sx, y * sy] for x, y in points]
            kinds += list(labels)
            if box is None:
                coordinates.append([-0.5, -0.5])
                kinds.append(-1)
        if box is not None:
            coordinates += [[box[0] * sx, box[1] * sy], [box[2] * sx, box[3] * sy]]
            kinds += [2, 3]
        xy = torch.tensor([coordinates], dtype=torch.float32)
        low, iou = self.model.decode(self.embedding, xy, torch.tensor([kinds]), self.size)
        up = F.interpolate(low, (self.size, self.size), mode="bilinear", align_corners=False)
        up = up[..., : self.resized[0], : self.resized[1]]
        up = F.interpolate(up, self.original, mode="bilinear", align_corners=False)
        return up[0], low[0], iou[0]

    def predict(self, points=None, labels=None, box=None) -> tuple[np.ndarray, np.ndarray]:
        """All four masks, bool (4, H, W), with predicted IoUs (4,); prompts as for `predict_logits`."""
        logits, _, iou = self.predict_logits(points, labels, box)
        return (logits > self.model.config["mask_threshold"]).numpy(), iou.numpy()
