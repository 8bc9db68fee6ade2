//! Multi-head attention: in windows (TinyViT, ViT's windowed blocks) and over all tokens (ViT's global blocks, the mask
//! decoder), for f32 and bf16. Windows and heads may have any size. Scores, softmax and sums are f32; keys are taken in
//! ascending order by fixed tiles, so that the bits do not depend on how queries or windows are divided among workers.
//!
//! Per output, relative to the largest |v|: error at most about `(d + 16) * 2^-24 * sum |q k scale|` through the scores
//! plus `(keys + 8) * 2^-24` through the sums; bf16 adds 2^-8 for the rounded probabilities and the output.

mod absorbed;
mod bias;
mod core;
mod global;
mod heads;
mod pack;
mod relative;
mod tiled;
mod window;

pub use absorbed::{add, softmax_rows, softmax_tokens, weighted_sums};
pub use bias::Bias;
pub use global::{AttendElem, KeyValues, attend};
pub use heads::Heads;
pub use relative::RelativePositions;
pub use window::{WindowElem, WindowPiece, Windows};
