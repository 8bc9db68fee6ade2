//! Where the queries, keys and values of several heads lie.

use crate::scalar::Scalar;

/// One of q, k, v for all heads: head `h` of token `i` is `d` values from `i * stride + offset + h * step`.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a, E> {
    /// Elements.
    pub data: &'a [E],
    /// Elements from one token to the next.
    pub stride: usize,
    /// Elements before the first head.
    pub offset: usize,
    /// Elements from one head to the next.
    pub step: usize,
}

impl<'a, E: Scalar> Heads<'a, E> {
    /// q, k and v of rows `[heads][3][d]`, as TinyViT's qkv projection gives them.
    pub fn per_head(data: &'a [E], stride: usize, d: usize) -> [Self; 3] {
        [0, d, 2 * d].map(|offset| Self { data, stride, offset, step: 3 * d })
    }

    /// q, k and v of rows `[3][heads][d]`, as ViT's qkv projection gives them.
    pub fn per_part(data: &'a [E], stride: usize, heads: usize, d: usize) -> [Self; 3] {
        [0, heads * d, 2 * heads * d].map(|offset| Self { data, stride, offset, step: d })
    }

    /// Rows `[heads][d]` of q, k or v alone.
    pub fn alone(data: &'a [E], stride: usize, d: usize) -> Self {
        Self { data, stride, offset: 0, step: d }
    }

    /// Panics unless `tokens` tokens of `heads` heads are there.
    pub(super) fn check(&self, tokens: usize, heads: usize, d: usize) {
        if tokens > 0 && heads > 0 {
            let end = (tokens - 1) * self.stride + self.offset + (heads - 1) * self.step + d;
            assert!(end <= self.data.len(), "{tokens} tokens of {heads} heads of {d} in {} elements", self.data.len());
        }
    }

    /// Start of a head of a token: valid for `d` values where [`Heads::check`] accepted the token, head and `d`.
    #[inline(always)]
    pub(super) fn at(&self, token: usize, head: usize) -> *const E {
        self.data.as_ptr().wrapping_add(token * self.stride + self.offset + head * self.step)
    }
}
