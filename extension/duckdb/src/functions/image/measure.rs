//! `mask_stats`: what there is in an image where a mask is.

use super::read_or_null;
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::mask::{Encoded, Lists, ONE_OR_MANY, of_one_size, sizes_differ};
use crate::functions::rows::Rows;
use sam_imaging::{Bands, Limits, Stats};
use sam_runtime::{Call, Failure, Result};

const MEASURED: Type = Type::Struct(&[
    (c"mask", Type::Integer),
    (c"channel", Type::Integer),
    (c"count", Type::Bigint),
    (c"mean", Type::Double),
    (c"std", Type::Double),
    (c"min", Type::Double),
    (c"max", Type::Double),
    (c"median", Type::Double),
    (c"sum", Type::Double),
]);

/// `mask_stats(image, mask)`
pub static STATS: ScalarFunction = ScalarFunction {
    name: c"mask_stats",
    help: Help {
        category: Category::Masks,
        description: "Measures the values of an image in a mask, or in each mask of a list. The list has an entry for \
            each mask and each channel. `mask` is the place of the mask in the list and `channel` the number of the \
            channel, both counted from 1. Values are those of the file, whatever its type, nothing is stretched. All \
            bands of a TIFF are measured, alpha as well; palettes and CMYK become RGB; fewer than 8 bits become 8. \
            `std` is the standard deviation of all values (NumPy's). NaN is left out, and so is the value that stands for \
            \"no data\" (`image_info(image).nodata`), in each channel by itself, as rasterio masks it; `count` says how \
            many values there are. Where there are none the other numbers are NULL. The image is decoded once for all masks of a \
            row, and is upright, as it is for masks. A mask of another size than the image is an error. NULLs in the \
            list are skipped. Bytes that are not an image, or are a damaged one, give NULL. An invalid mask gives NULL.",
        example: "mask_stats(image, mask)",
    },
    overloads: &[Overload { parameters: IN_MASKS, returns: Type::List(&MEASURED), run }],
};

const IN_MASKS: &[Parameter] = &[IMAGE, ONE_OR_MANY];

/// The numbers of a mask and of a channel, from 0 on, and what was measured.
type Entry = (usize, usize, Stats);

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (images, masks) = (Images::new(input.column(0)?)?, Lists::new(input.column(1)?)?);
    let rows = Rows::new(input)?;
    let limits = rows.call.settings().images;
    let arguments = rows.read(|row| Ok(images.get(row)?.zip(masks.get(row)?)))?;
    let measured = rows.call.rows(&arguments, 1, |(image, masks)| measure(image, masks, &limits, &rows.call))?;
    let lengths: Vec<usize> = measured.iter().map(|entries| entries.as_ref().map_or(0, Vec::len)).collect();
    let mut elements = output.lists(&lengths)?;
    for (index, (mask, channel, stats)) in measured.iter().flatten().flatten().enumerate() {
        elements.field(0)?.integers()[index] = i32::try_from(mask + 1).map_err(Failure::internal)?;
        elements.field(1)?.integers()[index] = i32::try_from(channel + 1).map_err(Failure::internal)?;
        elements.field(2)?.bigints()[index] = i64::try_from(stats.count).map_err(Failure::internal)?;
        let numbers = [stats.mean, stats.std, stats.min, stats.max, stats.median, stats.sum];
        for (field, number) in (3..).zip(numbers) {
            match stats.count {
                0 => elements.field(field)?.set_null(index)?,
                _ => elements.field(field)?.doubles()[index] = number,
            }
        }
    }
    output.set_nulls(&measured)
}

fn measure(
    image: &[u8],
    masks: &[Option<Encoded<'_>>],
    limits: &Limits,
    call: &Call<'_>,
) -> Result<Option<Vec<Entry>>> {
    let Some(masks) = of_one_size(masks, call)? else { return Ok(None) };
    let Some(bands) = read_or_null(|| Bands::read(image, limits))? else { return Ok(None) };
    let mut entries = Vec::with_capacity(masks.len() * bands.channels());
    for (place, mask) in &masks {
        call.check()?;
        let differ = || {
            let [width, height] = bands.size();
            sizes_differ(["the picture", "the mask"], [[height, width], [mask.height, mask.width]])
        };
        let stats = bands.stats(mask)?.ok_or_else(differ)?;
        entries.extend(stats.into_iter().enumerate().map(|(channel, stats)| (*place, channel, stats)));
    }
    Ok(Some(entries))
}
