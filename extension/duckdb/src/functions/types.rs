//! The SQL types of this project that several functions return and take.

use crate::engine::Type;

/// COCO's compressed run lengths: `size` is height and width.
pub const MASK: Type = Type::Struct(&[(c"size", Type::List(&Type::Integer)), (c"counts", Type::Varchar)]);

/// The record of Segment Anything's own mask generator; `bbox` is x, y, width and height in pixels.
pub const SEG: Type = Type::Struct(&[
    (c"segmentation", MASK),
    (c"bbox", Type::List(&Type::Float)),
    (c"area", Type::Bigint),
    (c"predicted_iou", Type::Float),
    (c"stability_score", Type::Float),
]);

/// The same with the point and the crop that the mask was found with.
pub const FOUND: Type = Type::Struct(&[
    (c"segmentation", MASK),
    (c"bbox", Type::List(&Type::Float)),
    (c"area", Type::Bigint),
    (c"predicted_iou", Type::Float),
    (c"stability_score", Type::Float),
    (c"point_coords", Type::List(&Type::List(&Type::Float))),
    (c"crop_box", Type::List(&Type::Float)),
]);
