//! `mask_nms`, `mask_iou_matrix`: many masks of one image compared with each other.

use super::{Encoded, Lists, MANY, of_one_size, sizes_differ};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments;
use crate::functions::dense::split;
use crate::functions::rows::Rows;
use rayon::prelude::*;
use sam_imaging::{Others, Overlap, Rle, non_maximum_suppression};
use sam_runtime::{Call, Failure, Result, Results};

/// `mask_nms(masks, scores, threshold)` and `mask_nms(masks, scores, threshold, by)`
pub static NMS: ScalarFunction = ScalarFunction {
    name: c"mask_nms",
    help: Help {
        category: Category::Masks,
        description: "Drops duplicates among masks (greedy non-maximum suppression, as torchvision's `nms` and SAM's \
            mask generator). It keeps the mask with the best score, and drops all that overlap it by an IoU of more \
            than `threshold`. Then it goes on with the best of the rest. It returns the places in the list of the \
            masks that are kept, the best first, counted from 1. `by` says what the IoU is of: `mask`, the default, or \
            `box`. There is one score for each mask; of equal ones the first is the best. NULLs in `masks` are never \
            kept. Masks of different sizes are an error. An invalid mask gives NULL.",
        example: "mask_nms([mask, other], [0.9, 0.8], 0.7)",
    },
    overloads: &[
        Overload { parameters: &[MANY, SCORES, THRESHOLD], returns: Type::List(&Type::Bigint), run: nms },
        Overload {
            parameters: &[MANY, SCORES, THRESHOLD, Parameter::new("by", &[Type::Varchar])],
            returns: Type::List(&Type::Bigint),
            run: nms,
        },
    ],
};

/// `mask_iou_matrix(masks, others)` and `mask_iou_matrix(masks, others, crowds)`
pub static IOU_MATRIX: ScalarFunction = ScalarFunction {
    name: c"mask_iou_matrix",
    help: Help {
        category: Category::Masks,
        description: "Returns the intersection over union of each of `masks` with each of `others`: a list for each of \
            `masks`, with a number for each of `others`. These are the numbers of `pycocotools.mask.iou`. `crowds` \
            says which of `others` are crowds (COCO's `iscrowd`). For them it is the part of the mask that lies in the \
            crowd. A NULL in `masks` gives NULL in place of its list, a NULL in `others` in place of its numbers. \
            Masks of different sizes are an error. An invalid mask gives NULL.",
        example: "mask_iou_matrix(masks, [mask, other])",
    },
    overloads: &[
        Overload { parameters: &[MANY, OTHERS], returns: MATRIX, run: matrix },
        Overload {
            parameters: &[MANY, OTHERS, Parameter::new("crowds", &[Type::List(&Type::Boolean)])],
            returns: MATRIX,
            run: matrix,
        },
    ],
};

const SCORES: Parameter = Parameter::new("scores", &[Type::List(&Type::Double)]);
const THRESHOLD: Parameter = Parameter::new("threshold", &[Type::Double]);
const OTHERS: Parameter = Parameter { name: "others", ..MANY };
const MATRIX: Type = Type::List(&Type::List(&Type::Double));

/// The arguments of a row of `mask_nms`.
struct Rivals<'a> {
    masks: Vec<Option<Encoded<'a>>>,
    scores: arguments::Numbers,
    threshold: f64,
    overlap: Overlap,
}

impl Rivals<'_> {
    /// The places of those that are kept, from 1 on; `None` where a mask is invalid.
    fn best(&self, call: &Call<'_>) -> Result<Option<Vec<i64>>> {
        let Some(masks) = of_one_size(&self.masks, call)? else { return Ok(None) };
        let (places, masks): (Vec<usize>, Vec<Rle>) = masks.into_iter().unzip();
        let score = |&place: &usize| {
            let shown = || self.scores[place].map_or("NULL".into(), |score| score.to_string());
            let missing = || Failure::input(format!("score {} is {}; give a number for each mask", place + 1, shown()));
            self.scores[place].filter(|score| !score.is_nan()).ok_or_else(missing)
        };
        let scores = places.iter().map(score).collect::<Result<Vec<_>>>()?;
        let kept = non_maximum_suppression(&masks, &scores, self.threshold, self.overlap, || call.check())?;
        Ok(Some(kept.into_iter().map(|index| places[index] as i64 + 1).collect()))
    }
}

fn nms(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (masks, scores) = (Lists::new(input.column(0)?)?, arguments::Lists::new(input.column(1)?)?);
    let thresholds = input.column(2)?;
    let names = if input.arguments() > 3 { Some(input.column(3)?) } else { None };
    let read = |row| {
        let overlap = names.map_or(Ok(Some(Overlap::Masks)), |names| names.text(row)?.map(overlap).transpose())?;
        let (Some(masks), Some(scores)) = (masks.get(row)?, scores.numbers(row)) else { return Ok(None) };
        let Some((threshold, overlap)) = thresholds.double(row).zip(overlap) else { return Ok(None) };
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Failure::input(format!("threshold {threshold} is no IoU; give a number from 0 to 1")));
        }
        if scores.len() != masks.len() {
            let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            return Err(Failure::input(format!(
                "{} given for {}; give one score for each mask",
                count(scores.len(), "score"),
                count(masks.len(), "mask")
            )));
        }
        Ok(Some(Rivals { masks, scores, threshold, overlap }))
    };
    let rows = Rows::new(input)?;
    let rivals = rows.read(read)?;
    let kept = rows.call.rows(&rivals, 1, |rivals| rivals.best(&rows.call))?;
    let lengths: Vec<usize> = kept.iter().map(|kept| kept.as_ref().map_or(0, Vec::len)).collect();
    output.lists(&lengths)?.bigints().copy_from_slice(&kept.iter().flatten().flatten().copied().collect::<Vec<_>>());
    output.set_nulls(&kept)
}

