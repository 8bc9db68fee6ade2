//! `mask_area`, `mask_bbox`, `mask_iou`, `mask_error`: numbers about masks.

use super::{Masks, ONE, PAIR, TOGETHER, each, sizes_differ, with};
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use crate::functions::rows::{Rows, write_bytes};
use sam_runtime::{Failure, Result};

/// `mask_area(mask)`
pub static AREA: ScalarFunction = ScalarFunction {
    name: c"mask_area",
    help: Help {
        category: Category::Masks,
        description: "Returns the number of pixels in a mask. An invalid mask gives NULL.",
        example: "mask_area({'size': [2, 3], 'counts': '132'})",
    },
    overloads: &[Overload { parameters: &[ONE], returns: Type::Bigint, run: area }],
};

/// `mask_bbox(mask)`
pub static BBOX: ScalarFunction = ScalarFunction {
    name: c"mask_bbox",
    help: Help {
        category: Category::Masks,
        description: "Returns the smallest box around a mask, `[x, y, width, height]` in pixels as COCO has it; all 0 \
            for a mask without pixels. An invalid mask gives NULL.",
        example: "mask_bbox(mask)",
    },
    overloads: &[Overload { parameters: &[ONE], returns: Type::List(&Type::Float), run: bbox }],
};

/// `mask_iou(a, b)`
pub static IOU: ScalarFunction = ScalarFunction {
    name: c"mask_iou",
    help: Help {
        category: Category::Masks,
        description: "Returns the intersection over union of two masks, 0 to 1; 0 where both have no pixels. Masks of \
            different sizes are an error. A mask does not tell which image or tile it is of: put masks of different \
            tiles in the whole image by `mask_place` first. An invalid mask gives NULL.",
        example: "mask_iou(mask, other)",
    },
    overloads: &[Overload { parameters: PAIR, returns: Type::Double, run: iou }],
};

/// `mask_error(mask)`
pub static ERROR: ScalarFunction = ScalarFunction {
    name: c"mask_error",
    help: Help {
        category: Category::Masks,
        description: "Returns what is wrong with an invalid mask, for which the other functions return NULL; NULL for \
            a valid mask.",
        example: "mask_error({'size': [2, 3], 'counts': '13'})",
    },
    overloads: &[Overload { parameters: &[ONE], returns: Type::Varchar, run: error }],
};

fn area(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    output.each(each(input, TOGETHER, |mask| Ok(Some(mask.area())))?, |output, row, area| {
        output.reborrow().bigints()[row] = i64::try_from(area).map_err(Failure::internal)?;
        Ok(())
    })
}

fn bbox(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let boxes = each(input, TOGETHER, |mask| Ok(Some(mask.bbox())))?;
    let lengths: Vec<usize> = boxes.iter().map(|bbox| if bbox.is_some() { 4 } else { 0 }).collect();
    output
        .lists(&lengths)?
        .floats()
        .copy_from_slice(boxes.iter().flatten().copied().collect::<Vec<_>>().as_flattened());
    output.set_nulls(&boxes)
}

fn iou(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let others = Masks::new(input.column(1)?)?;
    let rows = Rows::new(input)?;
    let pairs = with(input, &rows, |row| others.get(row))?;
    let ious = rows.call.rows(&pairs, TOGETHER, |(a, b)| {
        let (Some(a), Some(b)) = (a.decode()?, b.decode()?) else { return Ok(None) };
        let differ = || sizes_differ(["mask a", "mask b"], [[a.height, a.width], [b.height, b.width]]);
        a.iou(&b).ok_or_else(differ).map(Some)
    })?;
    output.each(ious, |output, row, iou| {
        output.reborrow().doubles()[row] = iou;
        Ok(())
    })
}

fn error(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, masks) = (Rows::new(input)?, Masks::new(input.column(0)?)?);
    let masks = rows.read(|row| masks.get(row))?;
    write_bytes(&rows.call.rows(&masks, TOGETHER, |mask| Ok(mask.error()))?, output)
}
