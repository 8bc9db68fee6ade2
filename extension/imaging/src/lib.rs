//! Pictures and masks for Segment Anything.
//!
//! Pictures: [`decode`] turns untrusted bytes (JPEG, PNG, WebP, GIF, BMP, TIFF) into upright RGB pixels under
//! [`Limits`], [`info`] reads only the header, [`resize_bilinear`] resizes as Pillow does, bit for bit.
//! [`Picture`] keeps transparency and colour profile, and is changed and written again.
//!
//! Masks: [`MaskBuilder`] packs rows of logits into a [`Mask`] of one bit per pixel, [`Rle`] is COCO's run-length
//! encoding of it, exchangeable with pycocotools.
//!
//! Nothing here starts a thread: callers spread pictures over theirs.
#![deny(missing_docs)]

mod convert;
mod decode;
mod error;
mod jpeg;
mod mask;
mod orient;
mod picture;
mod resize;

pub use decode::{Format, ImageInfo, decode, info};
pub use error::{ImageError, Limits};
pub use image::{Rgb, RgbImage};
pub use mask::{Mask, MaskBuilder, NoMemory, Point, Polygon, PolygonError, Ring, Rle, RleError, wkb, wkt};
pub use picture::{Picture, Tile, TooManyTiles, colour, mask_png};
pub use resize::resize_bilinear;
