"""Mixed-precision AdamW with weight averaging."""

import torch

from training.model.sam import Sam


class Masters:
    """float32 weights, AdamW and an exponential moving average (EMA) beside the mixed-precision working copy.

    `work` computes; `master` and `ema` have the same structure in float32. After a step `work` holds the rounded
    master weights.
    """

    def __init__(self, work: Sam, master: Sam, ema: Sam, lr: float, wd: float = 0.03):
        self.work, self.master, self.ema, self.steps = work, master, ema, 0
        named = list(master.named_parameters())

        def exempt(name, p):  # from weight decay
            return p.ndim < 2 or "embed" in name or "token" in name or "attention_biases" in name

        self.opt = torch.optim.AdamW(
            [
                {"params": [p for k, p in named if not exempt(k, p)], "weight_decay": wd},
                {"params": [p for k, p in named if exempt(k, p)], "weight_decay": 0.0},
            ],
            lr=lr,
            betas=(0.9, 0.98),
            fused=True,
        )

    def step(self, lr: float, clip: float = 1.0) -> float:
        """Apply the gradients of `work`, clipped to norm `clip`, and clear them; returns the norm before clipping.

        A step whose gradients are not finite changes no weight.
        """
        pairs = list(zip(self.work.parameters(), self.master.parameters(), strict=True))
        for a, b in pairs:
            b.grad = None if a.grad is None else a.grad.float()
        norm = torch.nn.utils.clip_grad_norm_(self.master.parameters(), clip)
        if torch.isfinite(norm):
            for g in self.opt.param_groups:
                g["lr"] = lr
            self.opt.step()
        self.steps += 1
        decay = min(0.998, (1 + self.steps) / (20 + self.steps))
        with torch.no_grad():
            for (a, b), e in zip(pairs, self.ema.parameters(), strict=True):
                a.copy_(b)
                e.lerp_(b, 1 - decay)
                a.grad = None
            buffers = zip(self.work.buffers(), self.master.buffers(), self.ema.buffers(), strict=True)
            for a, b, e in buffers:
                b.copy_(a)
                if e.is_floating_point() and e.numel() > 6:  # batch-norm statistics, not the pixel mean and std
                    e.lerp_(a.float(), 1 - decay)
                else:
                    e.copy_(a)
        return float(norm)
