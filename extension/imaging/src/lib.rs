//! Pictures and masks for Segment Anything.
//!
//! Pictures: [`decode`] turns untrusted bytes (JPEG, PNG, WebP, GIF, BMP, TIFF) into upright RGB pixels under
//! [`Limits`], [`info`] reads only the header, [`resize_bilinear`] resizes as Pillow does, bit for bit.
//! [`Picture`] keeps transparency and colour profile, and is changed and written again; [`page`] is a page of a TIFF or
//! a frame of a GIF with its samples as they are, [`Original`] is cut into parts that have them.
//!
//! Masks: [`MaskBuilder`] packs rows of logits into a [`Mask`] of one bit per pixel, [`Rle`] is COCO's run-length
//! encoding of it, exchangeable with pycocotools.
//!
//! Nothing here starts a thread: callers spread pictures over theirs.
#![deny(missing_docs, clippy::missing_safety_doc)]

mod animation;
mod bands;
mod coded;
mod convert;
mod decode;
mod error;
mod format;
mod gif;
mod jpeg;
mod labels;
mod levels;
mod mask;
mod memory;
mod metadata;
mod orient;
mod original;
mod page;
mod picture;
mod pixels;
mod range;
mod raster;
mod recognise;
mod resize;
mod samples;
mod tiff;
mod transform;

pub use bands::{Bands, Stats};
pub use decode::{decode, info, info_of_any_size};
pub use error::{ImageError, Limits};
pub use format::{Format, ImageInfo, Numbers, SampleType};
pub use image::{Rgb, RgbImage};
pub use labels::{LabelError, label_image, masks_of_labels};
pub use levels::{Depth, LevelError, png_of_levels};
pub use mask::{
    Mask, MaskBuilder, Others, Overlap, Point, Polygon, PolygonError, Ring, Rle, RleError, Shape,
    non_maximum_suppression, wkb, wkb_at, wkt, wkt_at,
};
pub use memory::NoMemory;
pub use original::Original;
pub use page::{check, page, pages};
pub use picture::{Picture, Tile, TooManyTiles, colour, mask_png, tiles};
pub use pixels::Range;
pub use recognise::{Recognised, Wrapping};
pub use resize::resize_bilinear;
pub use tiff::{Geo, geo};
pub use transform::{Transform, TransformError};
