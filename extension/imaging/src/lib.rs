//! Pictures and masks for Segment Anything.
//!
//! Pictures: [`decode`] turns untrusted bytes (JPEG, PNG, WebP, GIF, BMP, TIFF) into upright RGB pixels under
//! [`Limits`], [`info`] reads only the header, [`resize_bilinear`] resizes as Pillow does, bit for bit.
//!
//! Masks: [`MaskBuilder`] packs rows of logits into a [`Mask`] of one bit per pixel, [`Rle`] is COCO's run-length
//! encoding of it, exchangeable with pycocotools.
//!
//! Nothing here starts a thread: callers spread pictures over theirs.
#![deny(missing_docs)]

mod convert;
mod decode;
mod encode;
mod error;
mod jpeg;
mod mask;
mod orient;
mod resize;

pub use decode::{ImageInfo, decode, info};
pub use encode::mask_png;
pub use error::{ImageError, Limits};
pub use image::{Rgb, RgbImage};
pub use mask::{Mask, MaskBuilder, Point, Polygon, Ring, Rle, RleError, wkb, wkt};
pub use resize::resize_bilinear;
