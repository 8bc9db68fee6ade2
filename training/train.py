"""Train the nano model on folders rendered by `render.py`.

    python -m training.train --data cache/t0 cache/t1 --out run256 --minutes 40 --size 256
    python -m training.train --data ... --out run512 --minutes 25 --size 512 --init run256/last.pt --lr 4e-4 --batch 4

The schedule is driven by wall-clock minutes (linear warm-up, then cosine), so a run always ends on time with a fully
annealed learning rate. Matrix products run in bfloat16 on a copy of the weights; AdamW keeps float32 masters and an
exponential moving average, which is what gets evaluated and released.
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from training.data.dataset import PromptDataset
from training.losses import Affinity, round_loss
from training.model.config import NANO
from training.model.sam import Sam
from training.optimizer import Masters

SAVE_EVERY = 120  # seconds
REPORT_EVERY = 50  # steps
BOX_SHARE = 0.35  # of the masks; the others get one click


def first_prompt(clicks, boxes, use_box):
    """clicks (R, 2), boxes (R, 4), use_box (R,) -> coordinates (R, 2, 2), labels (R, 2).

    Point rows are [click, padding], box rows [corner, corner].
    """
    pt = torch.stack([clicks, torch.full_like(clicks, -0.5)], 1)
    xy = torch.where(use_box[:, None, None], boxes.view(-1, 2, 2), pt)
    lab = torch.where(use_box[:, None], torch.tensor([[2, 3]]), torch.tensor([[1, -1]]))
    return xy, lab


@torch.no_grad()
def error_clicks(logits, gt, n, stride):
    """`n` clicks per row drawn from the wrong pixels of the current mask.

    logits, gt (R, h, w); `stride` is input pixels per mask pixel -> coordinates (R, n, 2) in input pixels, labels
    (R, n). A row without a wrong pixel gets clicks inside its object.
    """
    w = gt.shape[-1]
    pred, true = logits > 0, gt > 0.5
    wrong = (pred ^ true).flatten(1).float()
    inside = true.flatten(1).float()
    weight = wrong + (wrong.sum(1, keepdim=True) == 0) * (inside + 1e-6)
    i = torch.multinomial(weight + 1e-9, n, replacement=True)
    xy = torch.stack([i % w, i // w], -1).float()
    xy = (xy + 0.5) * stride - 0.5
    return xy, true.flatten(1).gather(1, i).long()


class Trainer:
    """The model in its three copies, the auxiliary head, and the state that a checkpoint holds."""

    def __init__(self, a: argparse.Namespace):
        self.a = a
        self.rng = np.random.default_rng(a.seed)
        master = Sam(NANO)
        self.images, self.history = 0, []
        checkpoint = None
        if a.init:
            checkpoint = torch.load(a.init, weights_only=False)
            master.load_state_dict(checkpoint["ema"])
            self.images, self.history = checkpoint["images"], checkpoint["history"]
        self.ema = copy.deepcopy(master)
        self.work = copy.deepcopy(master).to(memory_format=torch.channels_last).to_mixed().train()
        self.masters = Masters(self.work, master, self.ema, a.lr)
        self.aux = Affinity(NANO["image_encoder"]["out_chans"])
        if checkpoint and "aux" in checkpoint:
            self.aux.load_state_dict(checkpoint["aux"])
        self.aux_opt = torch.optim.AdamW(self.aux.parameters(), lr=1e-3, weight_decay=1e-4)
        print("parameters", sum(p.numel() for p in master.parameters()))

    def step(self, batch, lr: float) -> dict[str, float]:
        """One optimiser step on a batch of `PromptDataset` items: two rounds of prompts; returns what to report."""
        a = self.a
        img, gt, clicks, boxes, ids = batch
        gt, clicks, boxes = gt.flatten(0, 1), clicks.flatten(0, 1), boxes.flatten(0, 1)
        use_box = torch.from_numpy(self.rng.random(len(gt)) < BOX_SHARE)
        emb = self.work.encode(img.contiguous(memory_format=torch.channels_last))
        xy, lab = first_prompt(clicks, boxes, use_box)
        logits, iou = self.work.decode(emb, xy, lab, a.size, a.prompts)
        logits, iou = logits.float(), iou.float()
        seg1, mse1, real1, idx = round_loss(logits, iou, gt, ~use_box)
        # second round: one to three corrective clicks on top of the first prompt
        pick = torch.where(use_box, torch.zeros_like(idx), idx + 1)
        shown = logits.detach()[torch.arange(len(gt)), pick]
        more_xy, more_lab = error_clicks(shown, gt, int(self.rng.integers(1, 4)), 4)
        xy, lab = torch.cat([xy, more_xy], 1), torch.cat([lab, more_lab], 1)
        logits2, iou2 = self.work.decode(emb, xy, lab, a.size, a.prompts)
        seg2, mse2, real2, _ = round_loss(logits2.float(), iou2.float(), gt, torch.zeros_like(use_box))
        aff = self.aux(emb, ids, self.rng)
        loss = seg1 + 0.7 * seg2 + mse1 + 0.7 * mse2 + a.aux * aff
        loss.backward()
        norm = self.masters.step(lr)
        for g in self.aux_opt.param_groups:
            g["lr"] = lr
        self.aux_opt.step()
        self.aux_opt.zero_grad()
        self.images += len(img)
        return {
            "loss": loss.item(),
            "seg1": seg1.item(),
            "seg2": seg2.item(),
            "mse": mse1.item(),
            "aff": float(torch.as_tensor(aff).detach()),
            "norm": norm,
            # mean IoUs: best multimask token for a click, single-mask token for a box and for the second round
            "pt_best": real1[~use_box][:, 1:].max(1)[0].mean().item(),
            "box": real1[use_box][:, 0].mean().item() if use_box.any() else float("nan"),
            "r2": real2[:, 0].mean().item(),
        }

    def loader(self) -> DataLoader:
        """Built anew every epoch: rendering may still be adding images."""
        a = self.a
        dataset = PromptDataset(a.data, a.size, a.prompts, a.seed)
        print("images in cache", len(dataset), flush=True)
        return DataLoader(dataset, a.batch, shuffle=True, num_workers=1, drop_last=True, prefetch_factor=4)

    def save(self, name: str = "last.pt") -> None:
        path = self.a.out / name
        temporary = path.with_suffix(".tmp")
        state = {"ema": self.ema.state_dict(), "config": NANO, "size": self.a.size, "aux": self.aux.state_dict()}
        torch.save({**state, "images": self.images, "history": self.history}, temporary)
        temporary.replace(path)

    def run(self) -> None:
        """Train until the minutes are over, reporting and saving on the way."""
        a = self.a
        t0 = last_save = time.time()
        step, smooth = 0, {}
        done = False
        while not done:
            for batch in self.loader():
                frac = (time.time() - t0) / (60 * a.minutes)
                if frac >= 1:
                    done = True
                    break
                cos = 0.5 * (1 + math.cos(math.pi * frac))
                lr = a.lr * min(1, (step + 1) / a.warmup) * (a.lr_end + (1 - a.lr_end) * cos)
                stats = self.step(batch, lr)
                step += 1
                for k, v in stats.items():
                    if not math.isnan(v):
                        smooth[k] = smooth.get(k, v) * 0.98 + v * 0.02
                if step % REPORT_EVERY == 0:
                    self.report(time.time() - t0, step, lr, smooth)
                if time.time() - last_save > SAVE_EVERY:
                    self.save()
                    last_save = time.time()
        self.save()
        print("done", self.images, "images", step, "steps")

    def report(self, seconds: float, step: int, lr: float, smooth: dict[str, float]) -> None:
        """Print one line of JSON and keep it in the history; `ips` is images per second."""
        line = {
            "min": round(seconds / 60, 1),
            "step": step,
            "img": self.images,
            "ips": round(step * self.a.batch / seconds, 1),
            "lr": round(lr, 6),
            **{k: round(v, 4) for k, v in smooth.items()},
        }
        self.history.append({"size": self.a.size, **line})
        print(json.dumps(line), flush=True)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--data", type=Path, nargs="+", required=True, help="folders written by render.py")
    ap.add_argument("--out", type=Path, required=True, help="folder for the checkpoint last.pt")
    ap.add_argument("--init", help="checkpoint to start from")
    ap.add_argument("--minutes", type=float, default=40, help="length of the run")
    ap.add_argument("--size", type=int, default=256, help="side of the input, in pixels")
    ap.add_argument("--batch", type=int, default=16, help="images per step")
    ap.add_argument("--prompts", type=int, default=4, help="prompted masks per image")
    ap.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    ap.add_argument("--lr-end", type=float, default=0.02, help="final fraction of --lr")
    ap.add_argument("--warmup", type=int, default=200, help="steps of linear warm-up")
    ap.add_argument("--aux", type=float, default=0.5, help="weight of the auxiliary affinity loss")
    ap.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    ap.add_argument("--seed", type=int, default=0, help="seed of weights, prompts and crops")
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.set_flush_denormal(True)  # before any thread starts; denormal arithmetic is slow
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    Trainer(a).run()


if __name__ == "__main__":
    main()
