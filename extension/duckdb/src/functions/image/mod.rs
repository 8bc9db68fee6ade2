//! Functions on images. Bytes that are not an image, or are a damaged one, give NULL: [`super::mask`] says why.
//! `image_error` tells what is wrong with them. An intact image never vanishes: one that is too large, or in a format
//! that is not decoded, is an error. So are arguments that are wrong in themselves.

mod geo;
mod info;
mod masked;
mod measure;
mod page;
mod pixels;
mod shape;
mod tile;

pub use geo::GEO;
pub use info::{IMAGE_ERROR, IMAGE_HASH, IMAGE_INFO};
pub use masked::{CUTOUT, OVERLAY};
pub use measure::STATS;
pub use page::{PAGE, PAGES};
pub use pixels::{FROM_PIXELS, PIXELS};
pub use shape::{CONVERT, CROP, RESIZE, THUMBNAIL};
pub use tile::TILE;

use crate::engine::{Input, Output};
use crate::functions::arguments::Images;
use crate::functions::room::Room;
use crate::functions::rows::{Rows, write_bytes};
use sam_imaging::{ImageError, Limits, Original, Picture};
use sam_runtime::Result;

/// The rows of a call whose first argument is an image.
struct Pictures<'a> {
    rows: Rows<'a>,
    limits: Limits,
    room: Room,
}

impl<'a> Pictures<'a> {
    fn new(input: &Input<'a>) -> Result<Self> {
        let rows = Rows::new(input)?;
        Ok(Self { limits: rows.call.settings().images, room: Room::new(&rows.call), rows })
    }

    /// What `work` makes of each image and of the other arguments, which `read` reads; `None` is NULL.
    fn each<A: Sync, T: Send + Sync>(
        &self,
        input: &Input<'_>,
        read: impl Fn(usize) -> Result<Option<A>>,
        work: impl Fn(Picture, &A) -> Result<Option<T>> + Sync,
    ) -> Result<Vec<Option<T>>> {
        self.each_read(input, read, Picture::read, work)
    }

    /// The same where the values of an image are kept.
    fn each_original<A: Sync, T: Send + Sync>(
        &self,
        input: &Input<'_>,
        read: impl Fn(usize) -> Result<Option<A>>,
        work: impl Fn(Original, &A) -> Result<Option<T>> + Sync,
    ) -> Result<Vec<Option<T>>> {
        self.each_read(input, read, Original::read, work)
    }

    fn each_read<P, A: Sync, T: Send + Sync>(
        &self,
        input: &Input<'_>,
        read: impl Fn(usize) -> Result<Option<A>>,
        decode: impl Fn(&[u8], &Limits) -> std::result::Result<P, ImageError> + Sync,
        work: impl Fn(P, &A) -> Result<Option<T>> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let images = Images::new(input.column(0)?)?;
        let arguments = self.rows.read(|row| Ok(images.get(row)?.zip(read(row)?)))?;
        self.rows.call.rows(&arguments, 1, |(image, argument)| {
            read_or_null(|| decode(image, &self.limits))?.map_or(Ok(None), |picture| work(picture, argument))
        })
    }

    /// The same where `work` makes an image, which is written in the format it was read from.
    fn change<A: Sync>(
        &self,
        input: &Input<'_>,
        output: &mut Output<'_>,
        read: impl Fn(usize) -> Result<Option<A>>,
        work: impl Fn(Picture, &A) -> Result<Option<Picture>> + Sync,
    ) -> Result<()> {
        let pictures = self.each(input, read, |picture, argument| {
            let changed = work(picture, argument)?;
            changed.map(|picture| self.room.hold(picture.encode(picture.format.writable())?)).transpose()
        })?;
        write_bytes(&pictures, output)
    }
}

/// What `read` makes of an image; `None` for bytes that are not an image, or are a damaged one.
///
/// # Errors
/// It is an image, and it cannot be read.
pub fn read_or_null<T>(read: impl FnOnce() -> std::result::Result<T, ImageError>) -> Result<Option<T>> {
    match read() {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_about_a_picture() => Err(error.into()),
        Err(_) => Ok(None),
    }
}
