//! Pictures larger than what a model sees, cut into tiles.

/// Most tiles of one picture.
const MAX_TILES: u64 = 10_000;

/// Where a tile lies in its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Its upper left corner, x and y in pixels.
    pub corner: [u32; 2],
    /// Its width and height.
    pub size: [u32; 2],
}

/// A picture would have this many tiles, more than the limit of 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the picture would have {0} tiles, the limit is {MAX_TILES}; use a larger size or a smaller overlap")]
pub struct TooManyTiles(u64);

/// Tiles of `size` x `size` pixels that cover a picture of `whole` pixels, width and height, row by row, each sharing at least
/// `overlap` pixels with its neighbours. The last ones are moved back so that all have the full size; only where the picture
/// itself is smaller a tile is too.
///
/// # Errors
/// There would be too many.
///
/// # Panics
/// If `overlap` is not less than `size`.
pub fn tiles(whole: [u32; 2], size: u32, overlap: u32) -> Result<Vec<Tile>, TooManyTiles> {
    assert!(overlap < size, "an overlap of {overlap} pixels in tiles of {size}");
    let stride = size - overlap;
    let [columns, rows] = whole.map(|side| u64::from(side.saturating_sub(size).div_ceil(stride)) + 1);
    if columns * rows > MAX_TILES {
        return Err(TooManyTiles(columns * rows));
    }
    let start = |index: u64, side: u32| (index as u32).saturating_mul(stride).min(side.saturating_sub(size));
    let tile = |column, row| Tile {
        corner: [start(column, whole[0]), start(row, whole[1])],
        size: whole.map(|side| size.min(side)),
    };
    Ok((0..rows).flat_map(|row| (0..columns).map(move |column| tile(column, row))).collect())
}
