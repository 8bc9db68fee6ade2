"""SAM's mask decoder: a two-way transformer between prompt tokens and image, then one small MLP per mask."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from training.model.layers import LayerNorm2d


class Attention(nn.Module):
    """Multi-head attention; q (B, N, dim), k and v (B, M, dim) -> (B, N, dim), inside at `dim / downsample`."""

    def __init__(self, dim, heads, downsample=1):
        super().__init__()
        inner = dim // downsample
        self.heads = heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q, k, v):
        q, k, v = (
            p(t).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for p, t in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        )
        a = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
        y = a.softmax(-1).to(v.dtype) @ v
        return self.out_proj(y.transpose(1, 2).flatten(2))


class TokenMlp(nn.Module):
    """Two linear layers with ReLU between them."""

    def __init__(self, dim, hidden):
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden)
        self.lin2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the image, then the image attends to the tokens.

    tok, tok_pe (B, N, dim); img, img_pe (B, h * w, dim) -> updated tok and img.
    """

    def __init__(self, dim, heads, mlp_dim, down, eps, first):
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.cross_attn_token_to_image = Attention(dim, heads, down)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = TokenMlp(dim, mlp_dim)
        self.norm3 = nn.LayerNorm(dim, eps=eps)
        self.norm4 = nn.LayerNorm(dim, eps=eps)
        self.cross_attn_image_to_token = Attention(dim, heads, down)

    def forward(self, tok, img, tok_pe, img_pe):
        if self.first:  # the very first self attention has neither PE nor residual
            tok = self.self_attn(tok, tok, tok)
        else:
            q = tok + tok_pe
            tok = tok + self.self_attn(q, q, tok)
        tok = self.norm1(tok)
        key = img + img_pe
        tok = self.norm2(tok + self.cross_attn_token_to_image(tok + tok_pe, key, img))
        tok = self.norm3(tok + self.mlp(tok))
        img = self.norm4(img + self.cross_attn_image_to_token(key, tok + tok_pe, tok))
        return tok, img


class TwoWayTransformer(nn.Module):
    """The blocks, then a last attention from the tokens to the image; the tokens' PE is the tokens themselves."""

    def __init__(self, depth, dim, heads, mlp_dim, down, eps):
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, heads, mlp_dim, down, eps, i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(dim, heads, down)
        self.norm_final_attn = nn.LayerNorm(dim, eps=eps)

    def forward(self, img, img_pe, tokens):
        tok = tokens
        for layer in self.layers:
            tok, img = layer(tok, img, tokens, img_pe)
        tok = tok + self.final_attn_token_to_image(tok + tokens, img + img_pe, img)
        return self.norm_final_attn(tok), img


class MLP(nn.Module):
    """`n` linear layers with ReLU between them."""

    def __init__(self, din, hidden, dout, n):
        super().__init__()
        sizes = [din] + [hidden] * (n - 1) + [dout]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x) if i == len(self.layers) - 1 else F.relu(layer(x))
        return x


class MaskDecoder(nn.Module):
    """Image embedding and prompt tokens to the logits and predicted IoUs of all masks.

    Mask 0 is the single-mask token's, masks 1.. are the multimask tokens'.
    """

    def __init__(self, config: dict):
        super().__init__()
        c = config
        dim = c["transformer_dim"]
        self.num_mask_tokens = c["num_multimask_outputs"] + 1
        self.transformer = TwoWayTransformer(
            c["depth"], dim, c["num_heads"], c["mlp_dim"], c["attention_downsample_rate"], c["ln_eps"]
        )
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, 2),
            LayerNorm2d(dim // 4, c["upscale_ln_eps"]),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, 3) for _ in range(self.num_mask_tokens))
        self.iou_prediction_head = MLP(dim, c["iou_head_hidden_dim"], self.num_mask_tokens, c["iou_head_depth"])

    def forward(self, img, img_pe, sparse, dense):
        """img, dense (B, C, h, w); sparse (B, N, C) -> logits (B, 4, 4h, 4w), predicted IoU (B, 4)."""
        b, c, h, w = img.shape
        out_tok = torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None].expand(b, -1, -1)
        tokens = torch.cat([out_tok, sparse], 1)
        src = (img + dense).flatten(2).transpose(1, 2)
        tok, src = self.transformer(src, img_pe.flatten(2).transpose(1, 2), tokens)
        up = self.output_upscaling(src.transpose(1, 2).reshape(b, c, h, w))
        hyper = torch.stack([m(tok[:, 1 + i]) for i, m in enumerate(self.output_hypernetworks_mlps)], 1)
        masks = (hyper.to(up.dtype) @ up.flatten(2)).view(b, self.num_mask_tokens, *up.shape[-2:])
        return masks, self.iou_prediction_head(tok[:, 0])
