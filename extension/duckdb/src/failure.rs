//! Why a row, and with it the query, failed.

use std::fmt;

/// A reason in words a user can act on: it names the value and the remedy. The function's name is put in
/// front where the failure crosses into the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    reason: String,
    scope: Scope,
}

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The values of one row: `on_error = 'null'` makes it NULL.
    Row,
    /// Anything else: a model, the memory, a cancellation, a defect. The query stops in any case.
    Query,
}

/// The result of everything that can fail a query.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of the values of one row.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), scope: Scope::Row }
    }

    /// A failure that has nothing to do with the values of one row.
    pub fn query(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), scope: Scope::Query }
    }

    /// A defect of the extension, found before it could do harm.
    pub fn internal(what: impl fmt::Display) -> Self {
        Self::query(format!("internal error: {what}"))
    }

    /// Whether it is the values of one row that are wrong.
    pub fn is_about_a_row(&self) -> bool {
        self.scope == Scope::Row
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl From<sam_model::ModelError> for Failure {
    fn from(error: sam_model::ModelError) -> Self {
        use sam_model::ModelError;
        match error {
            ModelError::Prompt(_) | ModelError::Embedding(_) => Self::new(error.to_string()),
            _ => Self::query(error.to_string()),
        }
    }
}

impl From<sam_imaging::NoMemory> for Failure {
    fn from(error: sam_imaging::NoMemory) -> Self {
        Self::query(error.to_string())
    }
}

impl From<sam_imaging::ImageError> for Failure {
    fn from(error: sam_imaging::ImageError) -> Self {
        match error {
            // The machine's, not the row's.
            sam_imaging::ImageError::NoMemory { .. } => Self::query(explain(&error)),
            error => Self::new(explain(&error)),
        }
    }
}

/// What is wrong with a picture, and which setting lifts a limit that it exceeds.
pub fn explain(error: &sam_imaging::ImageError) -> String {
    use sam_imaging::ImageError;
    let lift = |setting: &str, needed: u64| {
        format!(
            "{error}; for a higher one: CALL sam_configure({setting} := {needed}), or SET sam_{setting} = {needed} if SET \
             has given it"
        )
    };
    match error {
        ImageError::TooManyPixels { pixels, .. } => lift("image_megapixels", pixels.div_ceil(1_000_000)),
        ImageError::SideTooLong { width, height, .. } => lift("image_side", u64::from(*width.max(height))),
        ImageError::TooManyBytes { found, .. } => lift("image_mb", (*found as u64).div_ceil(1_000_000)),
        ImageError::TooMuchWork { work, .. } => lift("image_memory_mb", work.div_ceil(1_000_000)),
        error => error.to_string(),
    }
}
