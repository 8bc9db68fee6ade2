//! ViT's steps on the CPU; `graph.rs` defines what they compute.

use sam_kernels::{
    Bias, Epilogue, Heads, Isa, KeyValues, Mat, Out, Packed, Patches, RelativePositions, Residual, Windows, attend,
    gemm,
};

use super::config::VitConfig;
use crate::error::Result;
use crate::plan::blocks::{GRAIN, Mlp, Neck, NormLinear, add_linear, layer_norm, linear, write_input};
use crate::plan::element::Element;
use crate::plan::workspace::{Tiles, Workspace};
use crate::plan::{Input, Steps};
use crate::threads::Threads;
use crate::weights::Weights;

/// Queries that a thread takes at a time in a global attention.
const QUERIES: usize = 96;

/// The encoder, ready to run.
pub(super) struct Vit<E> {
    /// Side of the input in pixels.
    side: usize,
    patch: usize,
    grid: usize,
    embed: Packed<E>,
    /// (grid * grid, width)
    positions: Vec<f32>,
    blocks: Vec<Block<E>>,
    neck: Neck<E>,
}

struct Block<E> {
    qkv: NormLinear<E>,
    span: Span<E>,
    /// Queries, keys and values of a padded token: it is zero after the norm, so they are the bias.
    padding: Vec<E>,
    heads: usize,
    proj: Packed<E>,
    mlp: Mlp<E>,
}

/// What a token attends to.
enum Span<E> {
    Window(usize, Bias<E>),
    Image(RelativePositions<E>),
}

impl<E: Element> Vit<E> {
    pub(super) fn new(config: &VitConfig, weights: &Weights) -> Result<Self> {
        let (width, patch) = (config.embed_dim, config.patch_size);
        let grid = config.img_size / patch;
        let embed = weights.at("patch_embed").at("proj");
        let kernel = embed.values("weight", &[width, 3, patch, patch])?;
        let bias = embed.values("bias", &[width])?;
        let blocks = config
            .windows
            .iter()
            .enumerate()
            .map(|(index, window)| Block::new(config, *window, grid, &weights.at("blocks").at(index)))
            .collect::<Result<_>>()?;
        Ok(Self {
            side: config.img_size,
            patch,
            grid,
            embed: Packed::conv(&kernel, width, 3, 3, patch, true, Some(&bias)),
            positions: weights.values("pos_embed", &[1, grid, grid, width])?,
            blocks,
            neck: Neck::new(&weights.at("neck"), width, config.out_chans)?,
        })
    }

    fn heads(&self) -> usize {
        self.blocks.first().map_or(1, |block| block.heads)
    }
}

impl<E: Element> Steps for Vit<E> {
    type Workspace = Workspace<E>;

    /// Working memory for one picture.
    fn workspace(&self) -> Workspace<E> {
        let (tokens, width) = (self.grid * self.grid, self.embed.n());
        let mut tile = self.neck.tile();
        for block in &self.blocks {
            let [operand, hidden] = block.mlp.tile();
            tile = [tile[0].max(operand), tile[1].max(hidden)];
        }
        let packed = KeyValues::new(tokens, width / self.heads(), self.grid).packed_len::<E>() * self.heads();
        let wide = (self.side * self.side * 3).max(3 * tokens * width);
        // Beside the attention's output, its packed keys and values.
        Workspace::new(wide, tokens * width.max(self.neck.outputs()) + packed, tokens * width, tile)
    }

    fn run(&self, input: Input<'_>, workspace: &mut Workspace<E>) -> Vec<Vec<f32>> {
        let Input { isa, normalise, picture, threads } = input;
        let Workspace { wide, narrow, stream: [x, _], tiles } = workspace;
        let input = &mut wide[..self.side * self.side * 3];
        write_input(normalise, picture, self.side, 0, input, threads);
        let patches = Patches::new(input, self.side, self.side, 3, self.patch);
        let width = self.embed.n();
        let x = &mut x[..self.grid * self.grid * width];
        threads.rows(x, width, GRAIN, |rows, out| {
            let positions = Mat::new(&self.positions[rows.start * width..rows.end * width], width);
            let epilogue = Epilogue { residual: Residual::From(positions), ..Epilogue::BIAS };
            gemm(isa, &patches, rows, &self.embed, &epilogue, Out::f32(out, width));
        });
        for block in &self.blocks {
            block.run(isa, self.grid, x, wide, narrow, tiles, threads);
        }
        let between = &mut narrow[..self.grid * self.grid * self.neck.outputs()];
        vec![self.neck.run(isa, x, self.grid, between, tiles, threads)]
    }
}

