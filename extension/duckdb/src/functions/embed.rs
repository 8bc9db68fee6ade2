//! `sam_embed`: the embedding of an image, to keep in a table; `embedding_vector`: one as a short list of numbers.

use super::arguments::{self, IMAGE, MODEL};
use super::dense::split;
use super::mask::{Masks, ONE};
use super::rows::Rows;
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

/// `embedding_vector(embedding)` and `embedding_vector(embedding, mask)`.
pub static VECTOR: ScalarFunction = ScalarFunction {
    name: c"embedding_vector",
    help: Help {
        category: Category::Segmentation,
        description: "Returns what `sam_embed` has computed as one number for each channel: the mean over the image, or \
            over the pixels of a `mask` of it. It takes no model, and decodes no image. Cast it to `FLOAT[256]`, or as \
            many channels as the model has, for `array_cosine_similarity` and the indexes of `vss`. The encoders of \
            Segment Anything are made for outlines and not for meaning: such vectors tell regions of one image apart \
            better than images. Those of `nano` are no good for similarity: the nearest photograph had the same main \
            colour in 33 % of cases, where 20 % are chance. A mask of another size is an error. An invalid mask, or one \
            without pixels, gives NULL.",
        example: "embedding_vector(sam_embed('nano', image), mask)",
    },
    overloads: &[
        Overload { parameters: &[EMBEDDING], returns: Type::List(&Type::Float), run: vector },
        Overload { parameters: &[EMBEDDING, ONE], returns: Type::List(&Type::Float), run: vector },
    ],
};

const EMBEDDING: Parameter = Parameter::new("embedding", &[Type::Blob]);

fn vector(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, embeddings) = (Rows::new(input)?, input.column(0)?);
    let masks = if input.arguments() > 1 { Some(Masks::new(input.column(1)?)?) } else { None };
    let read = |row| {
        let Some(embedding) = embeddings.bytes(row) else { return Ok(None) };
        match &masks {
            None => Ok(Some((embedding, None))),
            Some(masks) => Ok(masks.get(row)?.map(|mask| (embedding, Some(mask)))),
        }
    };
    let vectors = rows.call.rows(&rows.read(read)?, 1, |(embedding, mask)| match mask {
        None => Ok(sam_model::embedding_vector(embedding, None)?),
        Some(mask) => match mask.decode()? {
            Some(mask) => Ok(sam_model::embedding_vector(embedding, Some(&mask))?),
            None => Ok(None),
        },
    })?;
    let lengths: Vec<usize> = vectors.iter().map(|vector| vector.as_ref().map_or(0, Vec::len)).collect();
    let mut all = output.lists(&lengths)?;
    for (piece, vector) in split(all.reborrow().floats(), &lengths)?.into_iter().zip(&vectors) {
        piece.copy_from_slice(vector.as_deref().unwrap_or_default());
    }
    output.set_nulls(&vectors)
}

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
