//! The SQL surface.

mod about;
mod annotate;
mod arguments;
mod boxes;
mod control;
mod dense;
mod embed;
mod generate;
mod image;
mod many;
mod mask;
mod models;
mod prompts;
mod room;
mod rows;
mod segment;
mod types;

use crate::engine::{Registry, ScalarFunction, TableFunction};
use crate::host::{SETTINGS, undivided};
use sam_runtime::Result;

/// The scalar functions, in the order of the reference.
static SCALARS: &[&ScalarFunction] = &[
    &segment::SEGMENT,
    &annotate::ANNOTATE,
    &annotate::ANNOTATE_MANY,
    &generate::GENERATE,
    &embed::EMBED,
    &embed::VECTOR,
    &prompts::BOX_FROM_PIXELS,
    &prompts::BOX_FROM_XYWH,
    &prompts::BOX_FROM_CXCYWH,
    &prompts::BOX_FROM_MASK,
    &prompts::POINT_FROM_PIXELS,
    &prompts::POINTS_FROM_PIXELS,
    &mask::TO_RLE,
    &mask::FROM_RLE,
    &mask::FROM_POLYGONS,
    &mask::FROM_COCO,
    &mask::TO_PNG,
    &mask::TO_WKB,
    &mask::TO_WKT,
    &mask::AREA,
    &mask::BBOX,
    &mask::SHAPE,
    &image::STATS,
    &mask::IOU,
    &mask::IOU_MATRIX,
    &mask::NMS,
    &mask::UNION,
    &mask::INTERSECT,
    &mask::DIFFERENCE,
    &mask::CLEAN,
    &mask::PLACE,
    &mask::LABELS,
    &mask::FROM_LABELS,
    &mask::ERROR,
    &image::IMAGE_INFO,
    &image::GEO,
    &image::THUMBNAIL,
    &image::RESIZE,
    &image::CROP,
    &image::CONVERT,
    &image::OVERLAY,
    &image::CUTOUT,
    &image::TILE,
    &image::PAGE,
    &image::PAGES,
    &image::PIXELS,
    &image::FROM_PIXELS,
    &image::IMAGE_HASH,
    &image::IMAGE_ERROR,
    &models::MODEL_INFO,
    &about::VERSION,
];

/// The table functions, in the order of the reference.
static TABLES: &[&TableFunction] = &[
    &models::MODELS,
    &models::CONVERT,
    &control::LOAD,
    &control::UNLOAD,
    &control::CONFIGURE,
    &control::CANCEL,
    &control::ERRORS,
    &about::STATS,
    &about::MODEL_STATS,
    &about::FUNCTIONS,
];

/// Registers every setting and every function.
pub fn register(registry: &Registry) -> Result<()> {
    undivided(|| about::LISTED.get_or_init(|| (SCALARS, TABLES)));
    registry.json_as_text()?;
    SETTINGS.iter().try_for_each(|setting| registry.option(setting))?;
    SCALARS.iter().try_for_each(|function| registry.scalar(function))?;
    TABLES.iter().try_for_each(|function| registry.table(function))
}
