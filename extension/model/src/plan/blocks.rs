//! Steps that the encoders share.

use sam_imaging::RgbImage;
use sam_kernels::{
    Act, AlignedVec, Conv3x3, Depthwise, Epilogue, Isa, LayerNorm, Mat, MatMut, Normalise, Out, Packed, Residual, Rows,
    filled, gemm, good_stride,
};

use super::element::Element;
use super::workspace::Tiles;
use crate::error::Result;
use crate::threads::Threads;
use crate::weights::Weights;

/// Rows that go through several steps while they are in the second-level cache; a multiple of every register tile.
pub(crate) const TILE_ROWS: usize = 96;

/// Rows by which work is cut: a block on matrix tiles. Register tiles of 12 rows lose little where pieces end.
pub(crate) const GRAIN: usize = 32;

/// Writes the padded, normalised picture into `out`: `side` pixels square, with a border of `border` zero pixels.
pub(crate) fn write_input<E: Element>(
    normalise: &Normalise,
    picture: &RgbImage,
    side: usize,
    border: usize,
    out: &mut [E],
    threads: Threads,
) {
    let size = (picture.height() as usize, picture.width() as usize);
    threads.rows(out, 3 * (side + 2 * border), 1, |rows, out| {
        normalise.rows(picture.as_raw(), size, side, border, 3, rows, out);
    });
}

/// A linear layer with bias.
pub(crate) fn linear<E: Element>(weights: &Weights, inputs: usize, outputs: usize) -> Result<Packed<E>> {
    let weight = weights.values("weight", &[outputs, inputs])?;
    let bias = weights.values("bias", &[outputs])?;
    Ok(Packed::linear(&weight, outputs, inputs, Some(&bias)))
}

pub(crate) fn layer_norm(weights: &Weights, width: usize, eps: f32) -> Result<LayerNorm> {
    Ok(LayerNorm::new(&weights.values("weight", &[width])?, &weights.values("bias", &[width])?, eps))
}

/// A convolution and its folded batch norm: weight (outputs, inputs, kernel, kernel) and bias, flat.
pub(crate) fn folded(weights: &Weights, shape: [usize; 4]) -> Result<(Vec<f32>, Vec<f32>)> {
    let (weight, bias) = weights.folded_convolution(shape)?;
    Ok((weight.flatten_all()?.to_vec1()?, bias.to_vec1()?))
}

/// A 1x1 convolution and its folded batch norm.
pub(crate) fn folded_linear<E: Element>(weights: &Weights, inputs: usize, outputs: usize) -> Result<Packed<E>> {
    let (weight, bias) = folded(weights, [outputs, inputs, 1, 1])?;
    Ok(Packed::linear(&weight, outputs, inputs, Some(&bias)))
}

/// A depthwise 3x3 convolution and its folded batch norm.
pub(crate) fn folded_depthwise(weights: &Weights, channels: usize) -> Result<Depthwise> {
    let (weight, bias) = folded(weights, [channels, 1, 3, 3])?;
    Ok(Depthwise::new(&weight, &bias))
}

/// Layer norm and a linear layer, as before an attention.
pub(crate) struct NormLinear<E> {
    pub(crate) norm: LayerNorm,
    pub(crate) linear: Packed<E>,
}

impl<E: Element> NormLinear<E> {
    /// `out` (rows, outputs) of `x` (rows, width).
    pub(crate) fn run(&self, isa: Isa, x: &[f32], out: &mut [E], tiles: &Tiles<E>, threads: Threads) {
        let (width, outputs) = (self.norm.channels(), self.linear.n());
        let stride = good_stride::<E>(width);
        threads.rows(out, outputs, GRAIN, |rows, out| {
            tiles.with(|tile| {
                for (start, out) in rows.step_by(TILE_ROWS).zip(out.chunks_mut(TILE_ROWS * outputs)) {
                    let count = out.len() / outputs;
                    let x = Mat::new(&x[start * width..][..count * width], width);
                    self.norm.apply(isa, x, count, Act::None, MatMut::new(&mut tile.operand, stride));
                    let operand = Rows::new(&tile.operand, stride, width);
                    gemm(isa, &operand, 0..count, &self.linear, &Epilogue::BIAS, E::out(out, outputs));
                }
            });
        });
    }
}

