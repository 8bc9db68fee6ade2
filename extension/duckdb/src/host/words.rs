//! Failures in the words of SQL: with the functions and settings that mend them.

use sam_imaging::Wrapping;
use sam_runtime::{Failure, ImageLimit, Kind, LimitSource, Remedy, Results};

/// What is wrong and what to do about it.
pub fn in_sql(failure: &Failure) -> String {
    let text = failure.text();
    if failure.kind() == Kind::Cancelled {
        return format!("{text} by sam_cancel()");
    }
    match failure.remedy() {
        Some(Remedy::RaiseImageLimit(limit, needed)) => {
            let setting = match limit {
                ImageLimit::Megapixels => "image_megapixels",
                ImageLimit::Side => "image_side",
                ImageLimit::Megabytes => "image_mb",
                ImageLimit::MemoryMegabytes => "image_memory_mb",
            };
            format!(
                "{text}; for a higher one: CALL sam_configure({setting} := {needed}), or SET sam_{setting} = {needed} if \
                 SET has given it"
            )
        }
        Some(Remedy::FewerResults { results, set_by }) => {
            let (before, after) = match results {
                Results::PredictedMasks => ("sam_annotate, whose masks take about 600 bytes each, ", ""),
                Results::Embeddings => ("", ", the type 'f16'"),
                Results::Masks | Results::Images => ("", ""),
            };
            let raise = match set_by {
                LimitSource::Host => "SET memory_limit = ..., half of which it is",
                LimitSource::Settings => "CALL sam_configure(mask_limit_mb := ...)",
            };
            format!("{text}; use {before}fewer rows at a time (LIMIT){after}, or a higher limit: {raise}")
        }
        Some(Remedy::NameModel) => format!(
            "{text}; use 'nano', the path of a .safetensors, .pt, .pth, .ckpt or .bin file or of a Hugging Face folder, or \
             the name of one in the working directory or the model folder (CALL sam_configure(model_dir := ...), or the \
             environment variable SAM_MODEL_DIR); duckdb_sam.pull('mobile_sam') in Python, or duckdb-sam pull mobile_sam \
             on the command line, downloads published ones"
        ),
        Some(Remedy::FreeMemory) => format!(
            "{text}; use fewer rows at a time (LIMIT), fewer threads (CALL sam_configure(threads := 1)), a smaller cache \
             (cache_mb) or model, or let the process have more memory"
        ),
        Some(Remedy::MakeFractions) => format!("{text}, as box_from_pixels and point_from_pixels do"),
        Some(Remedy::Unwrap(wrapping)) => {
            let expression = match wrapping {
                Wrapping::Base64 => "from_base64(image::VARCHAR)",
                Wrapping::DataUrl => "from_base64(split_part(image::VARCHAR, ',', 2))",
                Wrapping::Hexadecimal => "from_hex(...)",
                Wrapping::EscapedBytes => "text::BLOB",
                Wrapping::Parquet => "read_parquet()",
                Wrapping::Sqlite => "ATTACH ... (TYPE sqlite)",
                Wrapping::Address => "read_blob()",
            };
            format!("{text}: {expression}")
        }
        _ => failure.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_are_sql() {
        let failure = |remedy| in_sql(&Failure::input("wrong").with(remedy));
        assert_eq!(
            failure(Remedy::RaiseImageLimit(ImageLimit::Side, 7)),
            "wrong; for a higher one: CALL sam_configure(image_side := 7), or SET sam_image_side = 7 if SET has given it"
        );
        assert_eq!(
            failure(Remedy::FewerResults { results: Results::Embeddings, set_by: LimitSource::Host }),
            "wrong; use fewer rows at a time (LIMIT), the type 'f16', or a higher limit: SET memory_limit = ..., half of \
             which it is"
        );
        assert!(failure(Remedy::NameModel).starts_with("wrong; use 'nano', the path of a .safetensors"));
        assert_eq!(in_sql(&Failure::new(Kind::Cancelled, "cancelled")), "cancelled by sam_cancel()");
        assert_eq!(in_sql(&Failure::usage("as it is")), "as it is");
    }
}
