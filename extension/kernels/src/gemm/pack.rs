//! Weights in the order in which the register tile reads them.

use super::tile::PANEL;
use crate::buffer::AlignedVec;
use crate::scalar::Scalar;

/// The right operand of `C = A * W^T + bias`, packed once: panels of 32 output columns, within a panel
/// `[k / STEP][32][STEP]` with zeros beyond the edges, the same for every instruction set.
///
/// A row of A may consist of several equally long segments of memory (the nine neighbours of a convolution); each
/// segment then starts on a whole step.
#[derive(Clone)]
pub struct Packed<E> {
    pub(crate) panels: AlignedVec<E>,
    pub(crate) bias: AlignedVec<f32>,
    pub(crate) n: usize,
    pub(crate) segments: usize,
    pub(crate) segment: usize,
    pub(crate) panel_len: usize,
}

impl<E: Scalar> Packed<E> {
    /// `weight` is `[n][k]` row-major, as a linear layer or a 1x1 convolution stores it; `bias` has `n` values.
    pub fn linear(weight: &[f32], n: usize, k: usize, bias: Option<&[f32]>) -> Self {
        Self::segmented(weight, n, 1, k, bias)
    }

    /// `weight` is `[k][n]` row-major: the transposed form of [`Packed::linear`].
    pub fn transposed(weight: &[f32], n: usize, k: usize, bias: Option<&[f32]>) -> Self {
        assert_eq!(weight.len(), k * n, "weight of {k} x {n}, transposed");
        let rows: Vec<f32> = (0..n).flat_map(|row| weight.iter().skip(row).step_by(n).copied()).collect();
        Self::linear(&rows, n, k, bias)
    }

    /// `weight` is `[n][channels][size][size]` as a convolution stores it. The segments are the `size * size` taps in
    /// row-major order, `channels` long, or, with `merged`, the `size` rows of taps, `size * channels` long: see
    /// [`Conv3x3`](crate::Conv3x3) and [`Patches`](crate::Patches) for which source needs which.
    /// `stored` >= `channels` is the channel count of the input as stored; the surplus gets zero weights.
    pub fn conv(
        weight: &[f32],
        n: usize,
        channels: usize,
        stored: usize,
        size: usize,
        merged: bool,
        bias: Option<&[f32]>,
    ) -> Self {
        assert_eq!(weight.len(), n * channels * size * size, "weight of a convolution");
        assert!(stored >= channels);
        let mut w = vec![0.0; n * size * size * stored];
        for o in 0..n {
            for c in 0..channels {
                for tap in 0..size * size {
                    w[(o * size * size + tap) * stored + c] = weight[(o * channels + c) * size * size + tap];
                }
            }
        }
        let segments = if merged { size } else { size * size };
        Self::segmented(&w, n, segments, size * size * stored / segments, bias)
    }

    /// `weight` is `[n][segments][segment]`.
    fn segmented(weight: &[f32], n: usize, segments: usize, segment: usize, bias: Option<&[f32]>) -> Self {
        assert_eq!(weight.len(), n * segments * segment, "weight of {n} x {segments} x {segment}");
        assert!(n > 0 && segments > 0 && segment > 0, "empty weight");
        let steps = segment.div_ceil(E::STEP);
        let panel_len = segments * steps * PANEL * E::STEP;
        let mut panels = AlignedVec::<E>::zeroed(n.div_ceil(PANEL) * panel_len);
        for (row, w) in weight.chunks_exact(segments * segment).enumerate() {
            let panel = &mut panels[row / PANEL * panel_len..][..panel_len];
            for (g, w) in w.chunks_exact(segment).enumerate() {
                for (k, &x) in w.iter().enumerate() {
                    let step = g * steps + k / E::STEP;
                    panel[(step * PANEL + row % PANEL) * E::STEP + k % E::STEP] = E::from_f32(x);
                }
            }
        }
        let mut padded = AlignedVec::zeroed(n.next_multiple_of(PANEL));
        if let Some(bias) = bias {
            assert_eq!(bias.len(), n, "bias");
            padded[..n].copy_from_slice(bias);
        }
        Self { panels, bias: padded, n, segments, segment, panel_len }
    }

    /// Output columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Values of A per output, over all segments.
    pub fn k(&self) -> usize {
        self.segments * self.segment
    }
}
