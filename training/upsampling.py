"""Edges that follow the picture: logits refined with a colour guided filter (He, Sun, Tang 2013), then enlarged.

Around every pixel of the picture at half the input's size, the logits are explained as a linear function of the colour.
The means of these functions over the windows that hold a pixel, applied to its colour, are its new logit. An edge of
the mask thus moves to an edge of the picture within a few pixels, and stays where there is none. What it is worth:
MODEL_CARD.md.

This is the definition: in double precision, and what the extension is compared with (`test/reference`).
"""

import cv2
import numpy as np

REDUCTION = 2  # the guide is the network's input, made smaller by this


def reduced(picture: np.ndarray) -> np.ndarray:
    """Means over 2 x 2 pixels, rounded half up; at an odd edge of what is there.

    uint8 (h, w, 3) -> (ceil(h / 2), ceil(w / 2), 3)
    """
    h, w = picture.shape[:2]
    padded = np.pad(picture.astype(np.int64), ((0, h % 2), (0, w % 2), (0, 0)))
    blocks = padded.reshape((h + 1) // 2, 2, (w + 1) // 2, 2, 3).sum((1, 3))
    rows = np.full((h + 1) // 2, 2)
    columns = np.full((w + 1) // 2, 2)
    rows[h // 2 :], columns[w // 2 :] = 1, 1
    count = (rows[:, None] * columns)[..., None]
    return ((2 * blocks + count) // (2 * count)).astype(np.uint8)


class Guide:
    """What is computed once for a picture: `resized` is the network's input before the padding, uint8 (rh, rw, 3).

    `radius` of the windows in pixels of the guide, `eps` for colours of 0..1; logits are clipped to -`clip`..`clip`
    first.
    """

    def __init__(self, resized: np.ndarray, radius: int, eps: float, clip: float):
        self.radius, self.clip = radius, clip
        self.guide = reduced(resized).astype(np.float64) / 255
        self.size = self.guide.shape[:2]
        # A shorter side cannot be mirrored: such pictures keep their plain logits.
        self.works = min(self.size) > radius
        if not self.works:
            return
        self.mean = self.means(self.guide)
        products = self.means(np.einsum("hwi,hwj->hwij", self.guide, self.guide).reshape(*self.size, 9))
        covariance = products.reshape(*self.size, 3, 3) - np.einsum("hwi,hwj->hwij", self.mean, self.mean)
        self.inverse = np.linalg.inv(covariance + eps * np.eye(3))

    def means(self, x: np.ndarray) -> np.ndarray:
        """Means over windows of (2 radius + 1)^2 pixels; mirrored at the border, which is not repeated."""
        side = 2 * self.radius + 1
        planes = x.reshape(*x.shape[:2], -1)
        blurred = [cv2.blur(p, (side, side), borderType=cv2.BORDER_REFLECT_101) for p in np.moveaxis(planes, -1, 0)]
        return np.stack(blurred, -1).reshape(x.shape)

    def refine(self, low: np.ndarray, side: int) -> np.ndarray:
        """Low-resolution logits (s, s) of an input of `side` pixels -> (gh, gw), the size of the guide."""
        logits = cv2.resize(low, (side // REDUCTION, side // REDUCTION), interpolation=cv2.INTER_LINEAR)
        logits = logits[: self.size[0], : self.size[1]].astype(np.float64)
        p = np.clip(logits, -self.clip, self.clip)
        mean_p = self.means(p)
        covariance = self.means(self.guide * p[..., None]) - self.mean * mean_p[..., None]
        slope = np.einsum("hwij,hwj->hwi", self.inverse, covariance)
        offset = mean_p - (slope * self.mean).sum(-1)
        refined = (self.means(slope) * self.guide).sum(-1) + self.means(offset)
        # What the clipping took from logits that are sure comes back where both agree; no sign changes, no edge moves.
        sure = np.where(refined * logits > 0, np.maximum(1, np.abs(logits) / self.clip), 1)
        return (refined * sure).astype(np.float32)
