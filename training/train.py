"""Train nano on packs of pictures with masks, everything on one device.

    python -m training.train --pack coco.pack rest.pack more.pack --dev dev.pack --out run --seconds 560 --batch 64
    python -m training.train --pack own.pack --out own --init nano.safetensors --low 0 --lr 5e-4

The schedule goes by the clock (linear warm-up, then cosine), so a run ends on time with a fully annealed learning rate;
with --steps it goes by steps. What is evaluated and released is an exponential moving average of the weights.
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path

import torch

from training.augment import Augment
from training.export import export
from training.losses import Heads, mask_losses
from training.model.config import NANO
from training.model.image_encoder import TinyViTBlock
from training.model.sam import Sam, load
from training.prompts import choose_masks, error_clicks, first_prompts
from training.scores import pack_examples, score
from training.store import Store

MEASURES = (
    "loss",
    "masks",
    "corrected",
    "iou_mse",
    "classes",
    "affinity",
    "norm",
    "click_best3",
    "box",
    "after_clicks",
)


def drop(branch, rate):
    """Stochastic depth: the branch of some samples is left out, that of the others scaled up."""
    keep = torch.rand(len(branch), *[1] * (branch.ndim - 1), device=branch.device) >= rate
    return branch * (keep.to(branch.dtype) / (1 - rate))


def add_stochastic_depth(model: Sam, most: float) -> None:
    """Let TinyViT blocks drop their branches in training, the later the more often, the last with rate `most`.

    Evaluation and state are unchanged.
    """
    blocks = [m for m in model.modules() if isinstance(m, TinyViTBlock)]
    for i, block in enumerate(blocks):
        rate = most * (i + 1) / len(blocks)

        def forward(x, block=block, rate=rate):
            rate = rate if block.training else 0.0
            t = x.permute(0, 2, 3, 1)
            y = block.attend(t)
            x = block.local_conv((t + (drop(y, rate) if rate else y)).permute(0, 3, 1, 2))
            t = x.permute(0, 2, 3, 1)
            y = block.mlp(t)
            return (t + (drop(y, rate) if rate else y)).permute(0, 3, 1, 2)

        block.forward = forward


@torch.no_grad()
def start_from(model: Sam, old: Sam) -> tuple[int, int]:
    """Copy every tensor of the same name and shape; new residual branches start small. Counts: copied, new."""
    mine, theirs = model.state_dict(), old.state_dict()
    taken = {k for k, v in mine.items() if k in theirs and theirs[k].shape == v.shape}
    for k in taken:
        mine[k].copy_(theirs[k])
    for k, p in model.named_parameters():
        if k not in taken and k.endswith(("attn.proj.weight", "mlp.fc2.weight")):
            p.mul_(0.3)
        if k not in taken and k.endswith("local_conv.c.weight"):  # near the identity
            p.mul_(0.3)
            p[:, 0, p.shape[2] // 2, p.shape[3] // 2] += 1.0
    return len(taken), len(mine) - len(taken)


class Trainer:
    """The model, its average, the auxiliary heads, and the pictures."""

    def __init__(self, a: argparse.Namespace):
        self.a, self.device = a, torch.device(a.device)
        self.config = copy.deepcopy(NANO)
        self.model = Sam(self.config)
        if a.init:
            copied, new = start_from(self.model, load(a.init))
            print(f"copied {copied} tensors of {a.init}; {new} start anew")
        self.average = copy.deepcopy(self.model).to(self.device).eval()
        if a.drop:
            add_stochastic_depth(self.model, a.drop)
        self.model.to(self.device).train()
        if self.device.type == "cuda":
            self.model.to(memory_format=torch.channels_last)
        store = Store(a.pack, set(a.tiers), self.device, a.limit)
        print("pictures", store.count, dict(store.counts), "classes", len(store.class_names))
        self.augment = Augment(store)
        self.heads = Heads(self.config["image_encoder"]["out_chans"], max(2, len(store.class_names))).to(self.device)
        self.optimizer = self.adamw()
        self.steps = self.images = 0
        self.history: list[dict] = []

    def adamw(self) -> torch.optim.AdamW:
        """AdamW over everything but the untrained mask prompts; biases, embeddings and the heads do not decay."""

        def exempt(name, p):
            return p.ndim < 2 or "embed" in name or "token" in name or "attention_biases" in name

        named = [(k, p) for k, p in self.model.named_parameters() if "mask_downscaling" not in k]
        heads = list(self.heads.parameters())
        self.trained = [p for _, p in named] + heads
        groups = [
            {"params": [p for k, p in named if not exempt(k, p)], "weight_decay": self.a.decay},
            {"params": [p for k, p in named if exempt(k, p)] + heads, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.a.lr, betas=(0.9, 0.98), fused=self.device.type == "cuda")

    def decode(self, embeddings, xy, labels, s):
        """`Sam.decode` for embeddings repeated already, with positions in float32 under autocast."""
        prompts = self.model.prompt_encoder
        with torch.autocast(self.device.type, enabled=False):
            sparse = prompts.sparse(xy.float(), labels, s)
            positions = prompts.dense_pe(*embeddings.shape[-2:]).detach()
        dense = prompts.no_mask_embed.weight.view(1, -1, 1, 1)
        return self.model.mask_decoder(embeddings, positions, sparse, dense)

    def step(self, batch: int, s: int, lr: float) -> torch.Tensor:
        """One step on `batch` pictures of side `s`: a first prompt, then clicks where it was wrong -> `MEASURES`."""
        a, device = self.a, self.device
        image, labels, visible, classes = self.augment.batch(batch, s)
        masks, boxes, kinds, use = choose_masks(labels, visible, classes, a.prompts)
        xy, prompt, is_box = first_prompts(masks, boxes, s, a.box)
        use = use.float()
        if device.type == "cuda":
            image = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=a.amp):
            embedding = self.model.image_encoder(image)
            repeated = embedding.repeat_interleave(a.prompts, 0)
            logits, predicted = self.decode(repeated, xy, prompt, s)
        first, first_mse, real, best = mask_losses(logits, predicted, masks, ~is_box, use)
        shown = torch.where(is_box, torch.zeros_like(best), best + 1)
        shown = logits.detach()[torch.arange(len(masks), device=device), shown].float()
        more, more_labels = error_clicks(shown, masks, 1 if self.steps % 3 == 0 else 3)
        with torch.autocast(device.type, torch.bfloat16, enabled=a.amp):
            again = self.decode(repeated, torch.cat([xy, more], 1), torch.cat([prompt, more_labels], 1), s)
        second, second_mse, real_again, _ = mask_losses(*again, masks, torch.zeros_like(is_box), use)
        classify = self.heads.classify(embedding, masks, kinds, use)
        affinity = self.heads.affinity(embedding, labels)
        loss = first + 0.5 * second + first_mse + 0.5 * second_mse + a.classes * classify + a.affinity * affinity
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        if torch.isfinite(norm):  # a step whose gradients are not finite changes no weight
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
            self.update_average()
        self.steps, self.images = self.steps + 1, self.images + batch

        def mean(values, rows):
            return (values * rows).sum() / rows.sum().clamp(min=1)

        clicked, boxed = ~is_box * use, is_box * use
        ious = mean(real[:, 1:].max(1)[0], clicked), mean(real[:, 0], boxed), mean(real_again[:, 0], use)
        return torch.stack([v.detach() for v in (loss, first, second, first_mse, classify, affinity, norm, *ious)])

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the average towards the weights, and its batch-norm statistics towards theirs."""
        rate = 1 - min(self.a.ema, (1 + self.steps) / (20 + self.steps))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), rate)
        ours = dict(self.model.named_buffers())
        for name, buffer in self.average.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.lerp_(ours[name], rate)
            elif not buffer.is_floating_point():
                buffer.copy_(ours[name])

    def save(self, extra: dict | None = None) -> None:
        """Write last.pt: the average, its configuration and the history."""
        state = {k: v.detach().cpu() for k, v in self.average.state_dict().items()}
        checkpoint = {"ema": state, "config": self.config, "size": self.config["image_encoder"]["img_size"]}
        checkpoint |= {"images": self.images, "history": self.history, **(extra or {})}
        torch.save(checkpoint, self.a.out / "last.pt.tmp")
        (self.a.out / "last.pt.tmp").replace(self.a.out / "last.pt")

    def rehearse(self, batch: int, s: int) -> int:
        """The largest of batch, 3/4 batch, ... whose step fits the memory; learning rate 0 leaves the weights alone."""
        while batch >= 1:
            try:
                self.step(batch, s, 0.0)
                return batch
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                batch = batch * 3 // 4
        raise RuntimeError(f"no batch at side {s} fits the memory")

    def run(self) -> None:
        """Train until the time or the steps are over, save, and score on the dev packs."""
        a = self.a
        full = self.config["image_encoder"]["img_size"]
        plan = [(0.0, full // 2, 3 * a.batch), (a.low, full, a.batch)] if a.low > 0 else [(0.0, full, a.batch)]
        if not a.steps:
            plan = [(share, s, self.rehearse(batch, s)) for share, s, batch in plan]
        self.average.load_state_dict(self.model.state_dict())  # the rehearsals moved batch-norm statistics
        self.steps = self.images = 0
        start = said = saved = time.time()
        said_images, window = 0, []
        while True:
            now = time.time()
            done = self.steps / a.steps if a.steps else (now - start) / a.seconds
            if done >= 1:
                break
            _, s, batch = [stage for stage in plan if done >= stage[0]][-1]
            self.augment.calm = done > a.calm
            lr = a.lr * min(1.0, (self.steps + 1) / a.warmup)
            lr *= a.lr_end + (1 - a.lr_end) * 0.5 * (1 + math.cos(math.pi * done))
            window.append(self.step(batch, s, lr))
            if now - said > a.report:
                values = torch.stack(window).mean(0).tolist()
                line = {"seconds": round(now - start, 1), "step": self.steps, "images": self.images, "side": s}
                line |= {"ips": round((self.images - said_images) / (time.time() - said)), "lr": round(lr, 6)}
                line |= {k: round(v, 4) for k, v in zip(MEASURES, values, strict=True)}
                self.history.append(line)
                print(json.dumps(line), flush=True)
                window, said, said_images = [], time.time(), self.images
            if now - saved > a.save_every:
                self.save()
                saved = time.time()
        scores = {str(pack): score(self.average, pack_examples(pack)) for pack in a.dev}
        self.save({"scores": scores})
        export(a.out / "last.pt", a.out / "nano.safetensors")
        print(self.images, "images", self.steps, "steps", json.dumps(scores))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--pack", type=Path, nargs="+", required=True, help="packs to train on")
    ap.add_argument("--dev", type=Path, nargs="*", default=[], help="packs to score at the end")
    ap.add_argument("--out", type=Path, required=True, help="folder for last.pt and nano.safetensors")
    ap.add_argument("--init", help="weights to start from (.pt or .safetensors); also of a smaller network")
    ap.add_argument("--seconds", type=float, default=500, help="length of the training itself")
    ap.add_argument("--steps", type=int, default=0, help="length in steps, instead")
    ap.add_argument("--tiers", type=int, nargs="+", default=[0, 1], help="which rights to use, see packs.TIERS")
    ap.add_argument("--limit", type=int, help="only so many pictures")
    ap.add_argument("--batch", type=int, default=64, help="pictures per step at full size, three times that at half")
    ap.add_argument("--prompts", type=int, default=6, help="prompted masks per picture")
    ap.add_argument("--low", type=float, default=0.25, help="share of the time at half the size")
    ap.add_argument("--lr", type=float, default=1.3e-3, help="peak learning rate")
    ap.add_argument("--lr-end", type=float, default=0.01, help="final fraction of --lr")
    ap.add_argument("--warmup", type=int, default=200, help="steps of linear warm-up")
    ap.add_argument("--decay", type=float, default=0.06, help="weight decay")
    ap.add_argument("--drop", type=float, default=0.08, help="stochastic depth of the last block")
    ap.add_argument("--ema", type=float, default=0.9985, help="decay of the averaged weights")
    ap.add_argument("--box", type=float, default=0.45, help="share of boxes among the first prompts")
    ap.add_argument("--classes", type=float, default=0.15, help="weight of the loss of the classes")
    ap.add_argument("--affinity", type=float, default=0.25, help="weight of the affinity loss")
    ap.add_argument("--calm", type=float, default=0.85, help="share of the time after which pictures stay as they are")
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to train")
    ap.add_argument("--no-amp", dest="amp", action="store_false", help="float32 instead of bfloat16 products")
    ap.add_argument("--report", type=float, default=10, help="seconds between reports")
    ap.add_argument("--save-every", type=float, default=60, help="seconds between checkpoints")
    ap.add_argument("--threads", type=int, default=0, help="threads of PyTorch on the processor, 0 for its own choice")
    ap.add_argument("--seed", type=int, default=0, help="seed of weights, crops and prompts")
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    Trainer(a).run()


if __name__ == "__main__":
    main()
