//! Why a row, and with it the query, failed.

use std::fmt;

/// A reason in words a user can act on: it names the value and the remedy. The function's name is put in
/// front where the failure crosses into the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

/// The result of everything that can fail a query.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// A defect of the extension, found before it could do harm.
    pub fn internal(what: impl fmt::Display) -> Self {
        Self(format!("internal error: {what}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<sam_model::ModelError> for Failure {
    fn from(error: sam_model::ModelError) -> Self {
        Self(error.to_string())
    }
}

impl From<sam_imaging::ImageError> for Failure {
    fn from(error: sam_imaging::ImageError) -> Self {
        Self(error.to_string())
    }
}
