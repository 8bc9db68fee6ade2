"""The whole model, and reading it from an exported file.

python -m training.model.sam            # the parameter counts of both configurations
"""

import argparse
import json

import torch
from torch import nn

from training.model.config import MOBILE_SAM, NANO
from training.model.image_encoder import ImageEncoder, WindowAttention
from training.model.mask_decoder import MaskDecoder
from training.model.prompt_encoder import PromptEncoder


class Sam(nn.Module):
    """Image encoder, prompt encoder and mask decoder of one configuration."""

    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        self.img_size = config["image_encoder"]["img_size"]
        self.image_encoder = ImageEncoder(config["image_encoder"])
        prompt = config["prompt_encoder"]
        self.prompt_encoder = PromptEncoder(dim=prompt["embed_dim"], mask_chans=prompt["mask_in_chans"])
        self.mask_decoder = MaskDecoder(config["mask_decoder"])
        self.register_buffer("pixel_mean", torch.tensor(config["pixel_mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(config["pixel_std"]).view(1, 3, 1, 1), persistent=False)

    def encode(self, rgb):
        """rgb (B, 3, S, S) in 0..255, padded with the pixel mean -> embedding (B, C, h, w)."""
        x = (rgb - self.pixel_mean) / self.pixel_std
        return self.image_encoder(x.to(self.compute_dtype))

    def decode(self, emb, coords, labels, img_size, repeat=1):
        """emb (B, C, h, w) and the prompts of B * repeat masks -> logits and predicted IoUs of all four masks.

        coords (B * repeat, N, 2) in input pixels, labels (B * repeat, N) as in `PromptEncoder`; `img_size` is the
        side of the padded input that the coordinates refer to.
        """
        pe = self.prompt_encoder
        h, w = emb.shape[-2:]
        if repeat > 1:
            emb = emb.repeat_interleave(repeat, 0)
        sparse = pe.sparse(coords, labels, img_size).to(emb.dtype)
        dense = pe.no_mask_embed.weight.view(1, -1, 1, 1)
        return self.mask_decoder(emb, pe.dense_pe(h, w).to(emb.dtype), sparse, dense)

    @property
    def compute_dtype(self) -> torch.dtype:
        return self.image_encoder.patch_embed.seq[0].c.weight.dtype

    def to_mixed(self, dtype=torch.bfloat16) -> "Sam":
        """Cast the matrix-multiply weights to `dtype`; norms and the PE stay float32."""
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)):
                m.to(dtype)
            if isinstance(m, WindowAttention):
                m.attention_biases.data = m.attention_biases.data.to(dtype)
        return self


def load_safetensors(path: str) -> Sam:
    """The model described by the file's metadata, with its tensors as float32, in evaluation mode."""
    from safetensors import safe_open

    with safe_open(path, "pt") as f:
        config = json.loads(f.metadata()["config"])
        state = {k: f.get_tensor(k).float() for k in f.keys()}  # noqa: SIM118 (not a dictionary)
    for k in state:
        if k.endswith("num_batches_tracked"):
            state[k] = state[k].long()
    model = Sam(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]
    assert not missing, missing
    assert not unexpected, unexpected
    return model.eval()


def load_checkpoint(path: str) -> Sam:
    """The averaged weights of a training checkpoint (`.pt`, see `train.py`), at the size it was trained with."""
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["config"]["image_encoder"]["img_size"] = checkpoint["size"]
    model = Sam(checkpoint["config"])
    model.load_state_dict(checkpoint["ema"])
    return model.eval()


def load(path: str) -> Sam:
    """A model from a training checkpoint (`.pt`) or an exported file (`.safetensors`)."""
    return load_checkpoint(path) if path.endswith(".pt") else load_safetensors(path)


def main() -> None:
    argparse.ArgumentParser(description="Print the parameter counts of both configurations.").parse_args()
    for config in (NANO, MOBILE_SAM):
        model = Sam(config)
        counts = {k: sum(p.numel() for p in part.parameters()) for k, part in model.named_children()}
        print(config["name"], "stride", model.image_encoder.stride, counts, sum(counts.values()))


if __name__ == "__main__":
    main()
