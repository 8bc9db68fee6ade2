//! Binary masks.
//!
//! [`Mask`] has one bit per pixel. [`Rle`], COCO's run lengths, is the form in which masks are kept; what can be done
//! on runs is done on runs, so that its cost depends on the outline and not on the pixels: combining two masks,
//! finding the connected parts ([`Rle::clean`]), tracing outlines ([`Rle::polygons`]).

mod bits;
mod columns;
mod combine;
mod geometry;
mod nms;
mod outline;
mod place;
mod polygon;
mod regions;
mod ring;
mod rle;
mod shape;
mod simplify;
mod writer;

pub use bits::{Mask, MaskBuilder};
pub use geometry::{wkb, wkb_at, wkt, wkt_at};
pub use nms::{Others, Overlap, non_maximum_suppression};
pub use polygon::PolygonError;
pub use ring::{Point, Polygon, Ring};
pub use rle::{Rle, RleError};
pub use shape::Shape;
pub(crate) use writer::RunWriter;