/// Layer norm, linear layer, GELU, linear layer, added to its input.
pub(crate) struct Mlp<E> {
    pub(crate) norm: LayerNorm,
    pub(crate) expand: Packed<E>,
    pub(crate) project: Packed<E>,
}

impl<E: Element> Mlp<E> {
    /// `x` (rows, width) in place.
    pub(crate) fn run(&self, isa: Isa, x: &mut [f32], tiles: &Tiles<E>, threads: Threads) {
        let (width, hidden) = (self.norm.channels(), self.expand.n());
        let (stride, hidden_stride) = (good_stride::<E>(width), good_stride::<E>(hidden));
        threads.rows(x, width, GRAIN, |_, x| {
            tiles.with(|tile| {
                for x in x.chunks_mut(TILE_ROWS * width) {
                    let count = x.len() / width;
                    let normed = MatMut::new(&mut tile.operand, stride);
                    self.norm.apply(isa, Mat::new(x, width), count, Act::None, normed);
                    let operand = Rows::new(&tile.operand, stride, width);
                    let out = E::out(&mut tile.hidden, hidden_stride).near();
                    gemm(isa, &operand, 0..count, &self.expand, &Epilogue::GELU, out);
                    let operand = Rows::new(&tile.hidden, hidden_stride, hidden);
                    let out = Out::f32(x, width).near();
                    gemm(isa, &operand, 0..count, &self.project, &Epilogue::ADD, out);
                }
            });
        });
    }

    /// Values that a tile needs.
    pub(crate) fn tile(&self) -> [usize; 2] {
        [self.norm.channels(), self.expand.n()].map(|width| TILE_ROWS * good_stride::<E>(width))
    }
}

/// Adds a linear layer of `operand` (rows, inputs) to `x` (rows, outputs).
pub(crate) fn add_linear<E: Element>(isa: Isa, linear: &Packed<E>, operand: &[E], x: &mut [f32], threads: Threads) {
    let width = linear.n();
    let operand = Rows::dense(operand, linear.k());
    threads.rows(x, width, GRAIN, |rows, x| gemm(isa, &operand, rows, linear, &Epilogue::ADD, Out::f32(x, width)));
}

/// Expansion to hidden channels, depthwise 3x3, projection: TinyViT's inverted bottleneck and its merges. The hidden
/// rows exist only as long as a depthwise row needs them.
pub(crate) struct Bottleneck<E> {
    pub(crate) expand: Packed<E>,
    pub(crate) depthwise: Depthwise,
    pub(crate) project: Packed<E>,
    pub(crate) stride: usize,
    /// Whether the input is added to the result, followed by a GELU.
    pub(crate) residual: bool,
}

impl<E: Element> Bottleneck<E> {
    pub(crate) fn new(
        weights: &Weights,
        inputs: usize,
        hidden: usize,
        outputs: usize,
        stride: usize,
        residual: bool,
    ) -> Result<Self> {
        Ok(Self {
            expand: folded_linear(&weights.at("conv1"), inputs, hidden)?,
            depthwise: folded_depthwise(&weights.at("conv2"), hidden)?,
            project: folded_linear(&weights.at("conv3"), hidden, outputs)?,
            stride,
            residual,
        })
    }

    /// Values that a tile needs for rows of `width` pixels: an input row; three hidden rows and a depthwise one.
    pub(crate) fn tile(&self, width: usize) -> [usize; 2] {
        [width * self.expand.k(), 4 * width * self.expand.n()]
    }

