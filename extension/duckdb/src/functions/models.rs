//! `sam_model_info` and `sam_models`: which models there are and what they say about themselves.

use super::arguments::MODEL;
use crate::engine::{Arguments, Category, Help, Input, Output, Overload, ScalarFunction, TableFunction, Type, Value};
use crate::host::Process;
use sam_model::{Conversion, FloatType, ModelInfo};
use sam_runtime::{Failure, Loaded, Result, expand_home};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

const INFO: Type = Type::Struct(&[
    (c"name", Type::Varchar),
    (c"path", Type::Varchar),
    (c"architecture", Type::Varchar),
    (c"image_size", Type::Integer),
    (c"mask_size", Type::Integer),
    (c"parameters", Type::Bigint),
    (c"bytes", Type::Bigint),
    (c"license", Type::Varchar),
    (c"sha256", Type::Varchar),
]);

/// `sam_model_info(model)`: loads the model if necessary.
pub static MODEL_INFO: ScalarFunction = ScalarFunction {
    name: c"sam_model_info",
    help: Help {
        category: Category::Extension,
        description: "Returns what a model says about itself, and loads it if necessary. `image_size` is the side in \
            pixels of what its encoder sees. `sha256` is the digest of its file: include it in the key when you cache \
            results. For a model in several files (weights, an index, what is stated beside them) it is the digest of \
            the list of their digests, as `sha256sum` prints it.",
        example: "sam_model_info('nano').sha256",
    },
    overloads: &[Overload { parameters: &[MODEL], returns: INFO, run }],
};

/// `sam_models()`: the built-in model, the files in the model folder, and loaded files from elsewhere. Nothing is
/// loaded for it: of a model that is not loaded only name, path and size are known, the rest is NULL.
pub static MODELS: TableFunction = TableFunction {
    name: c"sam_models",
    help: Help {
        category: Category::Extension,
        description: "Lists the models that can be named. These are the built-in one, the files and Hugging Face \
            folders in the model folder, and models that were loaded from elsewhere. Of a model that is not loaded, \
            only name, path and size are known.",
        example: "FROM sam_models()",
    },
    positional: &[],
    named: &[],
    columns: &[
        (c"name", Type::Varchar),
        (c"path", Type::Varchar),
        (c"architecture", Type::Varchar),
        (c"image_size", Type::Integer),
        (c"parameters", Type::Bigint),
        (c"bytes", Type::Bigint),
        (c"license", Type::Varchar),
        (c"loaded", Type::Boolean),
    ],
    run: list,
};

/// `sam_convert(model, path, type := ..., image_size := ..., replace := ...)`: a model as a safetensors file.
pub static CONVERT: TableFunction = TableFunction {
    name: c"sam_convert",
    help: Help {
        category: Category::Extension,
        description: "Writes a model to a safetensors file, with the names of Meta's code, the weights that inference \
            uses and no others, and the sizes of its network. `type` is `f32`, the default, with which the masks are \
            the same, bit for bit, or `f16`, which takes half the space and changes few pixels. `image_size` states \
            the side of the encoder's input, in pixels, where the weights do not tell (MobileSAM's shapes with another \
            input); nothing need then stand beside the file. A file that exists is replaced only with `replace := \
            true`. The result describes the file.",
        example: "CALL sam_convert('nano', 'nano_f16.safetensors', type := 'f16')",
    },
    positional: &[c"model", c"path"],
    named: &[c"type", c"image_size", c"replace"],
    columns: &[
        (c"name", Type::Varchar),
        (c"path", Type::Varchar),
        (c"architecture", Type::Varchar),
        (c"image_size", Type::Integer),
        (c"parameters", Type::Bigint),
        (c"bytes", Type::Bigint),
        (c"license", Type::Varchar),
    ],
    run: convert,
};

