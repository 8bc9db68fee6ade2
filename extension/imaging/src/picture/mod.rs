//! Pictures that are read, changed and written again.

mod draw;
mod edit;
mod encode;
mod hash;
mod tile;

pub use draw::colour;
pub use edit::Picture;
pub use encode::mask_png;
pub(crate) use encode::{Sink, unwritten};
pub use tile::{Tile, TooManyTiles};
