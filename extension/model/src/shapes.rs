//! Reads sizes off the names and shapes of a checkpoint's tensors.

use crate::checkpoint::{Checkpoint, Stated};
use crate::error::{ModelError, Result};

/// The shapes of a checkpoint's tensors.
pub(crate) struct Shapes<'a>(pub(crate) &'a Checkpoint);

impl Shapes<'_> {
    /// Whether there is such a tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.shape(name).is_some()
    }

    /// The tensor's shape, which must have `N` dimensions.
    pub(crate) fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        let shape = self.0.shape(name).ok_or_else(|| self.error(format!("tensor '{name}' is missing")))?;
        let other = || self.error(format!("tensor '{name}' has shape {shape:?}, expected {N} dimensions"));
        shape.try_into().map_err(|_| other())
    }

    /// How many of `prefix0.`, `prefix1.`, ... there are.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        (0..).take_while(|index| self.0.names().any(|name| name.starts_with(&format!("{prefix}{index}.")))).count()
    }

    /// What is stated beside the weights.
    pub(crate) fn stated(&self) -> &Stated {
        self.0.stated()
    }

    /// Where what the shapes do not tell can be stated, for messages.
    pub(crate) fn stated_path(&self) -> String {
        self.0.stated_path().display().to_string()
    }

    /// The side of the input, in pixels, where the image encoder was saved as a whole module and says so.
    pub(crate) fn module_size(&self) -> Option<usize> {
        self.0.module_size()
    }

    /// What shapes do not tell, or where they contradict each other.
    pub(crate) fn error(&self, reason: String) -> ModelError {
        self.0.architecture_error(reason)
    }
}
