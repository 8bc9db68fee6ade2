//! The image's side of the decoder: 4,096 rows, each read as few times as possible.

use sam_kernels::{
    Act, Epilogue, Heads, Isa, KeyValues, Mat, MatMut, Out, Packed, Residual, Rows, Scratch, attend, gemm,
};

use super::tokens::{Layer, apply, pack, with};
use crate::error::Result;
use crate::weights::Weights;

/// Keys and values for the tokens' attention, and queries of the image if it is going to be updated, as one product.
pub(super) struct Projection {
    weight: Packed<f32>,
    /// (tokens, outputs): what the image's positions add
    positions: Vec<f32>,
    /// Values of a head's key.
    pub(super) inner: usize,
}

/// The update of the image by the tokens: each image token attends to the few tokens.
pub(super) struct ImageUpdate<'a> {
    isa: Isa,
    layer: &'a Layer,
    heads: usize,
    inner: usize,
    layout: KeyValues,
    packed: Vec<f32>,
}

impl<'a> ImageUpdate<'a> {
    pub(super) fn new(
        isa: Isa,
        layer: &'a Layer,
        heads: usize,
        inner: usize,
        tokens: &[f32],
        positions: &[f32],
    ) -> Self {
        let k = apply(isa, &layer.image_k, &with(tokens, positions), &Epilogue::BIAS);
        let v = apply(isa, &layer.image_v, tokens, &Epilogue::BIAS);
        let (layout, packed) = pack(&k, &v, inner, inner, heads);
        Self { isa, layer, heads, inner, layout, packed }
    }

    /// Rows from `start` on of the updated image, as many as `out` has; `projected` holds the queries behind the keys
    /// and values.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run(
        &self,
        image: &[f32],
        projected: &[f32],
        outputs: usize,
        start: usize,
        mixed: &mut [f32],
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (isa, inner, width) = (self.isa, self.inner, self.layer.image_out.n());
        let head = inner / self.heads;
        let count = out.len() / width;
        let queries = Heads { data: projected, stride: outputs, offset: 2 * inner, step: head };
        let scale = (head as f32).powf(-0.5);
        let rows = start..start + count;
        attend(isa, &self.layout, &queries, &self.packed, 0..self.heads, rows, scale, None, mixed, inner, scratch);
        let residual = Residual::From(Mat::new(&image[start * width..(start + count) * width], width));
        let epilogue = Epilogue { residual, ..Epilogue::BIAS };
        let out_rows = Out::f32(&mut *out, width);
        gemm(isa, &Rows::dense(mixed, inner), 0..count, &self.layer.image_out, &epilogue, out_rows);
        self.layer.norm4.apply_in_place(isa, MatMut::new(out, width), count, Act::None);
    }
}

impl Projection {
    /// `parts` are linear layers of the image with its positions, but for the second, the values, without.
    pub(super) fn new(parts: &[Weights], width: usize, inner: usize, positions: &[f32], isa: Isa) -> Result<Self> {
        let outputs = parts.len() * inner;
        let (mut rows, mut positional) = (Vec::new(), Vec::new());
        let mut bias = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let weight = part.values("weight", &[inner, width])?;
            if index == 1 {
                positional.extend(std::iter::repeat_n(0.0, weight.len()));
            } else {
                positional.extend_from_slice(&weight);
            }
            rows.extend(weight);
            bias.extend(part.values("bias", &[inner])?);
        }
        let by_position = Packed::<f32>::linear(&positional, outputs, width, Some(&bias));
        Ok(Self {
            weight: Packed::linear(&rows, outputs, width, None),
            positions: apply(isa, &by_position, positions, &Epilogue::BIAS),
            inner,
        })
    }

    pub(super) fn outputs(&self) -> usize {
        self.weight.n()
    }

    /// The projection of image rows, the first of which is row `start` of the whole image.
    pub(super) fn run(&self, isa: Isa, image: &[f32], start: usize, out: &mut [f32]) {
        let (width, outputs) = (self.weight.k(), self.outputs());
        let rows = out.len() / outputs;
        let positions = Mat::new(&self.positions[start * outputs..(start + rows) * outputs], outputs);
        let epilogue = Epilogue { residual: Residual::From(positions), ..Epilogue::BIAS };
        gemm(isa, &Rows::dense(image, width), 0..rows, &self.weight, &epilogue, Out::f32(out, outputs));
    }
}

/// A transposed convolution, kernel 2 and stride 2, as a linear layer whose outputs are (row, column, channel).
pub(super) fn upscale(weights: &Weights, inputs: usize, outputs: usize) -> Result<Packed<f32>> {
    let weight = weights.values("weight", &[inputs, outputs, 2, 2])?;
    let bias = weights.values("bias", &[outputs])?;
    let mut rows = vec![0.0; 4 * outputs * inputs];
    for input in 0..inputs {
        for output in 0..outputs {
            for cell in 0..4 {
                rows[(cell * outputs + output) * inputs + input] = weight[(input * outputs + output) * 4 + cell];
            }
        }
    }
    Ok(Packed::linear(&rows, 4 * outputs, inputs, Some(&bias.repeat(4))))
}