fn convert(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let (model, path) = (arguments.required(0, "model")?, expand_home(arguments.required(1, "file to write")?));
    let mut conversion = Conversion::default();
    for (name, value) in &arguments.named {
        // NULL is what is not given.
        let Some(value) = value.as_deref() else { continue };
        match name.to_bytes() {
            b"type" => conversion.weights = FloatType::parse(value, "weights").map_err(Failure::usage)?,
            b"image_size" => {
                let wanted = || Failure::usage(format!("image_size is '{value}'; it is a whole number of pixels"));
                conversion.image_size = Some(value.parse().map_err(|_| wanted())?);
            }
            _ => {
                let wanted = || Failure::usage(format!("replace is '{value}'; it is true or false"));
                conversion.replace = value.to_ascii_lowercase().parse().map_err(|_| wanted())?;
            }
        }
    }
    let settings = arguments.caller().settings()?;
    let info = Process::get()?.session.convert(model, &path, &conversion, settings.access())?;
    let ModelInfo { name, architecture, image_size, parameters, bytes, license, .. } = info;
    Ok(vec![vec![
        Value::Varchar(name),
        Value::Varchar(path.to_string_lossy().into_owned()),
        Value::Varchar(architecture),
        i32::try_from(image_size).map_or(Value::Null, Value::Integer),
        Value::bigint(parameters),
        Value::bigint(bytes),
        license.map_or(Value::Null, Value::Varchar),
    ]])
}

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let names = input.column(0)?;
    let mut models: HashMap<&str, Arc<Loaded>> = HashMap::new();
    for row in 0..input.rows() {
        let Some(name) = names.text(row)? else {
            output.set_null(row)?;
            continue;
        };
        let model = match models.get(name) {
            Some(model) => model,
            None => models.entry(name).or_insert(call.model(name)?),
        };
        write(model, row, output)?;
    }
    Ok(())
}

fn write(model: &Loaded, row: usize, output: &mut Output<'_>) -> Result<()> {
    let ModelInfo { name, path, architecture, image_size, mask_size, parameters, bytes, license, .. } = model.info();
    let path = path.as_deref().map(Path::to_string_lossy);
    let texts = [(0, Some(name.as_str())), (1, path.as_deref()), (2, Some(architecture)), (7, license.as_deref())];
    for (field, text) in texts.into_iter().chain([(8, Some(model.sha256()?))]) {
        match text {
            Some(text) => output.field(field)?.set_bytes(row, text.as_bytes())?,
            None => output.field(field)?.set_null(row)?,
        }
    }
    output.field(3)?.integers()[row] = i32::try_from(*image_size).map_err(Failure::internal)?;
    output.field(4)?.integers()[row] = i32::try_from(*mask_size).map_err(Failure::internal)?;
    output.field(5)?.bigints()[row] = i64::try_from(*parameters).map_err(Failure::internal)?;
    output.field(6)?.bigints()[row] = i64::try_from(*bytes).map_err(Failure::internal)?;
    Ok(())
}

fn list(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let settings = arguments.caller().settings()?;
    let listings = Process::get()?.session.list(settings.access()).into_iter().map(|listing| {
        let info = listing.info();
        let path = listing.path.as_deref().map(|path| Value::Varchar(path.to_string_lossy().into_owned()));
        let size = |info: &ModelInfo| i32::try_from(info.image_size).map_or(Value::Null, Value::Integer);
        let bytes = listing.bytes.or(info.map(|info| info.bytes));
        vec![
            Value::Varchar(listing.name.clone()),
            path.unwrap_or(Value::Null),
            info.map_or(Value::Null, |info| Value::Varchar(info.architecture.clone())),
            info.map_or(Value::Null, size),
            info.map_or(Value::Null, |info| Value::bigint(info.parameters)),
            bytes.map_or(Value::Null, Value::bigint),
            info.and_then(|info| info.license.clone()).map_or(Value::Null, Value::Varchar),
            Value::Boolean(info.is_some()),
        ]
    });
    Ok(listings.collect())
}
