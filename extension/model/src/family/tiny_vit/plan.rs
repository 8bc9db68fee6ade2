//! TinyViT's steps on the CPU; `graph.rs` defines what they compute.

use sam_kernels::{Act, AlignedVec, Bias, Conv3x3, Depthwise, Epilogue, Heads, Isa, Out, Packed, Windows, gemm};

use super::config::TinyVitConfig;
use crate::error::Result;
use crate::plan::blocks::{
    Bottleneck, GRAIN, Mlp, Neck, NormLinear, add_linear, folded, folded_depthwise, layer_norm, linear, write_input,
};
use crate::plan::element::Element;
use crate::plan::workspace::{Tiles, Workspace};
use crate::plan::{Input, Steps};
use crate::threads::Threads;
use crate::weights::Weights;

/// The encoder, ready to run.
pub(super) struct TinyVit<E> {
    /// Side of the input in pixels.
    side: usize,
    stem: [Packed<E>; 2],
    zeros: AlignedVec<E>,
    bottlenecks: Vec<Bottleneck<E>>,
    /// Each stage after the first: the merge that leads to it, and its blocks.
    stages: Vec<(Bottleneck<E>, Vec<Block<E>>)>,
    neck: Neck<E>,
}

struct Block<E> {
    qkv: NormLinear<E>,
    bias: Bias<E>,
    /// Queries, keys and values of a padded token: it is zero, so its norm is the norm's shift.
    padding: Vec<E>,
    heads: usize,
    window: usize,
    proj: Packed<E>,
    local_conv: Depthwise,
    mlp: Mlp<E>,
}

impl<E: Element> TinyVit<E> {
    pub(super) fn new(config: &TinyVitConfig, weights: &Weights) -> Result<Self> {
        let widths = &config.embed_dims;
        let seq = weights.at("patch_embed").at("seq");
        let half = widths[0] / 2;
        let (first, first_bias) = folded(&seq.at("0"), [half, 3, 3, 3])?;
        let (second, second_bias) = folded(&seq.at("2"), [widths[0], half, 3, 3])?;
        let stem = [
            Packed::conv(&first, half, 3, 3, 3, true, Some(&first_bias)),
            Packed::conv(&second, widths[0], half, half, 3, false, Some(&second_bias)),
        ];
        let layers = weights.at("layers");
        let mut bottlenecks = Vec::new();
        for index in 0..config.depths[0] {
            let block = layers.at(0).at("blocks").at(index);
            let hidden = block.side("conv1.c.weight", 0).unwrap_or(4 * widths[0]);
            bottlenecks.push(Bottleneck::new(&block, widths[0], hidden, widths[0], 1, true)?);
        }
        let mut stages = Vec::new();
        for stage in 1..widths.len() {
            let (before, width) = (widths[stage - 1], widths[stage]);
            let stride = config.merge_strides[stage - 1];
            let merge = Bottleneck::new(&layers.at(stage - 1).at("downsample"), before, width, width, stride, false)?;
            let blocks = (0..config.depths[stage])
                .map(|index| {
                    let block = layers.at(stage).at("blocks").at(index);
                    Block::new(&block, width, config.num_heads[stage], config.window_sizes[stage])
                })
                .collect::<Result<_>>()?;
            stages.push((merge, blocks));
        }
        Ok(Self {
            side: config.img_size,
            stem,
            zeros: AlignedVec::zeroed(half),
            bottlenecks,
            stages,
            neck: Neck::new(&weights.at("neck"), widths[widths.len() - 1], config.out_chans)?,
        })
    }
}

impl<E: Element> Steps for TinyVit<E> {
    type Workspace = Workspace<E>;

    /// Working memory for one picture.
    fn workspace(&self) -> Workspace<E> {
        let half = self.side.div_ceil(2);
        let mut side = half.div_ceil(2);
        let (mut wide, mut narrow) = ((self.side + 2) * (self.side + 2) * 3, half * half * self.stem[0].n());
        let mut stream = side * side * self.stem[1].n();
        let mut tile = self.neck.tile();
        let mut widen = |[operand, hidden]: [usize; 2]| tile = [tile[0].max(operand), tile[1].max(hidden)];
        for block in &self.bottlenecks {
            widen(block.tile(side));
        }
        for (merge, blocks) in &self.stages {
            widen(merge.tile(side));
            side = side.div_ceil(merge.stride);
            stream = stream.max(side * side * merge.project.n());
            for block in blocks {
                widen(block.mlp.tile());
                wide = wide.max(side * side * block.qkv.linear.n());
                narrow = narrow.max(side * side * block.proj.k());
            }
        }
        narrow = narrow.max(side * side * self.zeros.len().max(self.neck.outputs()));
        Workspace::new(wide, narrow, stream, tile)
    }

