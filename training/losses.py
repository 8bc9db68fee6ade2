"""The training objective: SAM's mask and IoU losses, and two auxiliary losses on the image embedding.

Shapes: B images, R prompted masks, M = 4 mask tokens (0 = single-mask token), m x m the low-resolution masks.
"""

import math

import torch
import torch.nn.functional as F

from training.augment import LABELS


def mask_losses(logits, predicted, truth, single, use):
    """SAM's objective over the four mask tokens, in rows weighted by `use` (R,).

    10 x focal (alpha 0.5) + 1.5 x dice of every mask. Rows prompted by one point (`single`, bool (R,)) train the best
    of the three multimask tokens (and, more weakly, the single-mask token); the others train the single-mask token
    (and, more weakly, the best multimask token).

    logits (R, M, m, m), predicted IoUs (R, M), truth (R, m, m), soft -> mask loss, IoU loss, real IoUs (R, M), index
    among the three multimask tokens of the best one (R,).
    """
    logits, predicted = logits.float(), predicted.float()
    g = truth[:, None]
    p = logits.sigmoid()
    ce = F.softplus(logits) - logits * g
    pt = p * g + (1 - p) * (1 - g)
    focal = 0.5 * ((1 - pt) ** 2 * ce).mean((-2, -1))
    inter = (p * g).sum((-2, -1))
    dice = 1 - (2 * inter + 1) / (p.sum((-2, -1)) + g.sum((-2, -1)) + 1)
    per = 10 * focal + 1.5 * dice
    best, index = per[:, 1:].min(1)
    best = best + 0.05 * per[:, 1:].mean(1)
    weight = torch.where(single, 1.0, 0.3)
    mask_loss = weight * best + (1.3 - weight) * per[:, 0]
    with torch.no_grad():
        a, b = logits > 0, g > 0.5
        iou = (a & b).sum((-2, -1)).float() / (a | b).sum((-2, -1)).float().clamp(min=1)
    iou_loss = ((predicted - iou) ** 2).mean(1)
    share = 1 / use.sum().clamp(min=1)
    return (mask_loss * use).sum() * share, (iou_loss * use).sum() * share, iou, index


class Heads(torch.nn.Module):
    """Training-only heads on the embedding: what a masked object is, and whether two pixels belong together.

    A few prompts per image supervise the encoder only sparsely; these make every label and boundary a signal.
    """

    def __init__(self, dim: int, classes: int, d: int = 8):
        super().__init__()
        self.norm = torch.nn.LayerNorm(dim)
        self.classes = torch.nn.Linear(dim, classes)
        self.subcells = torch.nn.Linear(dim, 16 * d)
        self.bias = torch.nn.Parameter(torch.tensor(1.0))

    def classify(self, emb, masks, kinds, use):
        """Cross entropy of the class of the embedding's mean in each mask; class 0, `unknown`, does not count."""
        b, c, h, w = emb.shape
        k = len(masks) // b
        m = F.avg_pool2d(masks[:, None], 4)[:, 0].view(b, k, h * w)
        m = m / m.sum(-1, keepdim=True).clamp(min=1e-4)
        pooled = self.norm((m @ emb.float().flatten(2).transpose(1, 2)).view(b * k, c))
        loss = F.cross_entropy(self.classes(pooled), kinds.clamp(min=0), reduction="none")
        weight = use * (kinds > 0)
        return (loss * weight).sum() / weight.sum().clamp(min=1)

    def affinity(self, emb, labels, shifts: int = 4):
        """Do two pixels belong to the same region? The mean loss over random offsets; labels (B, 2, S, S).

        A linear map expands each embedding cell into 4 x 4 sub-cells of `d` numbers; the squared distance of two such
        vectors is the logit of 'different'.
        """
        e = F.pixel_shuffle(self.subcells(emb.float().permute(0, 2, 3, 1)).permute(0, 3, 1, 2), 4)
        part, whole = labels[:, 1, 2::4, 2::4], labels[:, 0, 2::4, 2::4]
        ids = part.long() * LABELS + whole.long()
        h = ids.shape[-1]
        total = emb.new_zeros(())
        for r, a in torch.rand(shifts, 2).tolist():
            r, a = math.exp(r * math.log(h / 6)), a * math.pi
            dy, dx = round(r * math.sin(a)), round(r * math.cos(a))
            y0, y1 = slice(0, h - dy), slice(dy, h)
            x0, x1 = (slice(0, h - dx), slice(dx, h)) if dx >= 0 else (slice(-dx, h), slice(0, h + dx))
            d2 = (e[:, :, y0, x0] - e[:, :, y1, x1]).square().sum(1)
            la, lb, wa, wb = ids[:, y0, x0], ids[:, y1, x1], whole[:, y0, x0], whole[:, y1, x1]
            same = (la == lb).float()
            # background pairs and part-versus-its-object pairs say nothing
            use = ((la > 0) | (lb > 0)) & ~((wa == wb) & (la != lb) & (wa > 0))
            bce = F.binary_cross_entropy_with_logits(self.bias - d2, same, reduction="none")
            pos, neg = use & (same > 0), use & (same == 0)
            total = total + (bce * pos).sum() / pos.sum().clamp(min=1) + (bce * neg).sum() / neg.sum().clamp(min=1)
        return total / shifts