    /// `x` is (height, width, inputs), `out` (height / stride, width / stride, outputs), rounded up.
    pub(crate) fn run(
        &self,
        isa: Isa,
        x: &[f32],
        (height, width): (usize, usize),
        out: &mut [f32],
        tiles: &Tiles<E>,
        threads: Threads,
    ) {
        let (inputs, hidden, outputs) = (self.expand.k(), self.expand.n(), self.project.n());
        let out_width = width.div_ceil(self.stride);
        let (line, hidden_line, out_line) = (width * inputs, width * hidden, out_width * outputs);
        threads.rows(out, out_line, 1, |rows, out| {
            tiles.with(|tile| {
                let (ring, mixed) = tile.hidden.split_at_mut(3 * hidden_line);
                let mixed = &mut mixed[..out_width * hidden];
                let mut next = (rows.start * self.stride).saturating_sub(1);
                for (y, out) in rows.zip(out.chunks_exact_mut(out_line)) {
                    let y = y * self.stride;
                    while next <= (y + 1).min(height - 1) {
                        let operand = E::operand(isa, &x[next * line..][..line], &mut tile.operand);
                        let row = &mut ring[next % 3 * hidden_line..][..hidden_line];
                        let operand = Rows::dense(operand, inputs);
                        let out = E::out(row, hidden).near();
                        gemm(isa, &operand, 0..width, &self.expand, &Epilogue::GELU, out);
                        next += 1;
                    }
                    let at = |y: usize| (y < height).then(|| &ring[y % 3 * hidden_line..][..hidden_line]);
                    let around = [at(y.wrapping_sub(1)), at(y), at(y + 1)];
                    self.depthwise.row(isa, around, width, self.stride, Act::Gelu, mixed);
                    let operand = Rows::dense(&*mixed, hidden);
                    let epilogue = if self.residual {
                        let residual = Residual::From(Mat::new(&x[y * line..][..line], inputs));
                        Epilogue { residual, act_after: Act::Gelu, ..Epilogue::BIAS }
                    } else {
                        Epilogue::BIAS
                    };
                    gemm(isa, &operand, 0..out_width, &self.project, &epilogue, Out::f32(out, outputs));
                }
            });
        });
    }
}

/// The encoders' last step: 1x1 and 3x3 convolutions, each followed by a layer norm.
pub(crate) struct Neck<E> {
    conv1: Packed<E>,
    norm1: LayerNorm,
    conv2: Packed<E>,
    norm2: LayerNorm,
    zeros: AlignedVec<E>,
}

impl<E: Element> Neck<E> {
    pub(crate) fn new(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        let conv1 = weights.at("0").values("weight", &[outputs, inputs, 1, 1])?;
        let conv2 = weights.at("2").values("weight", &[outputs, outputs, 3, 3])?;
        Ok(Self {
            conv1: Packed::linear(&conv1, outputs, inputs, None),
            norm1: layer_norm(&weights.at("1"), outputs, 1e-6)?,
            conv2: Packed::conv(&conv2, outputs, outputs, outputs, 3, false, None),
            norm2: layer_norm(&weights.at("3"), outputs, 1e-6)?,
            zeros: AlignedVec::zeroed(outputs),
        })
    }

    /// Channels of the input.
    pub(crate) fn inputs(&self) -> usize {
        self.conv1.k()
    }

    /// Channels of the embedding.
    pub(crate) fn outputs(&self) -> usize {
        self.conv1.n()
    }

    /// Values that a tile needs.
    pub(crate) fn tile(&self) -> [usize; 2] {
        [TILE_ROWS * self.conv1.k(), 0]
    }

    /// The embedding (grid * grid, outputs) of `x` (grid * grid, inputs); `between` has room for as much.
    pub(crate) fn run(
        &self,
        isa: Isa,
        x: &[f32],
        grid: usize,
        between: &mut [E],
        tiles: &Tiles<E>,
        threads: Threads,
    ) -> Vec<f32> {
        let (inputs, outputs) = (self.conv1.k(), self.conv1.n());
        let mut embedding = filled(0.0, grid * grid * outputs);
        threads.both_rows(&mut embedding, outputs, between, outputs, GRAIN, |rows, values, between| {
            tiles.with(|tile| {
                let x = &x[rows.start * inputs..rows.end * inputs];
                let chunks = x.chunks(TILE_ROWS * inputs).zip(values.chunks_mut(TILE_ROWS * outputs));
                for ((x, values), between) in chunks.zip(between.chunks_mut(TILE_ROWS * outputs)) {
                    let count = x.len() / inputs;
                    let operand = Rows::dense(E::operand(isa, x, &mut tile.operand), inputs);
                    let out = Out::f32(&mut *values, outputs);
                    gemm(isa, &operand, 0..count, &self.conv1, &Epilogue::BIAS, out);
                    let normed = MatMut::new(between, outputs);
                    self.norm1.apply(isa, Mat::new(values, outputs), count, Act::None, normed);
                }
            });
        });
        let image = Conv3x3::padded(between, &self.zeros, grid, grid, outputs, 1);
        threads.rows(&mut embedding, outputs, GRAIN, |rows, values| {
            let count = rows.len();
            gemm(isa, &image, rows, &self.conv2, &Epilogue::BIAS, Out::f32(&mut *values, outputs));
            self.norm2.apply_in_place(isa, MatMut::new(values, outputs), count, Act::None);
        });
        embedding
    }
}
