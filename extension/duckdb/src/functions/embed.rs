//! `sam_embed`: the embedding of an image, to keep in a table.

use super::arguments::{self, IMAGE, MODEL};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use sam_model::FloatType;
use sam_runtime::{Batch, Embed, Failure, Result};

/// `sam_embed(model, image)` and `sam_embed(model, image, type)`.
pub static EMBED: ScalarFunction = ScalarFunction {
    name: c"sam_embed",
    help: Help {
        category: Category::Segmentation,
        description: "Returns the embedding that the model's image encoder computes, as bytes. Functions that take a \
            model accept it in place of the image, with the same model, and then run the mask decoder only. With \
            `type` `f32`, the default, the masks are the same, bit for bit; `f16` takes half the space and changes few \
            pixels. With `nano`, whose masks are refined by the image, the bytes also hold a copy of it of at most 256 \
            x 256 pixels. The header names the model; another model refuses the bytes. NULL gives NULL.",
        example: "sam_embed('nano', image, 'f16')",
    },
    overloads: &[
        Overload { parameters: &[MODEL, IMAGE], returns: Type::Blob, run },
        Overload { parameters: &[MODEL, IMAGE, Parameter::new("type", &[Type::Varchar])], returns: Type::Blob, run },
    ],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let kinds = if input.arguments() == 3 { Some(input.column(2)?) } else { None };
    let kind = |row| match kinds.map(|kinds| kinds.text(row)).transpose()? {
        None => Ok(Some(FloatType::default())),
        Some(text) => {
            Ok(text.map(|text| FloatType::parse(text, "an embedding").map_err(Failure::usage)).transpose()?)
        }
    };
    let kinds = (0..input.rows()).map(kind).collect::<Result<Vec<_>>>()?;
    let requests = arguments::images(input, &call, |row| kinds[row].map(|_| ()))?;
    let batch = Batch::new(&call, requests, |(), _| Ok(Embed))?;
    let models = batch.models();
    let rows = || models.iter().zip(&kinds).map(|(model, kind)| model.as_ref().zip(*kind));
    let sizes: Vec<_> = rows().map(|row| row.map_or(0, |(model, kind)| model.blob_bytes(kind))).collect();
    call.settings().results.check_embeddings(&sizes)?;
    let embeddings = batch.answers()?.into_iter().zip(rows()).map(|(embedding, row)| embedding.zip(row));
    output.each(embeddings, |output, row, (embedding, (model, kind))| {
        output.set_bytes(row, &embedding.to_bytes(model, kind)?)
    })
}