fn overlap(name: &str) -> Result<Overlap> {
    match name {
        "mask" => Ok(Overlap::Masks),
        "box" => Ok(Overlap::Boxes),
        _ => Err(Failure::input(format!("by '{name}' is unknown; it is 'mask' or 'box'"))),
    }
}

/// The masks of a row of `mask_iou_matrix`.
struct Matrix {
    masks: Vec<Option<Rle>>,
    others: Vec<Option<Rle>>,
    crowds: Vec<bool>,
}

fn matrix(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (masks, others) = (Lists::new(input.column(0)?)?, Lists::new(input.column(1)?)?);
    let crowds = if input.arguments() > 2 { Some(input.column(2)?) } else { None };
    let elements = crowds.map(|crowds| crowds.elements()).transpose()?;
    let read = |row| {
        let Some((masks, others)) = masks.get(row)?.zip(others.get(row)?) else { return Ok(None) };
        let Some((lists, elements)) = crowds.zip(elements) else { return Ok(Some((masks, others, Vec::new()))) };
        let Some(range) = lists.range(row) else { return Ok(None) };
        let has_null = || Failure::input("crowds contain NULL; give true or false for each of the others");
        let crowds: Vec<bool> = elements.small(range).ok_or_else(has_null)?.iter().map(|&crowd| crowd != 0).collect();
        match crowds.len() == others.len() {
            true => Ok(Some((masks, others, crowds))),
            false => {
                let (crowds, others) = (crowds.len(), others.len());
                Err(Failure::input(format!(
                    "there are {crowds} crowds for {others} others; give true or false for each"
                )))
            }
        }
    };
    let rows = Rows::new(input)?;
    let lists = rows.read(read)?;
    let pairs = rows.call.rows(&lists, 1, |(masks, others, crowds)| {
        let Some((masks, others)) = aligned(masks, &rows.call)?.zip(aligned(others, &rows.call)?) else {
            return Ok(None);
        };
        if let (Some(a), Some(b)) = (masks.iter().flatten().next(), others.iter().flatten().next())
            && [a.height, a.width] != [b.height, b.width]
        {
            return Err(sizes_differ(
                ["one of the masks", "one of the others"],
                [[a.height, a.width], [b.height, b.width]],
            ));
        }
        Ok(Some(Matrix { masks, others, crowds: crowds.clone() }))
    })?;
    write(&rows, &pairs, output)
}

/// The masks of a list in their places; `None` where one is invalid.
fn aligned(list: &[Option<Encoded<'_>>], call: &Call<'_>) -> Result<Option<Vec<Option<Rle>>>> {
    Ok(of_one_size(list, call)?.map(|masks| {
        let mut aligned: Vec<Option<Rle>> = vec![None; list.len()];
        masks.into_iter().for_each(|(place, mask)| aligned[place] = Some(mask));
        aligned
    }))
}

/// Computes the numbers where the engine wants them.
fn write(rows: &Rows<'_>, pairs: &[Option<Matrix>], output: &mut Output<'_>) -> Result<()> {
    let masks = || pairs.iter().flatten().flat_map(|pair| pair.masks.iter().map(move |mask| (mask, pair)));
    let length = |(mask, pair): (&Option<Rle>, &Matrix)| if mask.is_some() { pair.others.len() } else { 0 };
    let lengths: Vec<usize> = masks().map(length).collect();
    rows.call.settings().results.check_lists("lists of IoUs", &lengths, size_of::<f64>(), Results::Masks)?;
    let counts: Vec<usize> = pairs.iter().map(|pair| pair.as_ref().map_or(0, |pair| pair.masks.len())).collect();
    let mut lists = output.lists(&counts)?;
    let mut numbers = lists.lists(&lengths)?;
    let mut pieces = split(numbers.reborrow().doubles(), &lengths)?.into_iter();
    for pair in pairs.iter().flatten() {
        // Where there is NULL there is no overlap, for now.
        let none = Rle { height: 0, width: 0, counts: vec![0] };
        let others: Vec<Rle> = pair.others.iter().map(|other| other.as_ref().unwrap_or(&none).clone()).collect();
        let others = Others::new(&others, &pair.crowds);
        let pieces: Vec<&mut [f64]> = pieces.by_ref().take(pair.masks.len()).collect();
        rows.call.session().pool().run(|| {
            pair.masks.par_iter().zip(pieces).try_for_each(|(mask, piece)| {
                rows.call.check()?;
                mask.iter().for_each(|mask| others.ious(mask, piece));
                Ok::<_, Failure>(())
            })
        })??;
    }
    let mut at = 0;
    for (mask, pair) in masks().filter(|(mask, _)| mask.is_some()) {
        let missing = pair.others.iter().enumerate().filter(|(_, other)| other.is_none());
        missing.map(|(index, _)| at + index).try_for_each(|index| numbers.set_null(index))?;
        at += length((mask, pair));
    }
    let nulls: Vec<Option<()>> = masks().map(|(mask, _)| mask.as_ref().map(|_| ())).collect();
    lists.set_nulls(&nulls)?;
    output.set_nulls(pairs)
}
