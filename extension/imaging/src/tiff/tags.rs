//! The tags of a directory that are read, and how what they say is refused.

use crate::error::ImageError;
use crate::format::Format;

pub(super) const WIDTH: u16 = 256;
pub(super) const HEIGHT: u16 = 257;
pub(super) const BITS: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
pub(super) const FILL_ORDER: u16 = 266;
pub(super) const STRIP_OFFSETS: u16 = 273;
pub(super) const SAMPLES: u16 = 277;
pub(super) const ROWS_PER_STRIP: u16 = 278;
pub(super) const STRIP_BYTES: u16 = 279;
pub(super) const PLANAR: u16 = 284;
pub(super) const T4_OPTIONS: u16 = 292;
pub(super) const PREDICTOR: u16 = 317;
pub(super) const PALETTE: u16 = 320;
pub(super) const TILE_WIDTH: u16 = 322;
pub(super) const TILE_HEIGHT: u16 = 323;
pub(super) const TILE_OFFSETS: u16 = 324;
pub(super) const TILE_BYTES: u16 = 325;
pub(super) const SUB_DIRECTORIES: u16 = 330;
pub(super) const INK_SET: u16 = 332;
pub(super) const EXTRA_SAMPLES: u16 = 338;
pub(super) const SAMPLE_FORMAT: u16 = 339;
pub(super) const JPEG_TABLES: u16 = 347;
pub(super) const YCBCR_COEFFICIENTS: u16 = 529;
pub(super) const YCBCR_SUBSAMPLING: u16 = 530;
pub(super) const REFERENCE_BLACK_WHITE: u16 = 532;
pub(super) const XMP: u16 = 700;
/// The colour profile.
pub(super) const PROFILE: u16 = 34675;
/// GDAL's own: what stands for "no data", as a text.
pub(super) const NO_DATA: u16 = 42113;
pub(super) const DNG_VERSION: u16 = 50706;

/// The photometric interpretation of a sensor's mosaic.
pub(super) const MOSAIC: u64 = 32803;

/// The remedy for what is not decoded of TIFF.
const REMEDY: &str = "save it again as an ordinary TIFF (uncompressed, LZW, deflate or zstd) or PNG, for example with \
                      gdal_translate, tifffile or ImageMagick";

pub(super) fn damaged(reason: impl Into<String>) -> ImageError {
    Format::Tiff.damaged(reason)
}

pub(super) fn unsupported(reason: impl Into<String>) -> ImageError {
    Format::Tiff.unsupported(reason, REMEDY)
}
