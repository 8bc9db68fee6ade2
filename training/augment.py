"""Random crops of the store, on its device: mosaics of four, pasted objects, other colours.

Shapes: n pictures of side S. Labels of an augmented picture are below `LABELS`: the pack's own id, plus 256 times
the tile of a mosaic; the last two are pasted objects.
"""

import math

import torch
import torch.nn.functional as F

from training.packs import SIDE
from training.store import MEAN_RGB, Store

LABELS = 1024
STD_RGB = (58.395, 57.12, 57.375)
MOSAIC_SHARE = 0.2
# (how many places before in the batch the other picture lies, share of pictures that get one of its objects)
PASTES = ((1, 0.45), (2, 0.25))
WHOLE_SHARE, WHOLE_SHARE_CALM = 0.4, 0.65  # of crops that are the whole picture


def uniform(n, low, high, device):
    """n numbers of low..high."""
    return torch.rand(n, device=device) * (high - low) + low


def log_uniform(n, low, high, device):
    """n numbers of low..high whose logarithms are uniform."""
    return torch.exp(uniform(n, math.log(low), math.log(high), device))


def count_labels(labels, stride):
    """Approximate areas of the labels (n, S, S) in pixels, from every `stride`-th pixel of each row: (n, LABELS)."""
    few = labels[:, stride // 2 :: stride, stride // 2 :: stride].flatten(1).long()
    area = torch.zeros(len(labels), LABELS, device=labels.device)
    return area.scatter_add_(1, few, torch.full(few.shape, float(stride * stride), device=labels.device))


def tiled(four):
    """(4 m, C, h, w) -> (m, C, 2 h, 2 w): four pictures as one."""
    n, c, h, w = four.shape
    return four.view(n // 4, 2, 2, c, h, w).permute(0, 3, 1, 4, 2, 5).reshape(n // 4, c, 2 * h, 2 * w)


class Augment:
    """Batches of a store. `calm`, for the end of a training: pictures much as they are."""

    def __init__(self, store: Store):
        self.store, self.calm = store, False
        device = store.images.device
        self.device = device
        self.mean = torch.tensor(MEAN_RGB, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(STD_RGB, device=device).view(1, 3, 1, 1)

    @torch.no_grad()
    def batch(self, n, s):
        """Normalised images (n, 3, S, S), labels (n, 2, S, S), visible (n, 1, S, S), classes (n, 2, LABELS)."""
        # below 512: sampled at twice the side, then averaged
        twice = s <= SIDE // 2
        side = 2 * s if twice else s
        mosaics = 0 if self.calm else int(n * MOSAIC_SHARE)
        image, labels, visible, index = self.crops(n + 3 * mosaics, side)
        classes = torch.full((n, 2, LABELS), -1, device=self.device, dtype=torch.long)
        own = self.store.classes[index]
        classes[mosaics:, :, :256] = own[4 * mosaics :]
        if mosaics:
            m = 4 * mosaics
            classes[:mosaics] = own[:m].view(mosaics, 4, 2, 256).permute(0, 2, 1, 3).reshape(mosaics, 2, LABELS)
            one = self.mosaic(image[:m], labels[:m], visible[:m])
            image, labels, visible = (torch.cat([a, b[m:]]) for a, b in zip(one, (image, labels, visible), strict=True))
            index = torch.cat([index[:m:4], index[m:]])
        for hop, share in PASTES if n > 2 else ():
            share = 0.3 * share if self.calm else share
            image, labels, kind = self.paste(image, labels, visible, index, classes, hop, share)
            classes[:, 0, LABELS - hop] = kind
        image = self.recolour(image)
        image = torch.where(visible, (image - self.mean) / self.std, torch.zeros_like(image))
        if twice:
            image, labels, visible = F.avg_pool2d(image, 2), labels[..., 1::2, 1::2], visible[..., 1::2, 1::2]
        return image, labels.contiguous(), visible, classes

    def windows(self, index, s):
        """Parts (x0, y0, w, h) of stored pictures, each around an object, and the sizes (ow, oh) they get."""
        store, device, n = self.store, self.device, len(index)
        height, width = store.sizes[index, 0].float(), store.sizes[index, 1].float()
        box = store.boxes[index, torch.multinomial(store.present[index], 1)[:, 0]]
        middle_x, middle_y = (box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2
        extent = torch.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]).clamp(min=8)
        longest = torch.maximum(height, width)
        # the whole picture, a crop in which the object has a chosen size, or a crop of a chosen size
        mode = torch.rand(n, device=device)
        whole = WHOLE_SHARE_CALM if self.calm else WHOLE_SHARE
        part = log_uniform(n, 0.45, 1.0, device)
        near = (extent / log_uniform(n, 0.08, 0.9, device) / longest).clamp(0.2, 1.0)
        part = torch.where(mode < whole + 0.5 * (1 - whole), near, part)
        part = torch.where(mode < whole, torch.ones_like(part), part)
        aspect = torch.exp(torch.randn(n, device=device) * 0.2)
        aspect = torch.where(mode < whole, torch.ones_like(aspect), aspect)
        w = torch.minimum((width * part * aspect.sqrt()).clamp(min=48), width)
        h = torch.minimum((height * part / aspect.sqrt()).clamp(min=48), height)
        # the object's middle lies somewhere in the window
        x0 = torch.minimum((middle_x - w * uniform(n, 0.1, 0.9, device)).clamp(min=0), width - w)
        y0 = torch.minimum((middle_y - h * uniform(n, 0.1, 0.9, device)).clamp(min=0), height - h)
        stretch = torch.exp(torch.randn(n, device=device).clamp(-2, 2) * 0.07)
        scale = s / torch.maximum(w * stretch, h / stretch)
        return x0, y0, w, h, (w * stretch * scale).round().clamp(16, s), (h / stretch * scale).round().clamp(16, s)

    def crops(self, n, s):
        """n crops: images (n, 3, S, S) in 0..255, labels (n, 2, S, S), visible (n, 1, S, S), and whose they are."""
        store, device = self.store, self.device
        index = torch.multinomial(store.weight, n, replacement=True)
        x0, y0, w, h, ow, oh = self.windows(index, s)
        flip = torch.rand(n, device=device) < 0.5
        centres = torch.arange(s, device=device, dtype=torch.float32) + 0.5
        tx, ty = centres[None] / ow[:, None], centres[None] / oh[:, None]  # 0..1 inside
        visible = (tx < 1)[:, None, None, :] & (ty < 1)[:, None, :, None]
        tx = torch.where(flip[:, None], 1 - tx, tx)
        sx, sy = x0[:, None] + tx * w[:, None], y0[:, None] + ty * h[:, None]
        gx, gy = sx * (2 / SIDE) - 1, sy * (2 / SIDE) - 1
        grid = torch.stack([gx[:, None, :].expand(n, s, s), gy[:, :, None].expand(n, s, s)], -1)
        stored = store.images[index].float()
        image = F.grid_sample(stored, grid, mode="bilinear", padding_mode="border", align_corners=False)
        ix, iy = sx.floor().long().clamp(0, SIDE - 1), sy.floor().long().clamp(0, SIDE - 1)
        row = torch.arange(n, device=device)[:, None, None]
        labels = store.labels[index][row, :, iy[:, :, None], ix[:, None, :]].permute(0, 3, 1, 2)
        labels = torch.where(visible, labels, torch.zeros_like(labels)).to(torch.int32)
        return image, labels, visible, index

    def mosaic(self, image, labels, visible):
        """Every four crops as one, at half the size; the gaps show the mean colour and count as picture."""
        n = len(image)
        tile = (torch.arange(n, device=self.device, dtype=torch.int32) % 4 * 256).view(-1, 1, 1, 1)
        half = labels[..., 1::2, 1::2]
        half = torch.where(half > 0, half + tile, half)
        shown = tiled(visible[..., 1::2, 1::2])
        small = tiled(F.avg_pool2d(image, 2))
        return torch.where(shown, small, self.mean.expand_as(small)), tiled(half), torch.ones_like(shown)

    def paste(self, image, labels, visible, index, classes, hop, share):
        """Onto some images one object of the image `hop` places before, moved and scaled, with soft edges."""
        n, device, s = len(image), self.device, image.shape[-1]
        donor = torch.roll(torch.arange(n, device=device), hop)
        area = count_labels(labels[donor, 0], 2)
        area[:, 0] = 0
        fits = (area > 0.006 * s * s) & (area < 0.35 * s * s)
        use = fits.any(1) & self.store.pasteable[index[donor]] & (torch.rand(n, device=device) < share)
        pick = torch.multinomial(fits.float() + 1e-6, 1)[:, 0]
        mask = (labels[donor, 0] == pick[:, None, None]).float()[:, None]
        grid = self.placement(mask)
        both = torch.cat([image[donor], mask], 1)
        moved = F.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        hard = (moved[:, 3:] > 0.5) & visible & use.view(-1, 1, 1, 1)
        narrow = F.avg_pool2d(hard.float(), 3, 1, 1)
        wide = F.avg_pool2d(narrow, 3, 1, 1)
        alpha = torch.where((torch.rand(n, device=device) < 0.5).view(-1, 1, 1, 1), narrow, wide)
        alpha = alpha * (moved[:, 3:] > 0.02)
        image = image * (1 - alpha) + moved[:, :3] * alpha
        labels = torch.where(hard, torch.zeros_like(labels), labels)
        labels[:, :1] = torch.where(hard, torch.full_like(labels[:, :1], LABELS - hop), labels[:, :1])
        return image, labels, classes[donor, 0, pick]

    def placement(self, mask):
        """A sampling grid (n, S, S, 2) that takes the middle of each mask (n, 1, S, S) elsewhere, in another size."""
        n, _, s, _ = mask.shape
        device = self.device
        scale = log_uniform(n, 0.45, 1.15, device)
        target = uniform((n, 2), -0.6, 0.6, device)  # of -1..1
        sign = torch.where(torch.rand(n, device=device) < 0.5, 1.0, -1.0)
        centres = (torch.arange(s, device=device) + 0.5) * (2 / s) - 1
        total = mask.sum((1, 2, 3)).clamp(min=1)
        middle_x = (mask[:, 0].sum(1) * centres).sum(1) / total
        middle_y = (mask[:, 0].sum(2) * centres).sum(1) / total
        theta = torch.zeros(n, 2, 3, device=device)
        theta[:, 0, 0], theta[:, 1, 1] = sign / scale, 1 / scale
        theta[:, 0, 2] = middle_x - target[:, 0] * sign / scale
        theta[:, 1, 2] = middle_y - target[:, 1] / scale
        return F.affine_grid(theta, (n, 4, s, s), align_corners=False)

    def recolour(self, image):
        """Other brightness, contrast and saturation, at times grey; some blurred, some noisy. In and out 0..255."""
        n, device = len(image), self.device

        def normal(*shape):
            return torch.randn(*shape, device=device)

        on = (torch.rand(n, 1, 1, 1, device=device) < 0.8).float()
        gain = (1 + normal(n, 3, 1, 1) * 0.07 + normal(n, 1, 1, 1) * 0.16) * on + 1 - on
        contrast = torch.exp(normal(n, 1, 1, 1) * 0.17) * on + 1 - on
        centre = image.mean((1, 2, 3), keepdim=True)
        image = (image - centre) * (gain * contrast) + centre * gain
        grey = image.mean(1, keepdim=True)
        saturation = torch.exp(normal(n, 1, 1, 1) * 0.25) * on + 1 - on
        bleached = torch.rand(n, 1, 1, 1, device=device) < 0.07
        image = grey + (image - grey) * torch.where(bleached, torch.zeros_like(saturation), saturation)
        few, shift = max(1, n // 8), int(torch.randint(n, ()))
        image = torch.roll(image, shift, 0)
        soft = image[:few]
        for _ in range(2):
            soft = F.avg_pool2d(soft, 3, 1, 1, count_include_pad=False)
        image = torch.cat([soft, image[few:]])
        noise = torch.randn_like(image[-few:]) * uniform(few, 1, 12, device).view(-1, 1, 1, 1)
        image = torch.cat([image[:-few], image[-few:] + noise])
        return torch.roll(image, -shift, 0).clamp(0, 255)
