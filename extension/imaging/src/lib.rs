//! Pictures and masks.
pub use image::RgbImage;
