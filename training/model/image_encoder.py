"""TinyViT: a convolutional stage, then stages of window attention, then SAM's neck."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from training.model.layers import ConvBN, LayerNorm2d


class PatchEmbed(nn.Module):
    """Two convolutions of stride 2: (B, 3, H, W) -> (B, dim, H/4, W/4)."""

    def __init__(self, cin, dim, eps):
        super().__init__()
        self.seq = nn.Sequential(
            ConvBN(cin, dim // 2, 3, 2, 1, eps=eps), nn.GELU(), ConvBN(dim // 2, dim, 3, 2, 1, eps=eps)
        )

    def forward(self, x):
        return self.seq(x)


class MBConv(nn.Module):
    """Inverted bottleneck with a residual, the block of the first stage. Keeps the shape."""

    def __init__(self, dim, expand, eps):
        super().__init__()
        hidden = int(dim * expand)
        self.conv1 = ConvBN(dim, hidden, eps=eps)
        self.conv2 = ConvBN(hidden, hidden, 3, 1, 1, groups=hidden, eps=eps)
        self.conv3 = ConvBN(hidden, dim, gamma=0.0, eps=eps)

    def forward(self, x):
        y = F.gelu(self.conv1(x))
        y = F.gelu(self.conv2(y))
        return F.gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    """Between two stages: `cin` to `cout` channels, and half the map's sides where `stride` is 2."""

    def __init__(self, cin, cout, stride, eps):
        super().__init__()
        self.conv1 = ConvBN(cin, cout, eps=eps)
        self.conv2 = ConvBN(cout, cout, 3, stride, 1, groups=cout, eps=eps)
        self.conv3 = ConvBN(cout, cout, eps=eps)

    def forward(self, x):
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class WindowAttention(nn.Module):
    """Multi-head attention inside one window, with a learned bias per |dy|, |dx|.

    (windows, window * window, dim) -> the same shape.
    """

    def __init__(self, dim, heads, window, eps):
        super().__init__()
        self.heads, self.head_dim, self.window = heads, dim // heads, window
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        # bias column of the offset (|dy|, |dx|): row-major, as it is first met
        # when every position is compared with position (0, 0)
        r = torch.arange(window)
        d = (r[:, None] - r[None, :]).abs()
        idx = d[:, None, :, None] * window + d[None, :, None, :]
        self.register_buffer("bias_idx", idx.reshape(window**2, window**2), persistent=False)

    def forward(self, x):
        b, n, c = x.shape
        # the projection's channels are (head, q/k/v, head_dim)
        qkv = self.qkv(self.norm(x)).view(b, n, self.heads, 3, self.head_dim).permute(3, 0, 2, 1, 4)
        q, k, v = qkv.unbind(0)
        idx = self.bias_idx
        if n != idx.shape[0]:  # a map smaller than the window (low-resolution training only)
            r = torch.arange(self.window**2).view(self.window, self.window)
            keep = r[: math.isqrt(n), : math.isqrt(n)].reshape(-1)
            idx = idx[keep][:, keep]
        bias = self.attention_biases[:, idx].to(q.dtype)
        attention = (q * self.head_dim**-0.5) @ k.transpose(-2, -1) + bias
        y = attention.softmax(-1).to(v.dtype) @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, c))


class Mlp(nn.Module):
    """Layer norm and two linear layers with GELU between them, over the last axis."""

    def __init__(self, dim, hidden, eps):
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class TinyViTBlock(nn.Module):
    """Window attention, a depthwise convolution and an MLP. Keeps the shape (B, C, H, W)."""

    def __init__(self, dim, heads, window, mlp_ratio, conv_size, ln_eps, bn_eps):
        super().__init__()
        self.window = window
        self.attn = WindowAttention(dim, heads, window, ln_eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), ln_eps)
        self.local_conv = ConvBN(dim, dim, conv_size, 1, conv_size // 2, groups=dim, eps=bn_eps)

    def attend(self, t):
        """Attention in windows of a (B, H, W, C) map, padded with zeros at the bottom and right to whole windows."""
        b, h, w, c = t.shape
        s = self.window
        if (h, w) == (s, s) or (self.training and h == w and h < s):
            return self.attn(t.reshape(b, h * w, c)).view(b, h, w, c)
        ph, pw = -h % s, -w % s
        y = F.pad(t, (0, 0, 0, pw, 0, ph)) if ph or pw else t
        gh, gw = (h + ph) // s, (w + pw) // s
        y = y.reshape(b, gh, s, gw, s, c).transpose(2, 3).reshape(-1, s * s, c)
        y = self.attn(y)
        y = y.view(b, gh, gw, s, s, c).transpose(2, 3).reshape(b, h + ph, w + pw, c)
        return y[:, :h, :w]

    def forward(self, x):
        t = x.permute(0, 2, 3, 1)
        x = self.local_conv((t + self.attend(t)).permute(0, 3, 1, 2))
        t = x.permute(0, 2, 3, 1)
        return (t + self.mlp(t)).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Blocks at one resolution, then the merging to the next (None after the last stage)."""

    def __init__(self, blocks, downsample):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class ImageEncoder(nn.Module):
    """(B, 3, S, S) normalised pixels -> (B, out_chans, S / stride, S / stride) image embedding."""

    def __init__(self, config: dict):
        super().__init__()
        c = config
        self.img_size = c["img_size"]
        dims, bn_eps, ln_eps = c["embed_dims"], c["bn_eps"], c["ln_eps"]
        self.patch_embed = PatchEmbed(c["in_chans"], dims[0], bn_eps)
        self.layers = nn.ModuleList()
        for i, dim in enumerate(dims):
            if i == 0:
                blocks = [MBConv(dim, c["mbconv_expand_ratio"], bn_eps) for _ in range(c["depths"][0])]
            else:
                heads, window = c["num_heads"][i], c["window_sizes"][i]
                blocks = [
                    TinyViTBlock(dim, heads, window, c["mlp_ratio"], c["local_conv_size"], ln_eps, bn_eps)
                    for _ in range(c["depths"][i])
                ]
            last = i == len(dims) - 1
            down = None if last else PatchMerging(dim, dims[i + 1], c["merge_strides"][i], bn_eps)
            self.layers.append(Stage(blocks, down))
        out, neck_eps = c["out_chans"], c["neck_ln_eps"]
        self.neck = nn.Sequential(
            nn.Conv2d(dims[-1], out, 1, bias=False),
            LayerNorm2d(out, neck_eps),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            LayerNorm2d(out, neck_eps),
        )
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)

    @property
    def stride(self) -> int:
        """Input pixels per embedding cell."""
        s = 4
        for layer in self.layers[:-1]:
            s *= layer.downsample.conv2.c.stride[0]
        return s

    def forward(self, x):
        x = self.patch_embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.neck(x)