    fn run(&self, input: Input<'_>, workspace: &mut Workspace<E>) -> Vec<Vec<f32>> {
        let Input { isa, normalise, picture, threads } = input;
        let Workspace { wide, narrow, stream: [x, y], tiles } = workspace;
        let input = &mut wide[..(self.side + 2) * (self.side + 2) * 3];
        write_input(normalise, picture, self.side, 1, input, threads);

        let image = Conv3x3::bordered(input, self.side, self.side, 3, 2);
        let (half, channels) = (image.output_size().0, self.stem[0].n());
        let hidden = &mut narrow[..half * half * channels];
        threads.rows(hidden, channels, GRAIN, |rows, out| {
            gemm(isa, &image, rows, &self.stem[0], &Epilogue::GELU, E::out(out, channels));
        });
        let image = Conv3x3::padded(hidden, &self.zeros, half, half, channels, 2);
        let (mut side, channels) = (image.output_size().0, self.stem[1].n());
        threads.rows(&mut x[..side * side * channels], channels, GRAIN, |rows, out| {
            gemm(isa, &image, rows, &self.stem[1], &Epilogue::BIAS, Out::f32(out, channels));
        });

        for block in &self.bottlenecks {
            let values = side * side * channels;
            block.run(isa, &x[..values], (side, side), &mut y[..values], tiles, threads);
            std::mem::swap(x, y);
        }
        for (merge, blocks) in &self.stages {
            let to = side.div_ceil(merge.stride);
            let (values, merged) = (side * side * merge.expand.k(), to * to * merge.project.n());
            merge.run(isa, &x[..values], (side, side), &mut y[..merged], tiles, threads);
            std::mem::swap(x, y);
            side = to;
            for block in blocks {
                block.run(isa, side, &mut x[..merged], &mut y[..merged], wide, narrow, tiles, threads);
                std::mem::swap(x, y);
            }
        }
        let values = side * side * self.neck.inputs();
        let between = &mut narrow[..side * side * self.neck.outputs()];
        vec![self.neck.run(isa, &x[..values], side, between, tiles, threads)]
    }
}

impl<E: Element> Block<E> {
    fn new(weights: &Weights, width: usize, heads: usize, window: usize) -> Result<Self> {
        let attention = weights.at("attn");
        let mlp = weights.at("mlp");
        let hidden = mlp.side("fc1.weight", 0).unwrap_or(4 * width);
        let biases = attention.values("attention_biases", &[heads, window * window])?;
        let norm = attention.at("norm");
        let shift = norm.values("bias", &[width])?;
        let qkv = attention.at("qkv");
        let rows = qkv.values("weight", &[3 * width, width])?;
        let padding = rows.chunks_exact(width).zip(qkv.values("bias", &[3 * width])?).map(|(row, bias)| {
            let rounded = |value: &f32| E::from_f32(*value).to_f32();
            E::from_f32(row.iter().zip(&shift).map(|(a, b)| rounded(a) * rounded(b)).sum::<f32>() + bias)
        });
        Ok(Self {
            padding: padding.collect(),
            qkv: NormLinear { norm: layer_norm(&norm, width, 1e-5)?, linear: linear(&qkv, width, 3 * width)? },
            bias: Bias::by_distance(&biases, heads, window),
            heads,
            window,
            proj: linear(&attention.at("proj"), width, width)?,
            local_conv: folded_depthwise(&weights.at("local_conv"), width)?,
            mlp: Mlp {
                norm: layer_norm(&mlp.at("norm"), width, 1e-5)?,
                expand: linear(&mlp.at("fc1"), width, hidden)?,
                project: linear(&mlp.at("fc2"), hidden, width)?,
            },
        })
    }

    /// The block on `x` (side * side, width), which is used up; the result is left in `y`.
    #[allow(clippy::too_many_arguments)] // the parts of the workspace are borrowed one by one
    fn run(
        &self,
        isa: Isa,
        side: usize,
        x: &mut [f32],
        y: &mut [f32],
        wide: &mut [E],
        narrow: &mut [E],
        tiles: &Tiles<E>,
        threads: Threads,
    ) {
        let width = self.proj.n();
        let qkv = &mut wide[..side * side * 3 * width];
        self.qkv.run(isa, x, qkv, tiles, threads);

        let head = width / self.heads;
        let attended = &mut narrow[..side * side * width];
        let parts = Heads::per_head(&*qkv, 3 * width, head);
        let windows = Windows { height: side, width: side, window: self.window, heads: self.heads, d: head };
        threads.each(windows.pieces(attended, width, threads.pieces()), |piece| {
            let scale = (head as f32).powf(-0.5);
            tiles.with(|tile| piece.run(isa, &parts, &self.padding, &self.bias, scale, &mut tile.scratch));
        });
        add_linear(isa, &self.proj, attended, x, threads);

        let x = &*x;
        threads.rows(y, side * width, 1, |rows, out| {
            self.local_conv.rows(isa, x, side, side, 1, rows, Act::None, out);
        });
        self.mlp.run(isa, y, tiles, threads);
    }
}
