//! Why a row, and with it a query, failed.
//!
//! A failure says what is wrong, with its value. What to do about it is data: each host words it with the names of its own
//! settings and functions.

use sam_imaging::{ImageError, Recognised, Wrapping};
use sam_model::ModelError;
use std::fmt;

/// The result of everything that can fail a query.
pub type Result<T> = std::result::Result<T, Failure>;

/// What is wrong, in words, with its kind and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    text: String,
    remedy: Option<Remedy>,
}

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The values of one row: its image, embedding, prompt or options. The only kind that [`crate::OnError`] is about.
    Input,
    /// How a function is used, or the value of a setting.
    Usage,
    /// A model that cannot be found, opened or run.
    Model,
    /// Results that exceed a limit.
    Limit,
    /// Memory or threads that the system does not give.
    Resources,
    /// The call was cancelled.
    Cancelled,
    /// A defect, found before it could do harm.
    Internal,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Raise a limit on images to at least this value, in the unit of the limit.
    RaiseImageLimit(ImageLimit, u64),
    /// Ask for fewer results at a time, or let them take more memory.
    FewerResults {
        /// What the results are.
        results: Results,
        /// What sets the limit.
        set_by: LimitSource,
    },
    /// Name a model that exists.
    NameModel,
    /// Leave the process more memory: fewer rows at a time, fewer threads, a smaller cache.
    FreeMemory,
    /// Take the image out of what it is wrapped in.
    Unwrap(Wrapping),
    /// Make fractions of coordinates in pixels.
    MakeFractions,
}

/// A limit on images; see [`sam_imaging::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageLimit {
    /// Millions of pixels.
    Megapixels,
    /// Pixels of width and height.
    Side,
    /// Megabytes of the compressed image.
    Megabytes,
    /// Megabytes that decoding takes.
    MemoryMegabytes,
}

/// Large results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results {
    /// Dense masks that a network has predicted.
    PredictedMasks,
    /// Other dense masks.
    Masks,
    /// Embeddings.
    Embeddings,
    /// Images.
    Images,
}

/// Who has set the limit of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitSource {
    /// [`crate::ClientSettings`].
    Settings,
    /// The host, whose own memory is limited.
    Host,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), remedy: None }
    }

    /// A failure of the values of one row.
    pub fn input(text: impl Into<String>) -> Self {
        Self::new(Kind::Input, text)
    }

    /// A failure in how a function or a setting is used.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Kind::Usage, text)
    }

    /// A defect, found before it could do harm.
    pub fn internal(what: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, format!("internal error: {what}"))
    }

    /// The same failure with what to do about it.
    pub fn with(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }

    /// What the failure is about.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong, without the remedy.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What to do about it, where the text does not say so.
    pub fn remedy(&self) -> Option<Remedy> {
        self.remedy
    }

    /// Whether it is the values of one row that are wrong.
    pub fn is_about_a_row(&self) -> bool {
        self.kind == Kind::Input
    }

    /// Keeps at most `most` bytes of the text.
    pub(crate) fn truncate(&mut self, most: usize) {
        let end = (0..=most.min(self.text.len())).rev().find(|&end| self.text.is_char_boundary(end));
        self.text.truncate(end.unwrap_or(0));
    }
}

/// What is wrong, and the remedy in the words of this crate.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)?;
        match self.remedy {
            // The text says it.
            None | Some(Remedy::Unwrap(_) | Remedy::MakeFractions) => Ok(()),
            Some(Remedy::RaiseImageLimit(limit, needed)) => {
                write!(formatter, "; raise ClientSettings::images.{limit} to {needed}")
            }
            Some(Remedy::FewerResults { set_by: LimitSource::Settings, .. }) => {
                formatter.write_str("; query fewer rows at a time, or raise ClientSettings::results")
            }
            Some(Remedy::FewerResults { set_by: LimitSource::Host, .. }) => {
                formatter.write_str("; query fewer rows at a time, or let the host use more memory")
            }
            Some(Remedy::NameModel) => formatter
                .write_str("; use 'nano', the path of a file or folder, or a name in ClientSettings::model_folder"),
            Some(Remedy::FreeMemory) => {
                formatter.write_str("; query fewer rows at a time, or lower Settings::threads or Settings::cache_bytes")
            }
        }
    }
}

impl std::error::Error for Failure {}

/// The field of [`sam_imaging::Limits`], with the unit of the number that follows it.
impl fmt::Display for ImageLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Megapixels => "max_pixels (in millions)",
            Self::Side => "max_side",
            Self::Megabytes => "max_bytes (in millions)",
            Self::MemoryMegabytes => "max_work (in millions)",
        })
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let kind = match error {
            ModelError::Prompt(_) | ModelError::Pixels(_) | ModelError::Embedding(_) => Kind::Input,
            ModelError::Network(_) => Kind::Internal,
            _ => Kind::Model,
        };
        let failure = Self::new(kind, error.to_string());
        match error {
            ModelError::Pixels(_) => failure.with(Remedy::MakeFractions),
            _ => failure,
        }
    }
}

impl From<sam_imaging::NoMemory> for Failure {
    fn from(error: sam_imaging::NoMemory) -> Self {
        Self::new(Kind::Resources, error.to_string()).with(Remedy::FreeMemory)
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let text = error.to_string();
        let raise = |limit, needed| Self::input(text.clone()).with(Remedy::RaiseImageLimit(limit, needed));
        match error.cause() {
            // The machine's, not the row's.
            ImageError::NoMemory { .. } => Self::new(Kind::Resources, text).with(Remedy::FreeMemory),
            ImageError::TooManyPixels { pixels, .. } => raise(ImageLimit::Megapixels, pixels.div_ceil(1_000_000)),
            ImageError::SideTooLong { width, height, .. } => raise(ImageLimit::Side, u64::from(*width.max(height))),
            ImageError::TooManyBytes { found, .. } => raise(ImageLimit::Megabytes, (*found as u64).div_ceil(1_000_000)),
            ImageError::TooMuchWork { work, .. } => raise(ImageLimit::MemoryMegabytes, work.div_ceil(1_000_000)),
            ImageError::Recognised(Recognised { wrapping: Some(wrapping), .. }) => {
                Self::input(text).with(Remedy::Unwrap(*wrapping))
            }
            _ => Self::input(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_images_come_with_the_value_that_lifts_them() {
        let limits = sam_imaging::Limits { max_pixels: 1_000_000, ..Default::default() };
        let failure = Failure::from(limits.check_size(2000, 1000).unwrap_err());
        assert_eq!(failure.remedy(), Some(Remedy::RaiseImageLimit(ImageLimit::Megapixels, 2)));
        assert!(failure.is_about_a_row());
        assert!(failure.to_string().ends_with("; raise ClientSettings::images.max_pixels (in millions) to 2"));
    }

    #[test]
    fn texts_are_cut_between_letters() {
        let mut failure = Failure::input("aä");
        failure.truncate(2);
        assert_eq!(failure.text(), "a");
    }
}
