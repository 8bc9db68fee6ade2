//! The rows of a call whose rows do not depend on each other.

use crate::engine::{Input, Output};
use sam_runtime::{Call, Result};

/// The rows of one call.
pub struct Rows<'a> {
    /// The call.
    pub call: Call<'a>,
    count: usize,
}

impl<'a> Rows<'a> {
    /// The rows of `input`.
    pub fn new(input: &Input<'a>) -> Result<Self> {
        Ok(Self { call: input.caller().begin()?, count: input.rows() })
    }

    /// Reads the arguments of every row; `None` is a row whose result is NULL.
    pub fn read<A>(&self, read: impl Fn(usize) -> Result<Option<A>>) -> Result<Vec<Option<A>>> {
        (0..self.count).map(|row| Ok(self.call.pass(read(row), None, None)?.flatten())).collect()
    }
}

/// Writes bytes or texts; NULL where there are none.
pub fn write_bytes<T: AsRef<[u8]>>(values: &[Option<T>], output: &mut Output<'_>) -> Result<()> {
    output.each(values.iter().map(Option::as_ref), |output, row, value| output.set_bytes(row, value.as_ref()))
}

/// Writes lists of `N` numbers; NULL where there are none.
pub fn write_numbers<const N: usize>(lists: &[Option<[f64; N]>], output: &mut Output<'_>) -> Result<()> {
    let lengths: Vec<usize> = lists.iter().map(|list| if list.is_some() { N } else { 0 }).collect();
    output
        .lists(&lengths)?
        .doubles()
        .copy_from_slice(lists.iter().flatten().copied().collect::<Vec<_>>().as_flattened());
    output.set_nulls(lists)
}
