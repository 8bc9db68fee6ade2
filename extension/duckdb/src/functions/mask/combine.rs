//! `mask_union`, `mask_intersect`, `mask_difference`, `mask_clean`: masks made of masks.

use super::{Lists, MANY, MASK, Masks, ONE, PAIR, TOGETHER, of_one_size, sizes_differ, with, write};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::rows::Rows;
use sam_imaging::Rle;
use sam_runtime::{Failure, Result};

/// `mask_union(a, b)` and `mask_union(masks)`
pub static UNION: ScalarFunction = ScalarFunction {
    name: c"mask_union",
    help: Help {
        category: Category::Masks,
        description: "Returns the union of two masks, or of all masks in a list. `list(mask)` gathers such a list from \
            a group. NULLs in the list are skipped; an empty list gives NULL. Masks of different sizes are an error. \
            An invalid mask gives NULL.",
        example: "mask_union(mask, other)",
    },
    overloads: &[
        Overload { parameters: PAIR, returns: MASK, run: |input, output| pairs(input, output, Rle::union) },
        Overload { parameters: &[MANY], returns: MASK, run: |input, output| lists(input, output, Rle::union_all) },
    ],
};

/// `mask_intersect(a, b)` and `mask_intersect(masks)`
pub static INTERSECT: ScalarFunction = ScalarFunction {
    name: c"mask_intersect",
    help: Help {
        category: Category::Masks,
        description: "Returns the intersection of two masks, or of all masks in a list. NULLs, empty lists, different \
            sizes and invalid masks are treated as by `mask_union`.",
        example: "mask_intersect(mask, other)",
    },
    overloads: &[
        Overload { parameters: PAIR, returns: MASK, run: |input, output| pairs(input, output, Rle::intersect) },
        Overload { parameters: &[MANY], returns: MASK, run: |input, output| lists(input, output, Rle::intersect_all) },
    ],
};

/// `mask_difference(a, b)`
pub static DIFFERENCE: ScalarFunction = ScalarFunction {
    name: c"mask_difference",
    help: Help {
        category: Category::Masks,
        description: "Returns the pixels of mask `a` that are not in mask `b`. Masks of different sizes are an error. \
            An invalid mask gives NULL.",
        example: "mask_difference(mask, other)",
    },
    overloads: &[Overload {
        parameters: PAIR,
        returns: MASK,
        run: |input, output| pairs(input, output, Rle::difference),
    }],
};

/// `mask_clean(mask, min_area)`
pub static CLEAN: ScalarFunction = ScalarFunction {
    name: c"mask_clean",
    help: Help {
        category: Category::Masks,
        description: "Removes small holes and islands from a mask. Holes of fewer than `min_area` pixels are filled, \
            then islands of fewer are removed, as by SAM's `remove_small_regions`. If all islands are smaller, the \
            largest stays. Pixels that share an edge or a corner are connected. Background that touches the border \
            counts as a hole too. An invalid mask gives NULL.",
        example: "mask_clean(mask, 100)",
    },
    overloads: &[Overload {
        parameters: &[ONE, Parameter::new("min_area", &[Type::Bigint])],
        returns: MASK,
        run: clean,
    }],
};

/// Two masks of one size to a third.
type Combine = fn(&Rle, &Rle) -> Option<Rle>;

fn pairs(input: &Input<'_>, output: &mut Output<'_>, combine: Combine) -> Result<()> {
    let others = Masks::new(input.column(1)?)?;
    let rows = Rows::new(input)?;
    let pairs = with(input, &rows, |row| others.get(row))?;
    let masks = rows.call.rows(&pairs, TOGETHER, |(a, b)| {
        let (Some(a), Some(b)) = (a.decode()?, b.decode()?) else { return Ok(None) };
        let differ = || sizes_differ(["mask a", "mask b"], [[a.height, a.width], [b.height, b.width]]);
        combine(&a, &b).ok_or_else(differ).map(Some)
    })?;
    write(masks.iter().map(Option::as_ref), output.reborrow())
}

fn lists(input: &Input<'_>, output: &mut Output<'_>, combine: fn(Vec<Rle>) -> Option<Rle>) -> Result<()> {
    let lists = Lists::new(input.column(0)?)?;
    let rows = Rows::new(input)?;
    let lists = rows.read(|row| lists.get(row))?;
    let masks = rows.call.rows(&lists, 1, |list| {
        let masks = of_one_size(list, &rows.call)?;
        Ok(masks.and_then(|masks| combine(masks.into_iter().map(|(_, mask)| mask).collect())))
    })?;
    write(masks.iter().map(Option::as_ref), output.reborrow())
}

fn clean(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let areas = input.column(1)?;
    let rows = Rows::new(input)?;
    let arguments = with(input, &rows, |row| {
        let Some(area) = areas.bigint(row) else { return Ok(None) };
        let negative = |_| Failure::input(format!("min_area is {area}; give a number of pixels, 0 or more"));
        u64::try_from(area).map(Some).map_err(negative)
    })?;
    let masks =
        rows.call.rows(&arguments, TOGETHER, |(mask, area)| Ok(mask.decode()?.map(|mask| mask.clean(*area))))?;
    write(masks.iter().map(Option::as_ref), output.reborrow())
}
