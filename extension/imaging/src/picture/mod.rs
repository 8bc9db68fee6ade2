//! Pictures that are read, changed and written again.

mod draw;
mod edit;
mod encode;
mod hash;
mod lossy_webp;
mod packed_tiff;
mod tile;

pub use draw::colour;
pub use edit::Picture;
pub use encode::mask_png;
pub(crate) use encode::{Sink, unwritten};
pub use tile::{Tile, TooManyTiles, tiles};
