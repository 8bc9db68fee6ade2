"""SAM's pre- and post-processing around the model: an RGB image and prompts in its pixels, full-size masks out."""

import numpy as np
import torch
import torch.nn.functional as F

from training.model.sam import Sam
from training.upsampling import REDUCTION, Guide


class Predictor:
    """One image at a time: `set_image`, then `predict` for any number of prompts.

    `size` is the side of the padded input in pixels, by default the model's own. With `guided`, edges follow the
    picture where the configuration says so.
    """

    def __init__(self, model: Sam, size: int | None = None, guided: bool = True):
        self.model, self.size = model, size or model.img_size
        self.filter = model.config.get("upsampling", {}).get("guided") if guided else None

    def resized_shape(self, h: int, w: int) -> tuple[int, int]:
        """Height and width of an h x w image whose longest side is made `size`."""
        f = self.size / max(h, w)
        return int(h * f + 0.5), int(w * f + 0.5)

    @torch.no_grad()
    def set_image(self, rgb: np.ndarray) -> None:
        """Encode an RGB image, uint8 (H, W, 3)."""
        h, w = rgb.shape[:2]
        x = torch.from_numpy(np.ascontiguousarray(rgb)).to(self.model.pixel_mean.device).permute(2, 0, 1)[None].float()
        if self.resized_shape(h, w) != (h, w):  # antialiased bilinear resize, as PIL's BILINEAR
            resized = self.resized_shape(h, w)
            x = F.interpolate(x, resized, mode="bilinear", align_corners=False, antialias=True).round()
        self.set_resized(x, (h, w))

    @torch.no_grad()
    def set_resized(self, x: torch.Tensor, original: tuple[int, int]) -> None:
        """Encode an image that has its `resized_shape` already: (1, 3, h, w) in 0..255; `original` is (H, W)."""
        self.original, self.resized = original, tuple(x.shape[-2:])
        pixels = x[0].permute(1, 2, 0).to(torch.uint8).cpu().numpy()
        self.guide = Guide(pixels, **self.filter) if self.filter else None
        x = (x - self.model.pixel_mean) / self.model.pixel_std
        x = F.pad(x, (0, self.size - self.resized[1], 0, self.size - self.resized[0]))
        self.embedding = self.model.image_encoder(x)

    @torch.no_grad()
    def predict_logits(self, points=None, labels=None, box=None):
        """Full-size logits (4, H, W), low-resolution logits (4, size / 4, size / 4) and predicted IoUs (4,).

        points: (x, y) pairs, and box: (x0, y0, x1, y1), in pixels of the original image; labels: 1 inside, 0 outside.
        Mask 0 is the single-mask token's, masks 1 to 3 are the multimask tokens'.
        """
        points = None if points is None else np.float32([points])
        boxes = None if box is None else np.float32([box])
        low, iou = self.decode_many(points, labels, boxes)
        return self.upsampled(low)[0], low[0], iou[0]

    @torch.no_grad()
    def predict_many(self, points=None, labels=None, boxes=None) -> tuple[torch.Tensor, torch.Tensor]:
        """Full-size logits (R, 4, H, W) and predicted IoUs (R, 4) of R prompts with the same number of points.

        points (R, N, 2) and boxes (R, 4), in pixels of the original image; labels (N,) for all, by default 1.
        """
        low, iou = self.decode_many(points, labels, boxes)
        return self.upsampled(low), iou

    def decode_many(self, points=None, labels=None, boxes=None) -> tuple[torch.Tensor, torch.Tensor]:
        """Low-resolution logits (R, 4, size / 4, size / 4) and predicted IoUs (R, 4); prompts as `predict_many`."""
        scale = np.float32([self.resized[1] / self.original[1], self.resized[0] / self.original[0]])
        rows = len(points if points is not None else boxes)
        coordinates, kinds = [], []
        if points is not None:
            coordinates.append(np.asarray(points, np.float32) * scale)
            kinds += [1] * coordinates[0].shape[1] if labels is None else list(labels)
            if boxes is None:
                coordinates.append(np.full((rows, 1, 2), -0.5, np.float32))
                kinds.append(-1)
        if boxes is not None:
            coordinates.append(np.asarray(boxes, np.float32).reshape(rows, 2, 2) * scale)
            kinds += [2, 3]
        device = self.embedding.device
        xy = torch.from_numpy(np.concatenate(coordinates, 1)).to(device)
        return self.model.decode(self.embedding, xy, torch.tensor([kinds] * rows, device=device), self.size, rows)

    def upsampled(self, low: torch.Tensor, guided: bool = True) -> torch.Tensor:
        """Low-resolution logits (R, M, h, w) at the image's own size: bilinear, crop, bilinear, as SAM does.

        Of a model whose edges follow the picture they are refined first, unless not `guided`.
        """
        low, middle = low.float(), (self.size, self.size)
        if guided and self.guide and self.guide.works:
            refined = [[self.guide.refine(mask, self.size) for mask in masks] for masks in low.cpu().numpy()]
            low, middle = torch.from_numpy(np.array(refined)).to(low.device), [REDUCTION * n for n in self.guide.size]
        up = F.interpolate(low, middle, mode="bilinear", align_corners=False)
        up = up[..., : self.resized[0], : self.resized[1]]
        return F.interpolate(up, self.original, mode="bilinear", align_corners=False)

    def predict(self, points=None, labels=None, box=None) -> tuple[np.ndarray, np.ndarray]:
        """All four masks, bool (4, H, W), with predicted IoUs (4,); prompts as for `predict_logits`."""
        logits, _, iou = self.predict_logits(points, labels, box)
        return (logits > self.model.config["mask_threshold"]).cpu().numpy(), iou.cpu().numpy()