impl<E: Element> Block<E> {
    fn new(config: &VitConfig, window: Option<usize>, grid: usize, weights: &Weights) -> Result<Self> {
        let (width, heads) = (config.embed_dim, config.num_heads);
        let head = width / heads;
        let attention = weights.at("attn");
        let side = window.unwrap_or(grid);
        let rows = attention.values("rel_pos_h", &[2 * side - 1, head])?;
        let columns = attention.values("rel_pos_w", &[2 * side - 1, head])?;
        let relative = RelativePositions::new(&rows, &columns, side, side, head);
        let qkv = attention.at("qkv");
        let mlp = weights.at("mlp");
        Ok(Self {
            padding: qkv.values("bias", &[3 * width])?.into_iter().map(E::from_f32).collect(),
            qkv: NormLinear {
                norm: layer_norm(&weights.at("norm1"), width, 1e-6)?,
                linear: linear(&qkv, width, 3 * width)?,
            },
            span: match window {
                Some(side) => Span::Window(side, Bias::Relative(relative)),
                None => Span::Image(relative),
            },
            heads,
            proj: linear(&attention.at("proj"), width, width)?,
            mlp: Mlp {
                norm: layer_norm(&weights.at("norm2"), width, 1e-6)?,
                expand: linear(&mlp.at("lin1"), width, config.mlp_dim)?,
                project: linear(&mlp.at("lin2"), config.mlp_dim, width)?,
            },
        })
    }

    /// The block on `x` (grid * grid, width), in place.
    #[allow(clippy::too_many_arguments)] // the parts of the workspace are borrowed one by one
    fn run(
        &self,
        isa: Isa,
        grid: usize,
        x: &mut [f32],
        wide: &mut [E],
        narrow: &mut [E],
        tiles: &Tiles<E>,
        threads: Threads,
    ) {
        let (tokens, width) = (grid * grid, self.proj.n());
        let qkv = &mut wide[..tokens * 3 * width];
        self.qkv.run(isa, x, qkv, tiles, threads);
        let (attended, packed) = narrow.split_at_mut(tokens * width);
        self.attend(isa, grid, qkv, attended, packed, tiles, threads);
        add_linear(isa, &self.proj, attended, x, threads);
        self.mlp.run(isa, x, tiles, threads);
    }

    /// Attention of `qkv` (tokens, 3 * width) into `out` (tokens, width); `packed` is working memory.
    #[allow(clippy::too_many_arguments)] // as above
    fn attend(
        &self,
        isa: Isa,
        grid: usize,
        qkv: &[E],
        out: &mut [E],
        packed: &mut [E],
        tiles: &Tiles<E>,
        threads: Threads,
    ) {
        let (tokens, width, heads) = (grid * grid, self.proj.n(), self.heads);
        let head = width / heads;
        let scale = (head as f32).powf(-0.5);
        match &self.span {
            Span::Window(side, bias) => {
                let windows = Windows { height: grid, width: grid, window: *side, heads, d: head };
                let parts = Heads::per_part(qkv, 3 * width, heads, head);
                threads.each(windows.pieces(out, width, threads.pieces()), |piece| {
                    tiles.with(|tile| piece.run(isa, &parts, &self.padding, bias, scale, &mut tile.scratch));
                });
            }
            Span::Image(relative) => {
                let layout = KeyValues::new(tokens, head, grid);
                let [q, k, v] = Heads::per_part(qkv, 3 * width, heads, head);
                let length = layout.packed_len::<E>();
                let packed = &mut packed[..heads * length];
                threads.rows(packed, length, 1, |heads, packed| {
                    for (head, packed) in heads.zip(packed.chunks_exact_mut(length)) {
                        layout.pack(&k, &v, head, packed);
                    }
                });
                let packed = &*packed;
                threads.rows(out, width, QUERIES, |queries, out| {
                    tiles.with(|tile| {
                        let (heads, scratch) = (0..heads, &mut tile.scratch);
                        attend(isa, &layout, &q, packed, heads, queries, scale, Some(relative), out, width, scratch);
                    });
                });
            }
        }
    }
}
