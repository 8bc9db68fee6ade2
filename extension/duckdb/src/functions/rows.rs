//! The rows of a vector, spread over all cores: for functions whose rows do not depend on each other.

use crate::batch::Tolerance;
use crate::engine::{Input, Output};
use crate::failure::Result;
use rayon::prelude::*;

/// The rows of one call. What becomes of a row that fails is the setting `on_error`.
pub struct Rows<'a> {
    tolerance: Tolerance<'a>,
    count: usize,
}

impl<'a> Rows<'a> {
    /// The rows of `input`.
    pub fn new(input: &Input<'a>) -> Result<Self> {
        Ok(Self { tolerance: Tolerance::new(input.caller())?, count: input.rows() })
    }

    /// The settings and limits of the call.
    pub fn tolerance(&self) -> &Tolerance<'a> {
        &self.tolerance
    }

    /// Reads the arguments of every row; `None` is a row whose result is NULL.
    pub fn read<A>(&self, read: impl Fn(usize) -> Result<Option<A>>) -> Result<Vec<Option<A>>> {
        (0..self.count).map(|row| Ok(self.tolerance.pass(read(row), None, None)?.flatten())).collect()
    }

    /// Computes the result of every row that has arguments. A thread does at least `together` rows before another
    /// takes over: 1 where a row takes milliseconds.
    ///
    /// # Errors
    /// The failure of the first row that fails, or `sam_cancel()`.
    pub fn compute<A: Sync, T: Send>(
        &self,
        arguments: &[Option<A>],
        together: usize,
        work: impl Fn(&A) -> Result<Option<T>> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let session = self.tolerance.session();
        let call = self.tolerance.begin();
        let row = |row: &Option<A>| match row {
            Some(arguments) => call.check().and_then(|()| work(arguments)),
            None => Ok(None),
        };
        let results: Vec<_> = match arguments.len() <= together {
            true => arguments.iter().map(row).collect(),
            false => session.pool().run(|| arguments.par_iter().with_min_len(together).map(row).collect())?,
        };
        results.into_iter().map(|result| Ok(self.tolerance.pass(result, None, None)?.flatten())).collect()
    }
}

/// Writes bytes or texts; NULL where there are none.
pub fn write_bytes<T: AsRef<[u8]>>(values: &[Option<T>], output: &mut Output<'_>) -> Result<()> {
    for (row, value) in values.iter().enumerate() {
        match value {
            Some(value) => output.set_bytes(row, value.as_ref())?,
            None => output.set_null(row)?,
        }
    }
    Ok(())
}
