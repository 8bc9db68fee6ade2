//! Lists with a value for each pixel: as they stand in the table, and written where the engine wants them, each row into a
//! piece of one list.

use crate::engine::{Column, Type};
use sam_runtime::{Failure, Result};
use std::ops::Range;

/// The values of one list, in the table.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// Of a `FLOAT[]`.
    Floats(&'a [f32]),
    /// Of a `DOUBLE[]`.
    Doubles(&'a [f64]),
    /// Of a `UTINYINT[]` or `BOOLEAN[]`.
    Bytes(&'a [u8]),
}

impl<'a> Values<'a> {
    /// The elements in `range`; `None` if one is NULL.
    pub fn read(elements: &Column<'a>, range: Range<usize>) -> Option<Self> {
        match elements.kind() {
            Type::Float => elements.floats(range).map(Self::Floats),
            Type::Double => elements.doubles(range).map(Self::Doubles),
            _ => elements.small(range).map(Self::Bytes),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Doubles(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}

/// The range of the list in `row`, where a plain number may stand as well: only to say what to give instead, and because the
/// engine takes an untyped NULL for one.
pub fn range_of_list(what: &str, lists: &Column<'_>, row: usize) -> Result<Option<Range<usize>>> {
    if !matches!(lists.kind(), Type::Bigint) {
        return Ok(lists.range(row));
    }
    match lists.bigint(row) {
        Some(number) => Err(Failure::input(format!("the {what} is the number {number}; give a list of numbers"))),
        None => Ok(None),
    }
}

/// The elements of such lists.
pub fn elements_of_list<'a>(lists: &Column<'a>) -> Result<Column<'a>> {
    if matches!(lists.kind(), Type::Bigint) { Ok(Column::none(Type::Float)) } else { lists.elements() }
}

/// Cuts `values` into consecutive pieces of these lengths.
pub fn split<'a, T>(mut values: &'a mut [T], lengths: &[usize]) -> Result<Vec<&'a mut [T]>> {
    let piece = |&length: &usize| {
        let (head, tail) = std::mem::take(&mut values)
            .split_at_mut_checked(length)
            .ok_or_else(|| Failure::internal("the masks do not fit into their vector"))?;
        values = tail;
        Ok(head)
    };
    lengths.iter().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_into_disjoint_pieces() {
        let mut values = [1, 2, 3, 4, 5];
        let pieces = split(&mut values, &[2, 0, 3]).unwrap();
        assert_eq!(pieces, [&mut [1, 2][..], &mut [], &mut [3, 4, 5]]);
        assert!(split(&mut [0_u8; 2], &[3]).is_err());
    }
}
