//! Tensors as files describe them.

use super::values::Kind;

/// A tensor as a file describes it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
    pub(super) location: Location,
}

/// Where the values of a tensor lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// One behind the other in a file, from this byte on.
    At { file: usize, offset: u64 },
    /// A view of a storage in an archive.
    View(View),
    /// In a form that is not read.
    Nowhere,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// The storage's file in the archive.
    pub(super) storage: String,
    /// The first value.
    pub(super) first: usize,
    /// Distance of neighbours along each axis, in values.
    pub(super) strides: Vec<usize>,
}
