//! Keys and values in panel order; see `core.rs` for the layout.

use super::core::value_panel_len;
use crate::gemm::tile::PANEL;
use crate::scalar::Scalar;
use crate::simd::{Simd, tiles::DEPTH};

/// Tokens that are turned at a time; half a panel.
const BLOCK: usize = 16;

/// Where the rows of a head are: token `t` at `t * stride` from `start`, or at `pad` for [`PAD`].
#[derive(Clone, Copy)]
pub(super) struct Tokens<E> {
    pub start: *const E,
    pub stride: usize,
    pub pad: *const E,
}

static ZEROS: [u16; PANEL] = [0; PANEL];

/// The padding token.
pub(super) const PAD: u32 = u32::MAX;

impl<E> Tokens<E> {
    /// The values of a token, or of the padding token.
    #[inline(always)]
    fn at(&self, token: u32) -> *const E {
        if token == PAD { self.pad } else { self.start.wrapping_add(token as usize * self.stride) }
    }
}

/// Packs `d` values of each token, transposed, into `to`.
///
/// # Safety
/// `from` leads for each of `tokens` to `d` values that can be read. `to` is valid for writing
/// `keys_len(tokens.len(), d)` elements, and overlaps none of them.
#[inline(always)]
pub(super) unsafe fn pack_keys<S: Simd, E: Scalar>(s: S, from: Tokens<E>, tokens: &[u32], d: usize, to: *mut E) {
    // f32 and pairs of bf16 alike are words of 32 bits
    let (words, panel) = (d / E::STEP, d.next_multiple_of(E::STEP) * PANEL);
    // SAFETY: rows are read up to d values: words * STEP <= d, and one more where d is odd for bf16. A group of 16 tokens
    // goes to half a panel, of which `to` has whole ones; the second half of the last is copied from the first.
    unsafe {
        for (first, group) in tokens.chunks(BLOCK).enumerate() {
            let j = first * BLOCK;
            let to = to.add(j / PANEL * panel + j % PANEL * E::STEP);
            // columns without a key get the last one's: finite
            let mut rows = [std::ptr::null::<u32>(); BLOCK];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = from.at(group[r.min(group.len() - 1)]).cast();
            }
            let mut c = 0;
            while c + BLOCK <= words {
                s.transpose(&rows.map(|row| row.add(c)), to.cast::<u32>().add(c * PANEL), PANEL);
                c += BLOCK;
            }
            for (r, row) in rows.iter().enumerate() {
                let (row, to) = (row.cast::<E>(), to.add(r * E::STEP));
                for c in c..words {
                    to.add(c * PANEL * E::STEP)
                        .cast::<u32>()
                        .write_unaligned(row.cast::<u32>().add(c).read_unaligned());
                }
                if words * E::STEP < d {
                    *to.add((d - 1) * PANEL) = *row.add(d - 1);
                    *to.add((d - 1) * PANEL + 1) = E::default();
                }
            }
        }
        // as do those of the last panel's second half
        if tokens.len().div_ceil(BLOCK) % 2 == 1 {
            let to = to.add(tokens.len() / PANEL * panel);
            for row in 0..panel / (PANEL * E::STEP) {
                let from = to.add(row * PANEL * E::STEP);
                std::ptr::copy_nonoverlapping(from, from.add(BLOCK * E::STEP), BLOCK * E::STEP);
            }
        }
    }
}

/// Copies the queries, `d` values of each, one behind the other.
///
/// # Safety
/// `from` leads for each of the tokens to `d` values that can be read. `to` is valid for writing as many for each, and overlaps
/// none of them.
#[inline(always)]
pub(super) unsafe fn pack_queries<E: Scalar>(from: Tokens<E>, tokens: impl Iterator<Item = u32>, d: usize, to: *mut E) {
    for (i, token) in tokens.enumerate() {
        let (mut from, mut to) = (from.at(token), to.wrapping_add(i * d));
        for _ in 0..d / DEPTH {
            // SAFETY: by contract.
            unsafe { std::ptr::copy_nonoverlapping(from, to, DEPTH) };
            (from, to) = (from.wrapping_add(DEPTH), to.wrapping_add(DEPTH));
        }
        if !d.is_multiple_of(DEPTH) {
            // SAFETY: as above, the rest.
            unsafe { std::ptr::copy_nonoverlapping(from, to, d % DEPTH) };
        }
    }
}

/// Packs `d` values of each token into `to`.
///
/// # Safety
/// As [`pack_keys`], but `to` is valid for writing `values_len(tokens.len(), d)` elements.
#[inline(always)]
pub(super) unsafe fn pack_values<E: Scalar>(from: Tokens<E>, tokens: &[u32], d: usize, to: *mut E) {
    let panel = value_panel_len::<E>(tokens.len());
    // SAFETY: a panel is PANEL of the d columns, or what is left of them; `to` has d.div_ceil(PANEL) panels.
    unsafe {
        for c in (0..d).step_by(PANEL) {
            let from = Tokens { start: from.start.wrapping_add(c), pad: from.pad.wrapping_add(c), ..from };
            let to = to.add(c / PANEL * panel);
            match d - c {
                PANEL.. => values::<E, PANEL>(from, tokens, PANEL, to),
                16 => values::<E, 16>(from, tokens, 16, to),
                rest => values::<E, 0>(from, tokens, rest, to),
            }
        }
    }
}

/// `n` columns of values, `N` if that is not zero, into a panel.
///
/// # Safety
/// `from` leads for each of `tokens` to `n` values that can be read; `n` is `N` or `N` is 0, and at most `PANEL`. `to` is
/// valid for writing `value_panel_len(tokens.len())` elements, and overlaps none of them.
#[inline(always)]
unsafe fn values<E: Scalar, const N: usize>(from: Tokens<E>, tokens: &[u32], n: usize, to: *mut E) {
    let pair = |a: u16, b: u16| {
        let (low, high) = if cfg!(target_endian = "big") { (b, a) } else { (a, b) };
        u32::from(high) << 16 | u32::from(low)
    };
    // SAFETY: token j, or pair of tokens j, goes to row j of the panel, which has PANEL >= n columns; a pair of bf16 is one
    // word. The last token of an odd number is paired with PANEL zeros.
    unsafe {
        if E::STEP == 1 {
            for (j, &token) in tokens.iter().enumerate() {
                std::ptr::copy_nonoverlapping(from.at(token), to.add(j * PANEL), if N > 0 { N } else { n });
            }
            return;
        }
        for (j, two) in tokens.chunks(2).enumerate() {
            let a = from.at(two[0]).cast::<u16>();
            let b = if let &[_, b] = two { from.at(b).cast::<u16>() } else { ZEROS.as_ptr() };
            let to = to.add(j * 2 * PANEL).cast::<u32>();
            if N > 0 {
                // through arrays, which cannot overlap: so this becomes vectors
                let (a, b) = (a.cast::<[u16; N]>().read_unaligned(), b.cast::<[u16; N]>().read_unaligned());
                let mut pairs = [0; N];
                for c in 0..N {
                    pairs[c] = pair(a[c], b[c]);
                }
                to.cast::<[u32; N]>().write_unaligned(pairs);
            } else {
                for c in 0..n {
                    to.add(c).write_unaligned(pair(*a.add(c), *b.add(c)));
                }
            }
        }
        let end = tokens.len().next_multiple_of(2) * PANEL;
        to.add(end).write_bytes(0, value_panel_len::<E>(tokens.len()) - end);
    }
}
