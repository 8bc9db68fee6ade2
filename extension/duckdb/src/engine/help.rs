//! What a function says about itself. The C API has no place for it, so `sam_functions()` lists it, and the function
//! reference is generated from there.

use std::fmt;

/// The description of a function.
#[derive(Debug, Clone, Copy)]
pub struct Help {
    /// The chapter of the reference.
    pub category: Category,
    /// What it computes, with units, ranges and what becomes of NULL: one paragraph of Markdown.
    pub description: &'static str,
    /// A query or an expression that shows its use.
    pub example: &'static str,
}

/// The chapters of the function reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Running a model on an image.
    Segmentation,
    /// Prompts from pixels and from other forms of boxes.
    Prompts,
    /// Masks without a model.
    Masks,
    /// Images without a model.
    Images,
    /// The extension about itself.
    Extension,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segmentation => "segmentation",
            Self::Prompts => "prompts",
            Self::Masks => "masks",
            Self::Images => "images",
            Self::Extension => "extension",
        })
    }
}
