//! The register tile: `MR` rows of A times `NV` vectors of packed columns of W, summed over k in ascending order.

use crate::scalar::Scalar;
use crate::simd::Simd;

/// Columns of a packed panel, on every instruction set.
pub(crate) const PANEL: usize = 32;

/// Most rows of a register tile, or of a matrix tile, on any instruction set.
pub(crate) const MAX_MR: usize = 16;

/// Accumulators of a tile.
pub(crate) type Acc<S, const MR: usize, const NV: usize> = [[<S as Simd>::F; NV]; MR];

/// Adds segment products to `acc`: for each entry of `segments` (pointers to the rows' `len` values) and the packed
/// rows of `w`, which lie `PANEL * STEP` elements apart. With `AHEAD` asks for the memory `ahead` elements further on in
/// each row, a cache line at a time, spread over the loop.
///
/// # Safety
/// Each of the first `MR` pointers of each segment is valid for reading `len` elements. `w` is valid for reading, for each
/// step of each segment (`len` rounded up to whole steps), `NV * LANES * STEP` elements, `PANEL * STEP` after those of the
/// step before.
#[inline(always)]
// Plain loops, no closures: a closure would be compiled on its own, without the vector features.
pub(crate) unsafe fn accumulate<S: Simd, E: Scalar, const MR: usize, const NV: usize, const AHEAD: bool>(
    s: S,
    acc: &mut Acc<S, MR, NV>,
    segments: &[[*const E; MAX_MR]],
    len: usize,
    mut w: *const E,
    ahead: usize,
) {
    let block = S::STEPS * E::STEP;
    let whole = len / block * block;
    E::turn(s, acc);
    for rows in segments {
        let rows: &[*const E; MR] = rows.first_chunk().expect("MR is at most MAX_MR");
        let mut k = 0;
        while k < whole {
            let stop = if AHEAD {
                for row in rows {
                    s.prefetch(row.wrapping_add(ahead + k));
                }
                whole.min(k + 64 / size_of::<E>())
            } else {
                whole
            };
            while k < stop {
                // SAFETY: k + block <= len, and `w` is at the step's columns.
                unsafe {
                    if S::STEPS == 1 {
                        step::<S, E, MR, NV, true>(s, acc, rows, k, w);
                    } else {
                        E::steps(s, acc, rows, k, w, PANEL * E::STEP);
                    }
                    w = w.add(PANEL * block);
                }
                k += block;
            }
        }
        if whole < len {
            E::turn(s, acc);
            // SAFETY: as above; in the last step one value is left.
            unsafe {
                while S::STEPS > 1 && k + E::STEP <= len {
                    step::<S, E, MR, NV, true>(s, acc, rows, k, w);
                    w = w.add(PANEL * E::STEP);
                    k += E::STEP;
                }
                if E::STEP > 1 && k < len {
                    step::<S, E, MR, NV, false>(s, acc, rows, k, w);
                    w = w.add(PANEL * E::STEP);
                }
            }
            E::turn(s, acc);
        }
    }
    E::turn(s, acc);
}

/// One step: `STEP` values of each row from `k` on, or one and zero if not `WHOLE`.
///
/// # Safety
/// Each of `rows` is valid for reading these values, `w` for reading `NV * LANES * STEP` elements.
#[inline(always)]
unsafe fn step<S: Simd, E: Scalar, const MR: usize, const NV: usize, const WHOLE: bool>(
    s: S,
    acc: &mut Acc<S, MR, NV>,
    rows: &[*const E; MR],
    k: usize,
    w: *const E,
) {
    let width = S::LANES * E::STEP;
    // SAFETY: by the contract.
    unsafe {
        let mut b = [E::load_b(s, w); NV];
        for v in 1..NV {
            b[v] = E::load_b(s, w.add(v * width));
        }
        for r in 0..MR {
            let a = if WHOLE { E::splat_a(s, rows[r].add(k)) } else { E::splat_last(s, rows[r].add(k)) };
            for v in 0..NV {
                acc[r][v] = E::mac(s, a, b[v], acc[r][v]);
            }
        }
    }
}

/// All accumulators zero.
#[inline(always)]
pub(crate) fn zeros<S: Simd, const MR: usize, const NV: usize>(s: S) -> Acc<S, MR, NV> {
    [[s.splat(0.0); NV]; MR]
}
