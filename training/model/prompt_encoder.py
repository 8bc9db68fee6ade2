"""SAM's prompt encoder: points and box corners to tokens, and the positions of the image embedding."""

import math

import torch
from torch import nn

from training.model.layers import LayerNorm2d


class FourierPosition(nn.Module):
    """Coordinates in 0..1, last axis (x, y), to `2 * feats` sines and cosines of random frequencies."""

    def __init__(self, feats):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, feats))

    def forward(self, xy):
        a = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([a.sin(), a.cos()], -1)


class PromptEncoder(nn.Module):
    """Labels: 1 / 0 = positive / negative point, 2 / 3 = first / second box corner, -1 = padding."""

    def __init__(self, dim, mask_chans):
        super().__init__()
        self.pe_layer = FourierPosition(dim // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        # present for the checkpoint's sake: masks as prompts are neither trained nor used here
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_chans // 4, 2, 2),
            LayerNorm2d(mask_chans // 4),
            nn.GELU(),
            nn.Conv2d(mask_chans // 4, mask_chans, 2, 2),
            LayerNorm2d(mask_chans),
            nn.GELU(),
            nn.Conv2d(mask_chans, dim, 1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def dense_pe(self, h, w):
        """Positional encoding of the cell centres of an h x w embedding: (1, dim, h, w)."""
        y = (torch.arange(h) + 0.5) / h
        x = (torch.arange(w) + 0.5) / w
        xy = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).to(self.no_mask_embed.weight.device)
        return self.pe_layer(xy).permute(2, 0, 1)[None]

    def sparse(self, coords, labels, img_size):
        """coords (B, N, 2) in input pixels (0 = centre of the first), labels (B, N) -> (B, N, dim)."""
        pe = self.pe_layer((coords.float() + 0.5) / img_size)
        table = torch.cat([self.not_a_point_embed.weight] + [e.weight for e in self.point_embeddings])
        pe = pe * (labels >= 0)[..., None]
        return pe + table[labels + 1]
