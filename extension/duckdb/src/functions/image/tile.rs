//! `image_tile`: images larger than what a model sees.

use super::Pictures;
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::IMAGE;
use sam_imaging::{Tile, tiles};
use sam_runtime::{Failure, Result};

/// Where a tile lies, and the tile.
const TILE_TYPE: Type = Type::Struct(&[(c"x", Type::Integer), (c"y", Type::Integer), (c"image", Type::Blob)]);

/// `image_tile(image, size, overlap)`
pub static TILE: ScalarFunction = ScalarFunction {
    name: c"image_tile",
    help: Help {
        category: Category::Images,
        description: "Cuts an image into tiles of `size` x `size` pixels that share at least `overlap` pixels with \
            their neighbours. The tiles are listed row by row; `x` and `y` are the upper left corner of a tile in the \
            image. All have the full size, because the last ones are moved back; only an image that is smaller itself \
            gives smaller ones. `mask_place` puts masks of a tile back in the image; masks of different tiles can be compared only \
            there. Values, format and metadata are as for `image_crop`. Bytes that are not an image, or are a damaged one, give NULL.",
        example: "unnest(image_tile(image, 1024, 128))",
    },
    overloads: &[Overload {
        parameters: &[IMAGE, Parameter::new("size", &[Type::Bigint]), Parameter::new("overlap", &[Type::Bigint])],
        returns: Type::List(&TILE_TYPE),
        run,
    }],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, sizes, overlaps) = (Pictures::new(input)?, input.column(1)?, input.column(2)?);
    let read = |row| match sizes.bigint(row).zip(overlaps.bigint(row)) {
        Some((size, overlap)) => arguments(size, overlap, pictures.limits.max_side).map(Some),
        None => Ok(None),
    };
    let tiles = pictures.each_original(input, read, |picture, &(size, overlap)| {
        let tiles = tiles(picture.size(), size, overlap).map_err(|error| Failure::input(error.to_string()))?;
        let cut = |tile: Tile| {
            pictures.rows.call.check()?;
            Ok((tile.corner, pictures.room.hold(picture.part(tile.corner, tile.size)?)?))
        };
        tiles.into_iter().map(cut).collect::<Result<Vec<_>>>().map(Some)
    })?;
    let lengths: Vec<usize> = tiles.iter().map(|tiles| tiles.as_ref().map_or(0, Vec::len)).collect();
    let mut elements = output.lists(&lengths)?;
    for (index, ([x, y], bytes)) in tiles.iter().flatten().flatten().enumerate() {
        elements.field(0)?.integers()[index] = i32::try_from(*x).map_err(Failure::internal)?;
        elements.field(1)?.integers()[index] = i32::try_from(*y).map_err(Failure::internal)?;
        elements.field(2)?.set_bytes(index, bytes)?;
    }
    output.set_nulls(&tiles)
}

/// Size and overlap, checked.
fn arguments(size: i64, overlap: i64, max_side: u32) -> Result<(u32, u32)> {
    let valid = u32::try_from(size).ok().filter(|size| (1..=max_side).contains(size));
    let wrong = || Failure::input(format!("size is {size}; give a number of pixels, 1 to {max_side}"));
    let size = valid.ok_or_else(wrong)?;
    let valid = u32::try_from(overlap).ok().filter(|&overlap| overlap < size);
    let wrong =
        || Failure::input(format!("overlap is {overlap}; give a number of pixels from 0 to less than the size {size}"));
    Ok((size, valid.ok_or_else(wrong)?))
}
