"""Prompts for training, drawn on the device: which regions, a first click or box, then clicks where it was wrong.

Shapes: n pictures of side S, R = n K prompted masks at a quarter of the side (m = S / 4). Coordinates are input pixels.
"""

import torch
import torch.nn.functional as F

from training.augment import LABELS, count_labels

SMALLEST, LARGEST = 0.0009, 0.93  # a region's share of the input, and of the visible part, to be prompted for
PART_WEIGHT = 0.35  # of a region of plane 1, beside 1 for a whole object
CENTRAL_SHARE, MOVED_SHARE = 0.6, 0.55  # of the clicks, of the boxes


@torch.no_grad()
def choose_masks(labels, visible, classes, k):
    """`k` regions of every picture, with their soft masks (R, m, m), boxes (R, 4), classes and use (R,).

    labels (n, 2, S, S), visible (n, 1, S, S), classes (n, 2, LABELS). A picture with fewer regions repeats the
    first; one without any has no use.
    """
    n, _, s, _ = labels.shape
    area = count_labels(labels.flatten(0, 1), 2 if s > 256 else 1).view(n, 2, LABELS)
    area[:, :, 0] = 0
    shown = visible.sum((1, 2, 3)).float().view(n, 1, 1)
    weight = ((area >= SMALLEST * s * s) & (area <= LARGEST * shown)).float()
    weight[:, 1] *= PART_WEIGHT
    weight = weight.flatten(1)
    pick = torch.multinomial(weight + 1e-12, k)
    good = weight.gather(1, pick) > 0
    pick = torch.where(good, pick, pick[:, :1])
    plane, ident = pick // LABELS, pick % LABELS
    masks, boxes = [], []
    for j in range(k):
        of_plane = labels.gather(1, plane[:, j].view(n, 1, 1, 1).expand(n, 1, s, s))[:, 0]
        chosen = of_plane == ident[:, j].view(n, 1, 1)
        masks.append(F.avg_pool2d(chosen.float()[:, None], 4)[:, 0])
        column, row = chosen.any(1).float(), chosen.any(2).float()
        x0, y0 = column.argmax(1), row.argmax(1)
        x1, y1 = s - column.flip(1).argmax(1), s - row.flip(1).argmax(1)
        boxes.append(torch.stack([x0, y0, x1, y1], 1).float())
    masks, boxes = torch.stack(masks, 1).flatten(0, 1), torch.stack(boxes, 1).flatten(0, 1)
    return masks, boxes, classes.flatten(1).gather(1, pick).flatten(), good[:, :1].expand(n, k).flatten()


def depth_in(inside):
    """How often a mask (R, m, m) of zeros and ones can be eroded before a cell goes, plus one; at most 21."""
    depth, now = inside.clone(), inside[:, None]
    for _ in range(20):
        now = -F.max_pool2d(-F.pad(now, (1, 1, 1, 1)), 3, 1)
        depth = depth + now[:, 0]
    return depth


@torch.no_grad()
def first_prompts(masks, boxes, s, box_share):
    """A click or a box for every mask: coordinates (R, 2, 2), labels (R, 2), which rows are boxes (R,)."""
    rows, m, _ = masks.shape
    device = masks.device
    top = masks.amax((1, 2), keepdim=True)
    inside = (masks > torch.minimum(torch.full_like(top, 0.5), 0.7 * top)).float()
    depth = depth_in(inside)
    central = (depth >= 0.75 * depth.amax((1, 2), keepdim=True)).float() * inside
    where = torch.where(torch.rand(rows, 1, 1, device=device) < CENTRAL_SHARE, central, inside)
    i = torch.multinomial(where.flatten(1) + 1e-9, 1)[:, 0]
    click = (torch.stack([i % m, i // m], 1).float() + 0.5) * 4 - 0.5
    click = click + torch.rand(rows, 2, device=device) * 3 - 1.5
    size = torch.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]], 1).repeat(1, 2)
    move = (torch.randn(rows, 4, device=device) * 0.05 * size).clamp(-0.025 * s, 0.025 * s)
    move = move * (torch.rand(rows, 1, device=device) < MOVED_SHARE)
    corners = (boxes + move).clamp(0, s).view(-1, 2, 2)
    use_box = torch.rand(rows, device=device) < box_share
    xy = torch.where(use_box[:, None, None], corners, torch.stack([click, torch.full_like(click, -0.5)], 1))
    box_labels, click_labels = torch.tensor([[2, 3]], device=device), torch.tensor([[1, -1]], device=device)
    return xy, torch.where(use_box[:, None], box_labels, click_labels), use_box


@torch.no_grad()
def error_clicks(logits, masks, count):
    """`count` clicks per row in wrong cells: logits, masks (R, m, m) -> coordinates (R, count, 2), labels (R, count).

    A row without a wrong cell gets clicks inside its object.
    """
    m = masks.shape[-1]
    true = masks > 0.5
    wrong = ((logits > 0) ^ true).flatten(1).float()
    weight = wrong + (wrong.sum(1, keepdim=True) == 0) * (masks.flatten(1) + 1e-6)
    i = torch.multinomial(weight + 1e-9, count, replacement=True)
    xy = (torch.stack([i % m, i // m], -1).float() + 0.5) * 4 - 0.5
    return xy, true.flatten(1).gather(1, i).long()
