"""The training objective: SAM's mask and IoU losses, and an auxiliary loss on the image embedding.

Shapes: B images, R prompted masks, M = 4 mask tokens (0 = single-mask token), h x w the low-resolution masks.
"""

import math

import torch
import torch.nn.functional as F


def focal_dice(logits, gt):
    """10 * focal(alpha 0.5) + 1.5 * dice of every mask: (R, M, h, w), `gt` may be soft -> (R, M).

    SAM's 20 * focal(alpha 0.25) + dice gives the same weight to positives; less weight on negatives leaves the empty
    mask sooner.
    """
    p = logits.sigmoid()
    ce = F.binary_cross_entropy_with_logits(logits, gt, reduction="none")
    pt = p * gt + (1 - p) * (1 - gt)
    focal = 0.5 * ((1 - pt) ** 2 * ce).mean((-2, -1))
    inter = (p * gt).sum((-2, -1))
    dice = 1 - (2 * inter + 1) / (p.sum((-2, -1)) + gt.sum((-2, -1)) + 1)
    return 10 * focal + 1.5 * dice


def mask_iou(logits, gt):
    """IoU of the binary masks over the last two axes."""
    a, b = logits > 0, gt > 0.5
    inter = (a & b).sum((-2, -1)).float()
    return inter / (a | b).sum((-2, -1)).clamp(min=1)


def round_loss(logits, iou_pred, gt, single):
    """SAM's objective over the four mask tokens.

    Rows prompted by one point (`single`, bool (R,)) train the best of the three multimask tokens (and, more weakly,
    the single-mask token); all other rows train the single-mask token (and, more weakly, the best multimask token).

    logits (R, M, h, w), iou_pred (R, M), gt (R, h, w) -> mask loss, IoU loss, real IoUs (R, M), index among the three
    multimask tokens of the best one (R,).
    """
    per = focal_dice(logits, gt[:, None].expand_as(logits))
    best, idx = per[:, 1:].min(1)
    best = best + 0.05 * per[:, 1:].mean(1)
    w = torch.where(single, 1.0, 0.3)
    seg = w * best + (1.3 - w) * per[:, 0]
    iou = mask_iou(logits, gt[:, None])
    return seg.mean(), F.mse_loss(iou_pred, iou), iou.detach(), idx


class Affinity(torch.nn.Module):
    """Auxiliary, training-only head: do two nearby pixels belong to the same region?

    Four prompts per image supervise the encoder only sparsely; this head turns every labelled boundary into a signal.
    A linear map expands each embedding cell into 4 x 4 sub-cells of `d` numbers; the squared distance of two such
    vectors is the logit of 'different'.
    """

    def __init__(self, dim: int, d: int = 8):
        super().__init__()
        self.d = d
        self.lin = torch.nn.Linear(dim, 16 * d)
        self.t = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, emb, ids, rng, shifts=5):
        """emb (B, C, h/4, w/4), ids (B, h, w) as in `PromptDataset` -> the mean loss over random offsets."""
        e = self.lin(emb.float().permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        e = F.pixel_shuffle(e, 4)
        whole = torch.div(ids, 256, rounding_mode="floor")
        h, w = ids.shape[-2:]
        total = 0
        for _ in range(shifts):
            r = math.exp(rng.uniform(0, math.log(h / 6)))
            a = rng.uniform(0, math.pi)
            dy, dx = round(r * math.sin(a)), round(r * math.cos(a))
            y0, y1 = slice(0, h - dy), slice(dy, h)
            x0, x1 = (slice(0, w - dx), slice(dx, w)) if dx >= 0 else (slice(-dx, w), slice(0, w + dx))
            d2 = (e[:, :, y0, x0] - e[:, :, y1, x1]).square().sum(1)
            wa, wb, la, lb = whole[:, y0, x0], whole[:, y1, x1], ids[:, y0, x0], ids[:, y1, x1]
            same = (la == lb).float()
            # background pairs and part-versus-its-object pairs say nothing
            use = ((la > 0) | (lb > 0)) & ~((wa == wb) & (la != lb) & (wa > 0))
            bce = F.binary_cross_entropy_with_logits(self.t - d2, same, reduction="none")
            pos, neg = use & (same > 0), use & (same == 0)
            total = total + bce[pos].mean() + bce[neg].mean() if pos.any() and neg.any() else total
        return total / shifts
